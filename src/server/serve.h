// The platform's main: config → wiring → run (architecture.md, src/server: nothing else knows everyone).
#pragma once

#include <cstdint>
#include <string>

#include "base/error.h"
#include "server/config.h"

namespace bulkhead::server {

enum class Role : std::uint8_t {
  kPlatform,     // everything, runners included
  kRunnersOnly,  // supervises runners that serve POST /v1/execute on runner.listen
};

// Runs until SIGTERM or SIGINT, then drains. Its first log line once it serves is
// {"event":"ready","address":"HOST:PORT",…}.
Status serve(const Config& config, Role role);

Status migrate_database(const Config& config);

// A token for POST /v1/execute of this installation's runners, valid for five minutes.
Result<std::string> make_runner_token(const Config& config);

}  // namespace bulkhead::server
