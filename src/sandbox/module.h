// A loaded guest: our own machine code mapped from a file, linked once against the host functions.
//
// Immutable and shared by every execution of it; unloaded with the last reference. Any thread.
#pragma once

#include <memory>

#include "base/error.h"
#include "sandbox/engine.h"

struct bh_module;

namespace bulkhead::sandbox {

class Module {
 public:
  // Maps the code in `fd` (from its start to its end; a sealed memfd; the caller keeps and closes its own descriptor).
  // SECURITY: this trusts machine code. The caller has verified our own signature over these very bytes and the file
  // can't change any more (all seals set); never pass anything that a tenant supplied.
  // kModuleInvalid: not Wasmtime code, or made for another version, CPU or metering.
  static Result<std::shared_ptr<const Module>> load(std::shared_ptr<Engine> engine, int fd);
  Module(const Module&) = delete;
  Module& operator=(const Module&) = delete;

  const std::shared_ptr<Engine>& engine() const { return engine_; }
  const bh_module* native() const { return native_.get(); }

 private:
  struct Delete {
    void operator()(bh_module* module) const;
  };
  using Native = std::unique_ptr<bh_module, Delete>;
  Module(std::shared_ptr<Engine> engine, Native native);

  const std::shared_ptr<Engine> engine_;
  const Native native_;  // ends before the engine
};

}  // namespace bulkhead::sandbox
