// Guests for tests and benchmarks: WebAssembly text to a loaded module.
#pragma once

#include <bulkhead_native.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <string_view>

#include "sandbox/compiler.h"
#include "sandbox/module.h"
#include "sandbox/native_buffer.h"

namespace bulkhead::sandbox::testing {

inline std::string wasm_of(std::string_view text) {
  NativeBuffer out;
  if (!bh_wat_to_wasm(native_bytes(text), text.size(), out.out())) {
    std::fprintf(stderr, "%s\n", out.text().c_str());
    std::abort();
  }
  return out.text();
}

// A sealed memory file with these bytes; the caller closes it.
inline int sealed_file(std::string_view bytes) {
  const int fd = memfd_create("guest", MFD_CLOEXEC | MFD_ALLOW_SEALING);
  if (fd < 0 || write(fd, bytes.data(), bytes.size()) != static_cast<ssize_t>(bytes.size()) ||
      fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) != 0) {
    std::perror("memfd");
    std::abort();
  }
  return fd;
}

inline Result<std::shared_ptr<const Module>> load_code(std::shared_ptr<Engine> engine, std::string_view code) {
  const int fd = sealed_file(code);
  auto module = Module::load(std::move(engine), fd);
  close(fd);
  return module;
}

// Ends the process when the text is not a loadable guest.
inline std::shared_ptr<const Module> load_text(const std::shared_ptr<Engine>& engine, std::string_view text) {
  const auto compiler = Compiler::create(engine->settings().metering);
  auto code = (*compiler)->compile(wasm_of(text));
  if (!code) {
    std::fprintf(stderr, "%s\n", code.error().to_log_string().c_str());
    std::abort();
  }
  auto module = load_code(engine, *code);
  if (!module) {
    std::fprintf(stderr, "%s\n", module.error().to_log_string().c_str());
    std::abort();
  }
  return *module;
}

// A guest with one page of memory, a bump allocator that grows it, and the given further fields. `handler` is the body
// of the handler, which finds $request, $size and $out.
inline std::string guest(std::string_view handler, std::string_view fields = {}) {
  return std::string("(module ") + std::string(fields) + R"(
    (memory (export "memory") 1)
    (global $next (mut i32) (i32.const 1024))
    (func $alloc (export "alloc") (param $n i32) (result i32) (local $place i32)
      (local.set $place (global.get $next))
      (global.set $next (i32.and (i32.add (i32.add (global.get $next) (local.get $n)) (i32.const 7)) (i32.const -8)))
      (block $enough
        (br_if $enough (i32.le_u (global.get $next) (i32.mul (memory.size) (i32.const 65536))))
        (drop (memory.grow (i32.add (i32.shr_u (local.get $n) (i32.const 16)) (i32.const 1)))))
      (local.get $place))
    (func $respond (param $out i32) (param $place i32) (param $size i32)
      (i32.store (local.get $out) (local.get $place))
      (i32.store offset=4 (local.get $out) (local.get $size)))
    (func $handler (export "handler") (param $request i32) (param $size i32) (param $out i32) (result i32)
      )" +
         std::string(handler) + "))";
}

// Answers with the request's own bytes.
inline constexpr std::string_view kEcho =
    "(call $respond (local.get $out) (local.get $request) (local.get $size)) (i32.const 0)";

}  // namespace bulkhead::sandbox::testing
