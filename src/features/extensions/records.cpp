#include "features/extensions/records.h"

#include "base/error.h"

namespace bulkhead::extensions {

std::string_view to_string(Visibility visibility) { return visibility == Visibility::kPublic ? "public" : "private"; }

std::optional<Visibility> parse_visibility(std::string_view text) {
  if (text == "public") return Visibility::kPublic;
  if (text == "private") return Visibility::kPrivate;
  return std::nullopt;
}

std::string_view to_string(RunnerState state) {
  switch (state) {
    case RunnerState::kPending:
      return "pending";
    case RunnerState::kProvisioning:
      return "provisioning";
    case RunnerState::kReady:
      return "ready";
    case RunnerState::kError:
      return "error";
  }
  BH_ASSERT(false);
}

std::optional<RunnerState> parse_runner_state(std::string_view text) {
  for (const RunnerState state :
       {RunnerState::kPending, RunnerState::kProvisioning, RunnerState::kReady, RunnerState::kError}) {
    if (to_string(state) == text) return state;
  }
  return std::nullopt;
}

}  // namespace bulkhead::extensions
