#include "features/access/authenticator.h"

#include <gtest/gtest.h>

#include "features/access/api_key.h"
#include "features/access/room_testing.h"

namespace bulkhead::access {
namespace {

using Sent = std::vector<std::pair<const char*, std::string>>;

class AuthenticatorTest : public testing::TestWithParam<sql::Engine> {
 protected:
  Result<PrincipalPtr> authenticate(const Sent& headers, const char* client = "192.0.2.1", std::size_t core = 0) {
    net::RequestHead head;
    for (const auto& [name, value] : headers) head.headers.add(name, value);
    const RequestOrigin origin{.client = boost::asio::ip::make_address(client),
                               .local_socket = false,
                               .request_id = "r-1",
                               .method = "GET",
                               .route = "/test",
                               .core = core};
    auto attempt = room_.authenticator.attempt(head, origin);
    if (attempt.outcome) return *attempt.outcome;
    return sql::wait(room_.authenticator.look_up(attempt, origin));
  }
  Result<PrincipalPtr> bearer(const std::string& token, const char* client = "192.0.2.1", std::size_t core = 0) {
    return authenticate({{"authorization", "Bearer " + token}}, client, core);
  }
  std::uint64_t look_ups() { return room_.registry.counter("auth_lookups_total", "").value(); }
  IssuedApiKey issue(NewApiKey wanted) {
    return sql::wait(room_.api_keys.create({"t", "", ""}, room_.admin, scope_, std::move(wanted))).value();
  }
  static NewApiKey viewer() {
    return {.name = "k", .role = "viewer", .scopes = {}, .ip_allowlist = {}, .expires_at = {}};
  }

