#include "features/extensions/housekeeping.h"

#include "platform/async/cores.h"
#include "platform/observe/log.h"

namespace bulkhead::extensions {
namespace {

constexpr Millis kTick{1'000};
constexpr int kProvisionTicks = 5;
constexpr int kCleanTicks = 600;

}  // namespace

Task<> Housekeeping::run() {
  for (int tick = 0; !stopping_; ++tick) {
    if (tick % kProvisionTicks == 0) {
      if (auto done = co_await provisioning_.run_once(); !done) log::warn("provisioning_failed", done.error());
    }
    if (tick % kCleanTicks == 0) {
      if (auto done = co_await uploads_.remove_expired(); !done) log::warn("staged_uploads_not_cleaned", done.error());
    }
    co_await sleep_for(kTick);
  }
}

}  // namespace bulkhead::extensions
