// What Engine and Compiler must agree on, and the name of it. Inside the sandbox room only.
#pragma once

#include <bulkhead_native.h>

#include <string>

#include "base/bytes.h"
#include "base/sha256.h"
#include "sandbox/engine.h"
#include "sandbox/native_buffer.h"

namespace bulkhead::sandbox {

inline bh_engine_settings code_settings(Metering metering) {
  const EngineSettings defaults;
  bh_engine_settings settings{};
  settings.max_wasm_stack = defaults.max_wasm_stack.value;
  settings.max_table_elements = defaults.max_table_elements;
  settings.max_memory = defaults.max_memory.value;
  settings.fuel = metering == Metering::kFuel;
  return settings;
}

// The hash covers target, CPU features, code settings and Wasmtime's version; the prefix is for people.
inline std::string fingerprint_of(const bh_engine* engine) {
  const NativeBuffer compatibility(bh_engine_compatibility(engine));
  const Sha256Digest digest = sha256(compatibility.view());
  return "wasmtime48-" + hex_encode({reinterpret_cast<const char*>(digest.data()), 16});
}

}  // namespace bulkhead::sandbox
