// Runs a project's build.sh (`ext build`, `ext dev`). What it prints goes to standard error, as it comes.
#pragma once

#include <functional>
#include <string>

#include "base/error.h"
#include "base/time.h"
#include "platform/process/child_process.h"

namespace bulkhead::cli {

struct Built {
  process::ExitStatus status;
  Millis took{0};
};
// kNotFound when there is no executable build.sh. Blocks until it ends; once `stop` says true it is ended.
Result<Built> build_project(const std::string& folder, const std::function<bool()>& stop = [] { return false; });

}  // namespace bulkhead::cli
