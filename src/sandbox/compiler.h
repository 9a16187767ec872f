// Checks guest modules against ABI v1 (extensions.md §3) and turns them into machine code.
//
// For the compiler process (and tests): compiling a hostile module can take long and much memory, so the process that
// does it is short-lived and limited. It needs no Engine: nothing runs here.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "base/error.h"
#include "sandbox/engine.h"

namespace bulkhead::sandbox {

// Largest accepted wasm file; equals the bundle's limit for one file (extensions.md §1).
inline constexpr std::size_t kMaxModuleSize = 64 * 1024 * 1024;

// kModuleRejected: not a valid core module, a feature that we don't run (threads, memory64, ...), an unknown import
// (named), WASI (the message says what to do), an import or export of the wrong type, more than one memory or start
// beyond the limits. kAbiMissingExport: `memory`, `alloc` or `handler` is missing (named).
Status validate_module(std::string_view wasm);

class Compiler {
 public:
  static Result<std::unique_ptr<Compiler>> create(Metering metering);
  Compiler(const Compiler&) = delete;
  Compiler& operator=(const Compiler&) = delete;

  // Serialized machine code for Module::load. Validates first (errors as validate_module).
  Result<std::string> compile(std::string_view wasm) const;
  const std::string& fingerprint() const { return fingerprint_; }

 private:
  struct Delete {
    void operator()(bh_engine* engine) const;
  };
  using Native = std::unique_ptr<bh_engine, Delete>;
  explicit Compiler(Native native);

  const Native native_;
  const std::string fingerprint_;
};

// "x86_64-linux-gnu": the target part of a code cache key (ModuleOffer::target).
std::string_view compile_target();

}  // namespace bulkhead::sandbox