  asio::io_context context_{1};  // outlives the database, which wakes it
  TestRoom room_{GetParam()};
  Organization organization_ = room_.organization("acme");
  TenantScope scope_ = room_.scope(organization_.id);
};

TEST_P(AuthenticatorTest, AKeyIsItsOrganizationsServicePrincipal) {
  const auto issued = issue(viewer());
  for (const Sent& headers : {Sent{{"authorization", "Bearer " + issued.text}}, Sent{{"X-API-Key", issued.text}},
                              Sent{{"Authorization", "bearer   " + issued.text}},
                              Sent{{"authorization", "Bearer " + issued.text}, {"x-api-key", issued.text}}}) {
    const auto principal = authenticate(headers);
    ASSERT_TRUE(principal) << principal.error().to_log_string();
    EXPECT_EQ((*principal)->kind, PrincipalKind::kApiKey);
    EXPECT_EQ((*principal)->tenant, organization_.id);
    EXPECT_EQ((*principal)->tenant_slug, "acme");
    EXPECT_EQ((*principal)->credential_id, "key:" + issued.record.id.to_string());
    EXPECT_TRUE((*principal)->has("extension:read"));
    EXPECT_FALSE((*principal)->has("extension:write"));
  }
}

TEST_P(AuthenticatorTest, ABadCredentialNeverFallsThrough) {
  const std::string good = issue(viewer()).text;
  SeededRandom random(77);
  const std::string never_issued = generate_api_key(random);
  struct Case {
    const char* name;
    Sent headers;
    ErrorCode code;
  };
  const Case cases[] = {
      {"none", {}, ErrorCode::kUnauthenticated},
      {"unknown key", {{"authorization", "Bearer " + never_issued}}, ErrorCode::kInvalidCredential},
      {"unknown key again, now from the cache",
       {{"authorization", "Bearer " + never_issued}},
       ErrorCode::kInvalidCredential},
      {"mistyped key",
       {{"authorization", "Bearer " + good.substr(0, 55) + (good[55] == 'a' ? "b" : "a")}},
       ErrorCode::kInvalidCredential},
      {"basic beside a good key",
       {{"authorization", "Basic YTpi"}, {"x-api-key", good}},
       ErrorCode::kInvalidCredential},
      {"bad bearer beside a good key",
       {{"authorization", "Bearer x"}, {"x-api-key", good}},
       ErrorCode::kInvalidCredential},
      {"good bearer beside a bad key",
       {{"authorization", "Bearer " + good}, {"x-api-key", "x"}},
       ErrorCode::kInvalidCredential},
      {"two authorizations",
       {{"authorization", "Bearer " + good}, {"authorization", "Bearer " + good}},
       ErrorCode::kInvalidCredential},
      {"two keys", {{"x-api-key", good}, {"x-api-key", good}}, ErrorCode::kInvalidCredential},
      {"no token", {{"authorization", "Bearer"}}, ErrorCode::kInvalidCredential},
      {"only spaces", {{"authorization", "Bearer    "}}, ErrorCode::kInvalidCredential},
      {"no space", {{"authorization", "Bearer" + good}}, ErrorCode::kInvalidCredential},
      {"trailing text", {{"authorization", "Bearer " + good + " x"}}, ErrorCode::kInvalidCredential},
      {"empty key header", {{"x-api-key", ""}}, ErrorCode::kInvalidCredential},
      {"far too long", {{"x-api-key", std::string(10'000, 'a')}}, ErrorCode::kInvalidCredential},
      {"a word", {{"authorization", "Bearer admin"}}, ErrorCode::kInvalidCredential},
  };
  for (const Case& c : cases) {
    const auto result = authenticate(c.headers);
    ASSERT_FALSE(result) << c.name;
    EXPECT_EQ(result.error().code, c.code) << c.name;
    EXPECT_EQ(result.error().http_status(), 401) << c.name;
  }
}

TEST_P(AuthenticatorTest, MistypedKeysNeverReachTheStore) {
  const std::string good = issue(viewer()).text;
  EXPECT_FALSE(bearer(good.substr(0, 55) + (good[55] == 'a' ? "b" : "a")));
  EXPECT_FALSE(bearer("bh_key_" + std::string(49, 'a')));
  EXPECT_EQ(look_ups(), 0U);
}

TEST_P(AuthenticatorTest, IsCachedForAMinutePerCore) {
  const std::string key = issue(viewer()).text;
  ASSERT_TRUE(bearer(key));
  ASSERT_TRUE(bearer(key));
  EXPECT_EQ(look_ups(), 1U);
  ASSERT_TRUE(bearer(key, "192.0.2.1", 1));
  EXPECT_EQ(look_ups(), 2U);
  room_.clock.advance(std::chrono::seconds(59));
  ASSERT_TRUE(bearer(key));
  EXPECT_EQ(look_ups(), 2U);
  room_.clock.advance(std::chrono::seconds(2));
  ASSERT_TRUE(bearer(key));
  EXPECT_EQ(look_ups(), 3U);
}

TEST_P(AuthenticatorTest, RefusalsAreCachedBriefly) {
  SeededRandom random(78);
  const std::string unknown = generate_api_key(random);
  for (int i = 0; i < 5; ++i) EXPECT_FALSE(bearer(unknown));
  EXPECT_EQ(look_ups(), 1U);
  room_.clock.advance(std::chrono::seconds(6));
  EXPECT_FALSE(bearer(unknown));
  EXPECT_EQ(look_ups(), 2U);
}

TEST_P(AuthenticatorTest, ARevokedKeyIsRefusedAtOnceOnEveryCore) {
  const auto issued = issue(viewer());
  const auto neighbour = issue(viewer());
  for (std::size_t core : {0U, 1U}) {
    ASSERT_TRUE(bearer(issued.text, "192.0.2.1", core));
    ASSERT_TRUE(bearer(neighbour.text, "192.0.2.1", core));
  }
  const auto before = look_ups();
  ASSERT_TRUE(sql::wait(room_.api_keys.revoke({"t", "", ""}, scope_, issued.record.id)));
  for (std::size_t core : {0U, 1U}) {
    EXPECT_FALSE(bearer(issued.text, "192.0.2.1", core));
    EXPECT_TRUE(bearer(neighbour.text, "192.0.2.1", core));
  }
  EXPECT_EQ(look_ups(), before + 2) << "only the revoked key was looked up again";
}

// The look-up has read the key, or is about to, when the revocation is answered: it must not win.
TEST_P(AuthenticatorTest, ALookUpThatBeganBeforeARevocationIsDoneAgain) {
  const auto issued = issue(viewer());
  net::RequestHead head;
  head.headers.add("x-api-key", issued.text);
  const auto attempt = room_.authenticator.attempt(head, {});
  std::optional<Result<PrincipalPtr>> outcome;
  const auto look_up = [&]() -> Task<> { outcome.emplace(co_await room_.authenticator.look_up(attempt, {})); };
  asio::co_spawn(context_, look_up(), [](std::exception_ptr escaped) { EXPECT_FALSE(escaped); });
  // Exactly the step that asks the store: what it answers waits until after the revocation.
  ASSERT_EQ(context_.poll_one(), 1U);
  ASSERT_TRUE(sql::wait(room_.api_keys.revoke({"t", "", ""}, scope_, issued.record.id)));
  context_.run();
  ASSERT_TRUE(outcome);
  EXPECT_FALSE(*outcome);
  EXPECT_EQ(look_ups(), 2U);
  EXPECT_FALSE(bearer(issued.text));
}

TEST_P(AuthenticatorTest, AnotherNodesInvalidationEvictsToo) {
  const auto issued = issue(viewer());
  ASSERT_TRUE(bearer(issued.text));
  ASSERT_TRUE(sql::wait(room_.database->write(
      scope_, [&](sql::TenantTx& tx) { return set_api_key_revoked(tx, issued.record.id, room_.clock.now()); })));
  EXPECT_TRUE(bearer(issued.text)) << "still cached: nobody has said anything yet";
  room_.bus->publish({"policy.invalidate." + issued.record.id.to_string(), "{}"});
  room_.cores.at(0).context().poll();
  EXPECT_FALSE(bearer(issued.text));
}

TEST_P(AuthenticatorTest, InvalidatingAllForgetsAll) {
  const auto issued = issue(viewer());
  ASSERT_TRUE(bearer(issued.text));
  room_.invalidations.announce_all();
  ASSERT_TRUE(bearer(issued.text));
  EXPECT_EQ(look_ups(), 2U);
}

TEST_P(AuthenticatorTest, MoreInvalidationsThanAreRememberedForgetAll) {
  const auto issued = issue(viewer());
  ASSERT_TRUE(bearer(issued.text));
  for (int i = 0; i < 300; ++i) room_.invalidations.announce(ApiKeyId::v4(room_.random));
  ASSERT_TRUE(bearer(issued.text));
  EXPECT_EQ(look_ups(), 2U);
}

TEST_P(AuthenticatorTest, ACachedKeyStillExpiresOnTime) {
  NewApiKey wanted = viewer();
  wanted.expires_at = room_.clock.now() + std::chrono::seconds(10);
  const auto issued = issue(wanted);
  ASSERT_TRUE(bearer(issued.text));
  room_.clock.advance(std::chrono::seconds(11));
  EXPECT_FALSE(bearer(issued.text));
}

TEST_P(AuthenticatorTest, RotationShortensTheOldKeyInEveryCache) {
  const auto issued = issue(viewer());
  ASSERT_TRUE(bearer(issued.text));
  const auto next =
      sql::wait(room_.api_keys.rotate({"t", "", ""}, room_.admin, scope_, issued.record.id, std::chrono::seconds(30)))
          .value();
  EXPECT_TRUE(bearer(issued.text));
  EXPECT_TRUE(bearer(next.text));
  room_.clock.advance(std::chrono::seconds(31));
  EXPECT_FALSE(bearer(issued.text));
  EXPECT_TRUE(bearer(next.text));
}

TEST_P(AuthenticatorTest, TheAllowlistHoldsForCachedAndUncachedKeys) {
  NewApiKey wanted = viewer();
  wanted.ip_allowlist = {"192.0.2.0/24", "2001:db8::/32"};
  const auto issued = issue(wanted);
  EXPECT_FALSE(bearer(issued.text, "198.51.100.1"));
  EXPECT_TRUE(bearer(issued.text, "192.0.2.77"));
  EXPECT_FALSE(bearer(issued.text, "198.51.100.1"));
  EXPECT_TRUE(bearer(issued.text, "2001:db8::5"));
  EXPECT_FALSE(bearer(issued.text, "2001:db9::5"));
}

TEST_P(AuthenticatorTest, ThePlatformAdminsTokenIsAuditedEveryTime) {
  for (int i = 0; i < 2; ++i) {
    const auto principal = bearer(kTestAdminToken);
    ASSERT_TRUE(principal) << principal.error().to_log_string();
    EXPECT_EQ((*principal)->kind, PrincipalKind::kPlatformAdmin);
  }
  const auto rows =
      sql::wait(room_.database->system_read([](sql::SystemTx& tx) { return list_platform_audit(tx, {}, 10); })).value();
  ASSERT_GE(rows.size(), 2U);
  EXPECT_EQ(rows[0].action, "platform_admin.use");
  EXPECT_EQ(rows[0].resource, "GET /test");
  EXPECT_EQ(rows[0].ip, "192.0.2.1");
  EXPECT_EQ(rows[1].action, "platform_admin.use");
  EXPECT_EQ(room_.registry.counter("platform_admin_uses_total", "").value(), 2U);
}

TEST_P(AuthenticatorTest, ThePlatformAdminIsNotLetInUnaudited) {
  room_.database->close();
  const auto principal = bearer(kTestAdminToken);
  ASSERT_FALSE(principal);
  EXPECT_EQ(principal.error().http_status(), 503);
}

TEST_P(AuthenticatorTest, NoAdminTokenMeansNobodyIsTheAdmin) {
  Authenticator authenticator(1, *room_.database, room_.invalidations, room_.clock, room_.random, room_.registry, {});
  for (const char* token : {kTestAdminToken, "", " ", "platform_admin"}) {
    net::RequestHead head;
    head.headers.add("authorization", std::string("Bearer ") + token);
    const auto attempt = authenticator.attempt(head, {});
    ASSERT_TRUE(attempt.outcome) << token;
    EXPECT_FALSE(*attempt.outcome) << token;
  }
}

TEST_P(AuthenticatorTest, ServiceTokensAreVerifiedOnceAndCachedUntilTheyExpire) {
  int verified = 0;
  const UtcMicros end = room_.clock.now() + std::chrono::seconds(30);
  const auto verify = [&](std::string_view token) -> std::optional<Authenticator::ServiceIdentity> {
    ++verified;
    if (token != "service-token") return std::nullopt;
    auto principal = std::make_shared<Principal>();
    principal->kind = PrincipalKind::kService;
    principal->credential_id = "service:runner";
    return Authenticator::ServiceIdentity{principal, end};
  };
  Authenticator authenticator(1, *room_.database, room_.invalidations, room_.clock, room_.random, room_.registry,
                              {.platform_admin_token = {},
                               .service_tokens = verify,
                               .cache_for = Millis(60'000),
                               .cache_refusals_for = Millis(5'000),
                               .cache_entries_per_core = 16});
  const auto ask = [&](const char* token) -> Result<PrincipalPtr> {
    net::RequestHead head;
    head.headers.add("authorization", std::string("Bearer ") + token);
    auto attempt = authenticator.attempt(head, {});
    if (attempt.outcome) return *attempt.outcome;
    return sql::wait(authenticator.look_up(attempt, {}));
  };
  EXPECT_EQ(ask("service-token").value()->credential_id, "service:runner");
  EXPECT_TRUE(ask("service-token"));
  EXPECT_EQ(verified, 1);
  EXPECT_FALSE(ask("other"));
  EXPECT_FALSE(ask("other"));
  EXPECT_EQ(verified, 2);
  room_.clock.advance(std::chrono::seconds(31));
  EXPECT_FALSE(ask("service-token"));
}

TEST_P(AuthenticatorTest, LastUseIsNotedToTheMinute) {
  const auto issued = issue(viewer());
  const auto last_used = [&] { return sql::wait(room_.api_keys.list(scope_, "", 10)).value()[0].last_used_at; };
  ASSERT_TRUE(bearer(issued.text));
  EXPECT_FALSE(last_used());
  ASSERT_TRUE(sql::wait(room_.authenticator.write_last_used(0)));
  ASSERT_TRUE(last_used());
  EXPECT_EQ(last_used()->value, room_.clock.now().value / 60'000'000 * 60'000'000);
}

// More keys than the cache has room for: all still authenticate, and the table stays as big as it was made.
TEST_P(AuthenticatorTest, TheCacheIsBounded) {
  std::vector<std::string> keys;
  for (int i = 0; i < 100; ++i) keys.push_back(issue(viewer()).text);
  for (int round = 0; round < 2; ++round) {
    for (const auto& key : keys) EXPECT_TRUE(bearer(key));
  }
}

INSTANTIATE_TEST_SUITE_P(Engines, AuthenticatorTest, testing::ValuesIn(sql::test_engines()), sql::test_engine_name);

}  // namespace
}  // namespace bulkhead::access
