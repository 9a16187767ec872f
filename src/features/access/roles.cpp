#include "features/access/roles.h"

#include <algorithm>
#include <array>

#include "base/json.h"

namespace bulkhead::access {
namespace {

using std::string_view;

constexpr std::array<string_view, 14> kResources = {"audit",  "billing", "execution",    "extension", "key",
                                                    "member", "ops",     "organization", "policy",    "project",
                                                    "queue",  "secret",  "state",        "stream"};

constexpr std::array<string_view, 1> kOwner = {"*"};
// All but ownership and deletion of the organization; ops:* belongs to the platform's operators.
constexpr std::array<string_view, 14> kAdmin = {"audit:read",   "billing:*", "execution:read",    "extension:*",
                                                "key:*",        "member:*",  "organization:read", "organization:update",
                                                "policy:write", "project:*", "queue:*",           "secret:write",
                                                "state:*",      "stream:*"};
constexpr std::array<string_view, 7> kDeveloper = {"execution:read", "extension:*", "organization:read", "project:read",
                                                   "queue:*",        "state:*",     "stream:*"};
constexpr std::array<string_view, 2> kBilling = {"billing:*", "organization:read"};
constexpr std::array<string_view, 8> kViewer = {"execution:read", "extension:read", "member:read", "organization:read",
                                                "project:read",   "queue:read",     "state:read",  "stream:read"};

constexpr std::array<Role, 5> kRoles = {{
    {"owner", "Everything in the organization", kOwner},
    {"admin", "Everything but ownership and deletion of the organization", kAdmin},
    {"developer", "Run, publish and install extensions, read logs", kDeveloper},
    {"billing", "Usage and billing", kBilling},
    {"viewer", "Read", kViewer},
}};

bool is_word(string_view text) {
  return !text.empty() && std::ranges::all_of(text, [](char c) { return (c >= 'a' && c <= 'z') || c == '_'; });
}

}  // namespace

std::span<const Role> built_in_roles() { return kRoles; }

const Role* find_role(string_view name) {
  const auto found = std::ranges::find(kRoles, name, &Role::name);
  return found == kRoles.end() ? nullptr : &*found;
}

bool covers(string_view pattern, string_view permission) {
  if (pattern == "*" || pattern == permission) return true;
  // "key:*" covers "key:read": compare up to and with the colon.
  return pattern.ends_with(":*") && permission.starts_with(pattern.substr(0, pattern.size() - 1));
}

bool any_covers(std::span<const std::string> patterns, string_view permission) {
  return std::ranges::any_of(patterns, [&](const std::string& pattern) { return covers(pattern, permission); });
}

std::vector<std::string> intersect(std::span<const string_view> role, std::span<const std::string> scopes) {
  std::vector<std::string> both;
  for (const string_view granted : role) {
    for (const std::string& scope : scopes) {
      if (covers(granted, scope)) {
        both.push_back(scope);
      } else if (covers(scope, granted)) {
        both.emplace_back(granted);
      }
    }
  }
  std::ranges::sort(both);
  const auto repeated = std::ranges::unique(both);
  both.erase(repeated.begin(), repeated.end());
  return both;
}

Status check_permission_pattern(string_view pattern) {
  if (pattern == "*") return {};
  const auto colon = pattern.find(':');
  const string_view resource = pattern.substr(0, colon);
  const string_view action = colon == string_view::npos ? string_view() : pattern.substr(colon + 1);
  if (pattern.size() > 64 || !is_word(resource) || !(action == "*" || is_word(action))) {
    return fail(ErrorCode::kUnprocessable,
                "A permission has the form resource:action, resource:* or *, e.g. extension:read.");
  }
  if (std::ranges::find(kResources, resource) != kResources.end()) return {};
  const std::vector<string_view> known(kResources.begin(), kResources.end());
  std::string message = "There is no resource \"" + std::string(resource) + "\" in permissions";
  if (const auto nearest = nearest_name(resource, known)) message += "; did you mean \"" + *nearest + "\"?";
  return fail(ErrorCode::kUnprocessable, message);
}

}  // namespace bulkhead::access
