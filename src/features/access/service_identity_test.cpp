#include "features/access/service_identity.h"

#include <gtest/gtest.h>

namespace bulkhead::access {
namespace {

TEST(ServiceIdentity, TokenTable) {
  SeededRandom random(4);
  const ServiceKeys keys = make_service_keys(random), other_keys = make_service_keys(random);
  const TenantId first = TenantId::v4(random), second = TenantId::v4(random);
  ManualClock clock;
  const auto verify = service_token_verifier(keys.public_key, {"install:lookup"}, clock);
  const auto token = [&](std::string audience, std::vector<TenantId> tenants, const ServiceKeys& signer) {
    return sign_service_token({.issuer = "runner-1",
                               .audience = std::move(audience),
                               .issued_at = clock.now(),
                               .expires_at = clock.now() + std::chrono::minutes(5),
                               .tenants = std::move(tenants)},
                              signer.secret_key);
  };
  const auto everywhere = verify(token("api", {}, keys));
  ASSERT_TRUE(everywhere);
  EXPECT_EQ(everywhere->principal->kind, PrincipalKind::kService);
  EXPECT_EQ(everywhere->principal->credential_id, "service:runner-1");
  EXPECT_TRUE(everywhere->principal->has("install:lookup"));
  EXPECT_FALSE(everywhere->principal->has("install:write"));
  EXPECT_FALSE(everywhere->principal->tenant);
  EXPECT_EQ(everywhere->expires_at, clock.now() + std::chrono::minutes(5));
  EXPECT_EQ(verify(token("api", {first}, keys))->principal->tenant, first);
  EXPECT_FALSE(verify(token("api", {first, second}, keys)));
  EXPECT_FALSE(verify(token("runner", {}, keys))) << "another audience";
  EXPECT_FALSE(verify(token("api", {}, other_keys))) << "another signer";
  EXPECT_FALSE(verify("nonsense"));
  const std::string late = token("api", {}, keys);
  clock.advance(std::chrono::minutes(6));
  EXPECT_FALSE(verify(late));
}

}  // namespace
}  // namespace bulkhead::access
