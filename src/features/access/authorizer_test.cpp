#include "features/access/authorizer.h"

#include <gtest/gtest.h>

namespace bulkhead::access {
namespace {

class AuthorizerTest : public testing::Test {
 protected:
  Principal principal(PrincipalKind kind, std::optional<TenantId> tenant, std::vector<std::string> permissions) {
    Principal made;
    made.kind = kind;
    made.tenant = tenant;
    made.credential_id = "test";
    made.permissions = std::move(permissions);
    return made;
  }
  SeededRandom random_{5};
  TenantId ours_ = TenantId::v4(random_), theirs_ = TenantId::v4(random_);
  metrics::Registry registry_;
  Authorizer authorizer_{registry_};
};

struct Case {
  const char* name;
  PrincipalKind kind;
  bool of_tenant;  // the principal belongs to our organization
  std::vector<std::string> permissions;
  const char* permission;
  // In our organization, in another one, on the platform: the reason, and 0 (allowed) or the status.
  std::pair<const char*, int> ours, theirs, platform;
};

TEST_F(AuthorizerTest, DecisionTable) {
  using enum PrincipalKind;
  const Case cases[] = {
      {"anonymous",
       kAnonymous,
       false,
       {},
       "extension:read",
       {"no_identity", 401},
       {"no_identity", 401},
       {"no_identity", 401}},
      {"anonymous with permissions is still nobody",
       kAnonymous,
       false,
       {"*"},
       "extension:read",
       {"no_identity", 401},
       {"no_identity", 401},
       {"no_identity", 401}},
      {"key with the permission",
       kApiKey,
       true,
       {"extension:read"},
       "extension:read",
       {"role", 0},
       {"other_tenant", 403},
       {"not_platform", 403}},
      {"key with the resource's star",
       kApiKey,
       true,
       {"extension:*"},
       "extension:publish",
       {"role", 0},
       {"other_tenant", 403},
       {"not_platform", 403}},
      {"owner's key", kApiKey, true, {"*"}, "ops:write", {"role", 0}, {"other_tenant", 403}, {"not_platform", 403}},
      {"key without the permission",
       kApiKey,
       true,
       {"extension:read"},
       "extension:write",
       {"missing_permission", 403},
       {"other_tenant", 403},
       {"not_platform", 403}},
      {"key without any",
       kApiKey,
       true,
       {},
       "extension:read",
       {"missing_permission", 403},
       {"other_tenant", 403},
       {"not_platform", 403}},
      {"key without a tenant may nothing",
       kApiKey,
       false,
       {"*"},
       "extension:read",
       {"other_tenant", 403},
       {"other_tenant", 403},
       {"not_platform", 403}},
      {"platform admin",
       kPlatformAdmin,
       false,
       {"*"},
       "ops:write",
       {"platform_admin", 0},
       {"platform_admin", 0},
       {"platform_admin", 0}},
      {"service with the permission",
       kService,
       false,
       {"install:lookup"},
       "install:lookup",
       {"service", 0},
       {"service", 0},
       {"service", 0}},
      {"service without it",
       kService,
       false,
       {"install:lookup"},
       "extension:write",
       {"missing_permission", 403},
       {"missing_permission", 403},
       {"missing_permission", 403}},
      {"service of one tenant",
       kService,
       true,
       {"*"},
       "extension:write",
       {"service", 0},
       {"other_tenant", 403},
       {"not_platform", 403}},
  };
  for (const Case& c : cases) {
    const Principal who = principal(c.kind, c.of_tenant ? std::optional(ours_) : std::nullopt, c.permissions);
    const auto expect = [&](const char* where, std::pair<const char*, int> expected, const Decision& decision,
                            const Status& status) {
      EXPECT_EQ(decision.reason, expected.first) << c.name << ", " << where;
      EXPECT_EQ(decision.allow, expected.second == 0) << c.name << ", " << where;
      EXPECT_EQ(status ? 0 : status.error().http_status(), expected.second) << c.name << ", " << where;
    };
    const auto in = [&](const TenantId& tenant) -> Status {
      auto scope = authorizer_.authorize(who, c.permission, tenant, "/test");
      if (!scope) return fail(scope.error());
      EXPECT_EQ(scope->tenant(), tenant);
      return {};
    };
    expect("ours", c.ours, authorizer_.decide(who, c.permission, ours_), in(ours_));
    expect("theirs", c.theirs, authorizer_.decide(who, c.permission, theirs_), in(theirs_));
    expect("platform", c.platform, authorizer_.decide_platform(who, c.permission),
           authorizer_.authorize_platform(who, c.permission, "/test"));
  }
}

TEST_F(AuthorizerTest, AnotherTenantsPrivateResourceLooksLikeNone) {
  const Principal key = principal(PrincipalKind::kApiKey, ours_, {"*"});
  EXPECT_EQ(authorizer_.authorize(key, "extension:read", theirs_, "/test", OtherTenant::kNotFound).error().code,
            ErrorCode::kNotFound);
  EXPECT_EQ(authorizer_.authorize(key, "extension:read", theirs_, "/test").error().code, ErrorCode::kTenantMismatch);
}

TEST_F(AuthorizerTest, DenialsAreCountedByRouteAndReason) {
  const Principal key = principal(PrincipalKind::kApiKey, ours_, {});
  for (int i = 0; i < 3; ++i) {
    EXPECT_FALSE(authorizer_.authorize(key, "extension:read", ours_, "/api/installs/:id"));
  }
  auto& counter =
      registry_.counter("authz_denied_total", "", {{"route", "/api/installs/:id"}, {"reason", "missing_permission"}});
  EXPECT_EQ(counter.value(), 3U);
}

}  // namespace
}  // namespace bulkhead::access
