#include "features/access/roles.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "features/access/principal.h"

namespace bulkhead::access {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

TEST(Roles, CoversTable) {
  struct Case {
    const char* pattern;
    const char* permission;
    bool covered;
  };
  const Case cases[] = {
      {"*", "key:read", true},       {"key:*", "key:read", true},
      {"key:*", "key:*", true},      {"key:read", "key:read", true},
      {"key:read", "key:*", false},  {"key:read", "key:write", false},
      {"key:*", "keys:read", false}, {"key:*", "keychain:read", false},
      {"key:*", "*", false},         {"key:read", "key:readall", false},
      {"", "key:read", false},       {"key", "key:read", false},
  };
  for (const Case& c : cases) EXPECT_EQ(covers(c.pattern, c.permission), c.covered) << c.pattern << " " << c.permission;
}

// One row per role and permission: the contract's list.
TEST(Roles, PermissionTable) {
  struct Case {
    const char* permission;
    bool owner, admin, developer, billing, viewer;
  };
  const Case cases[] = {
      {"extension:read", true, true, true, false, true},
      {"extension:write", true, true, true, false, false},
      {"extension:install", true, true, true, false, false},
      {"extension:publish", true, true, true, false, false},
      {"execution:read", true, true, true, false, true},
      {"key:create", true, true, false, false, false},
      {"key:read", true, true, false, false, false},
      {"audit:read", true, true, false, false, false},
      {"secret:write", true, true, false, false, false},
      {"billing:read", true, true, false, true, false},
      {"policy:write", true, true, false, false, false},
      {"organization:read", true, true, true, true, true},
      {"organization:update", true, true, false, false, false},
      {"organization:delete", true, false, false, false, false},
      {"organization:transfer", true, false, false, false, false},
      {"ops:read", true, false, false, false, false},
      {"member:read", true, true, false, false, true},
      {"stream:write", true, true, true, false, false},
      {"state:read", true, true, true, false, true},
  };
  const std::vector<std::string> everything = {"*"};
  for (const Case& c : cases) {
    const std::pair<const char*, bool> expected[] = {{"owner", c.owner},
                                                     {"admin", c.admin},
                                                     {"developer", c.developer},
                                                     {"billing", c.billing},
                                                     {"viewer", c.viewer}};
    for (const auto& [role, allowed] : expected) {
      Principal principal;
      principal.permissions = intersect(find_role(role)->permissions, everything);
      EXPECT_EQ(principal.has(c.permission), allowed) << role << " " << c.permission;
    }
  }
  EXPECT_EQ(find_role("root"), nullptr);
}

TEST(Roles, ScopesOnlyEverNarrowARole) {
  const auto permissions = [](const char* role, std::vector<std::string> scopes) {
    return intersect(find_role(role)->permissions, scopes);
  };
  EXPECT_THAT(permissions("owner", {"extension:read", "key:*"}), ElementsAre("extension:read", "key:*"));
  EXPECT_THAT(permissions("developer", {"extension:read", "key:*"}), ElementsAre("extension:read"));
  EXPECT_THAT(permissions("viewer", {"extension:*"}), ElementsAre("extension:read"));
  EXPECT_THAT(permissions("viewer", {"secret:write"}), IsEmpty());
  EXPECT_THAT(permissions("owner", {}), IsEmpty());
  EXPECT_THAT(permissions("developer", {"extension:read", "extension:*"}),
              ElementsAre("extension:*", "extension:read"));
}

TEST(Roles, PermissionPatternsAreChecked) {
  for (const char* good : {"*", "key:*", "extension:read", "stream:write", "ops:read"}) {
    EXPECT_TRUE(check_permission_pattern(good)) << good;
  }
  for (const char* bad :
       {"", ":", "key", "key:", ":read", "*:read", "key:re*", "Key:read", "key:read:all", "kye:read"}) {
    EXPECT_FALSE(check_permission_pattern(bad)) << bad;
  }
  EXPECT_NE(check_permission_pattern("extensoin:read").error().message.find("\"extension\""), std::string::npos);
}

TEST(Roles, EveryBuiltInPermissionIsWellFormed) {
  for (const Role& role : built_in_roles()) {
    for (const auto permission : role.permissions) EXPECT_TRUE(check_permission_pattern(permission)) << permission;
  }
}

}  // namespace
}  // namespace bulkhead::access
