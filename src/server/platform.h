// The wired platform: every room's objects, made in dependency order and ended in reverse.
//
// `start` brings everything up and begins to serve; `stop` drains: no new connections, running requests finish within
// the grace, runners end, journals are flushed. Used by serve.cpp only; the threads are the cores'.
#pragma once

#include <memory>

#include "base/error.h"
#include "server/config.h"
#include "server/serve.h"

namespace bulkhead::server {

class Platform {
 public:
  static Result<std::unique_ptr<Platform>> start(const Config& config, Role role);
  ~Platform();

  // "127.0.0.1:8080": where it serves (of runners only: /v1/execute).
  std::string address() const;
  // Blocks until SIGTERM or SIGINT, then drains.
  void run_until_signal();

 private:
  struct Parts;
  explicit Platform(std::unique_ptr<Parts> parts);
  std::unique_ptr<Parts> parts_;
};

}  // namespace bulkhead::server
