// One Random for several threads: services draw ids on cores and inside transactions on database threads.
#pragma once

#include <mutex>

#include "base/random.h"

namespace bulkhead::access {

class SharedRandom final : public Random {
 public:
  // `source` outlives this and is used by nobody else.
  explicit SharedRandom(Random& source) : source_(source) {}
  void fill(std::span<std::uint8_t> out) override {
    const std::scoped_lock lock(mutex_);
    source_.fill(out);
  }

 private:
  std::mutex mutex_;
  Random& source_;
};

}  // namespace bulkhead::access
