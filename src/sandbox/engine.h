// The Wasmtime engine of one process: a pool of instance slots, the compiled-code settings and the epoch ticker.
//
// One per process, made by the process's main and outlived by nothing that runs on it (Module and Execution keep it
// alive by reference count). Slots are reserved up front, so that a run never waits for mmap: an engine that does not
// fit the machine (address space, vm.max_map_count) fails in `create` with a message that says what to change.
// Thread: `create` anywhere; modules may be shared between threads, an Execution belongs to one thread at a time.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>

#include "base/bytes.h"
#include "base/error.h"
#include "base/time.h"
#include "protocol/execute.h"
#include "sandbox/epoch_ticker.h"

struct bh_engine;

namespace bulkhead::sandbox {

// Whether machine code counts fuel. Part of the generated code (and so of the fingerprint), 2-3 times slower when on,
// therefore a second variant of a module that is made and loaded only for runs with Limits::fuel > 0.
enum class Metering : std::uint8_t { kNone, kFuel };

struct EngineSettings {
  std::uint32_t slots = 256;                  // executions that can be alive at once (running, queued or waiting)
  Bytes max_memory = protocol::kMaxMemory;    // of one execution; Limits::memory is cut to it
  Bytes memory_keep_resident = 128_KiB;       // of a slot, zeroed by memset instead of given back to the kernel
  Bytes max_wasm_stack = 512_KiB;             // deeper recursion is a trap
  std::uint32_t max_table_elements = 50'000;  // what validate_module allows
  Metering metering = Metering::kNone;        // of every module that this engine loads
  Millis tick{1};                             // how often a running guest yields to its neighbours
};

class Engine {
 public:
  // kUnavailable when the machine can't hold it. `clock` stamps log lines and judges deadlines; it outlives the engine.
  static Result<std::shared_ptr<Engine>> create(const EngineSettings& settings, const Clock& clock);
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;

  // Names everything that machine code depends on: Wasmtime's version, target, CPU features and code settings. Equal
  // fingerprints can load each other's code. The same text as Compiler::fingerprint() for the same metering and host.
  const std::string& fingerprint() const { return fingerprint_; }
  const EngineSettings& settings() const { return settings_; }
  // Executions that hold a slot now; the runner starts no more than settings().slots.
  std::uint32_t live_executions() const { return live_.load(std::memory_order_relaxed); }
  const Clock& clock() const { return clock_; }

  // For Module and Execution.
  bh_engine* native() const { return native_.get(); }
  EpochTicker& ticker() { return ticker_; }
  void add_live_execution() { live_.fetch_add(1, std::memory_order_relaxed); }
  void remove_live_execution() { live_.fetch_sub(1, std::memory_order_relaxed); }

 private:
  struct Delete {
    void operator()(bh_engine* engine) const;
  };
  using Native = std::unique_ptr<bh_engine, Delete>;
  Engine(const EngineSettings& settings, const Clock& clock, Native native);

  const EngineSettings settings_;
  const Clock& clock_;
  const Native native_;
  const std::string fingerprint_;
  std::atomic<std::uint32_t> live_{0};
  EpochTicker ticker_;  // last: its thread uses native_
};

}  // namespace bulkhead::sandbox
