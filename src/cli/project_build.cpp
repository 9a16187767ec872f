#include "cli/project_build.h"

#include <unistd.h>

#include <csignal>
#include <filesystem>

namespace bulkhead::cli {
namespace {

constexpr useconds_t kPause = 5'000;

}  // namespace

Result<Built> build_project(const std::string& folder, const std::function<bool()>& stop) {
  const std::string script = (std::filesystem::path(folder) / "build.sh").string();
  if (::access(script.c_str(), X_OK) != 0) {
    return fail(ErrorCode::kNotFound,
                "There is no executable build.sh in " + folder + ": `ext build` runs it. See `bulkhead ext new`.");
  }
  const auto started = std::chrono::steady_clock::now();
  process::ChildOptions child;
  child.program = "/bin/sh";
  child.arguments = {"build.sh"};
  child.directory = folder;
  child.stdout_to = process::Stdio::from_fd(STDERR_FILENO);
  for (char** variable = environ; *variable != nullptr; ++variable) child.environment.emplace_back(*variable);
  BH_TRY(auto spawned, process::ChildProcess::spawn(child));
  bool stopped = false;
  for (;;) {
    if (const auto status = spawned.try_wait()) {
      return Built{*status, std::chrono::duration_cast<Millis>(std::chrono::steady_clock::now() - started)};
    }
    if (!stopped && stop()) {
      stopped = true;
      BH_TRY_VOID(spawned.kill(SIGTERM));
    }
    ::usleep(kPause);
  }
}

}  // namespace bulkhead::cli
