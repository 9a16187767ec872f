#include "sandbox/engine.h"

#include <bulkhead_native.h>
#include <fmt/format.h>
#include <sys/resource.h>

#include <fstream>

#include "sandbox/native_settings.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) || __has_feature(address_sanitizer) || \
    __has_feature(thread_sanitizer)
// A trap of a guest is a SIGSEGV that Wasmtime's handler turns into an error; the sanitizers' handler would report it.
extern "C" const char* __asan_default_options() { return "handle_segv=0:handle_sigill=0:handle_sigfpe=0"; }
extern "C" const char* __tsan_default_options() { return "handle_segv=0:handle_sigill=0:handle_sigfpe=0"; }
#endif

namespace bulkhead::sandbox {

namespace {

// Mappings of one slot at most: the memory's image, its writable rest and its guard, the same for the table, and two
// fiber stacks with a guard each.
constexpr std::uint64_t kMapsPerSlot = 12;
// Libraries, heap, threads and loaded modules.
constexpr std::uint64_t kOtherMaps = 8'192;
// A memory's reservation and guard, tables and stacks.
constexpr Bytes kAddressSpacePerSlot{(4ULL << 30) + (128ULL << 20)};

Status check_map_count(const EngineSettings& settings) {
  std::uint64_t most = 0;
  std::ifstream file("/proc/sys/vm/max_map_count");
  if (!(file >> most)) return {};  // not to be seen in this sandbox; mmap will tell
  const std::uint64_t needed = settings.slots * kMapsPerSlot + kOtherMaps;
  if (most >= needed) return {};
  return fail(ErrorCode::kUnavailable,
              fmt::format("{} execution slots need vm.max_map_count of at least {}, and it is {}: run `sysctl -w "
                          "vm.max_map_count={}`, or configure fewer slots.",
                          settings.slots, needed, most, needed));
}

Status check_address_space(const EngineSettings& settings) {
  rlimit limit{};
  if (getrlimit(RLIMIT_AS, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY) return {};
  const Bytes needed{settings.slots * kAddressSpacePerSlot.value};
  if (limit.rlim_cur >= needed.value) return {};
  return fail(ErrorCode::kUnavailable,
              fmt::format("{} execution slots reserve {} of address space, and RLIMIT_AS allows {}: lift the limit "
                          "(`ulimit -v unlimited`; memory is bounded by the slots), or configure fewer slots.",
                          settings.slots, to_string(needed), to_string(Bytes{limit.rlim_cur})));
}

std::int64_t read_clock(const void* clock) { return static_cast<const Clock*>(clock)->now().value; }

}  // namespace

Result<std::shared_ptr<Engine>> Engine::create(const EngineSettings& settings, const Clock& clock) {
  if (settings.slots == 0) return fail(ErrorCode::kUnavailable, "An engine needs at least one execution slot.");
  BH_TRY_VOID(check_map_count(settings));
  BH_TRY_VOID(check_address_space(settings));
  bh_engine_settings native_settings = code_settings(settings.metering);
  native_settings.slots = settings.slots;
  native_settings.max_table_elements = settings.max_table_elements;
  native_settings.max_memory = settings.max_memory.value;
  native_settings.memory_keep_resident = settings.memory_keep_resident.value;
  native_settings.max_wasm_stack = settings.max_wasm_stack.value;
  native_settings.utc_micros = read_clock;
  native_settings.clock = &clock;
  NativeBuffer reason;
  Native native(bh_engine_new(&native_settings, reason.out()));
  if (!native) {
    return fail(ErrorCode::kUnavailable,
                fmt::format("{} execution slots can't be reserved on this machine; configure fewer slots or allow "
                            "more address space.",
                            settings.slots),
                reason.text());
  }
  return std::shared_ptr<Engine>(new Engine(settings, clock, std::move(native)));
}

Engine::Engine(const EngineSettings& settings, const Clock& clock, Native native)
    : settings_(settings),
      clock_(clock),
      native_(std::move(native)),
      fingerprint_(fingerprint_of(native_.get())),
      ticker_(settings.tick, [engine = native_.get()] { bh_engine_tick(engine); }) {}

void Engine::Delete::operator()(bh_engine* engine) const { bh_engine_delete(engine); }

}  // namespace bulkhead::sandbox
