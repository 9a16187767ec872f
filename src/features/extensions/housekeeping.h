// Housekeeping: what this room does without being asked: takes up provisioning that a crash left half-way, and removes
// staged uploads that nobody finalized. One coroutine on one core; every node may run it.
#pragma once

#include <atomic>

#include "features/extensions/provisioning.h"
#include "features/extensions/upload_service.h"

namespace bulkhead::extensions {

class Housekeeping {
 public:
  // Both outlive `run`.
  Housekeeping(Provisioning& provisioning, UploadService& uploads) : provisioning_(provisioning), uploads_(uploads) {}

  // Until `stop`; returns at most a second later.
  Task<> run();
  void stop() { stopping_ = true; }

 private:
  Provisioning& provisioning_;
  UploadService& uploads_;
  std::atomic<bool> stopping_ = false;  // set by the composition root from another thread
};

}  // namespace bulkhead::extensions
