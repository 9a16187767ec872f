// Installs: grants, settings, versions, rollouts, look-ups; through the routes.
#include <gtest/gtest.h>

#include "features/extensions/room_testing.h"
#include "features/extensions/runner_domain.h"

namespace bulkhead::extensions {
namespace {

using net::Method;

class Installing : public testing::TestWithParam<sql::Engine> {
 protected:
  Installing() {
    room_.trust_key();
    const json::object more{
        {"capabilities", {"storage.kv", "http.fetch"}},
        {"egress", {"*.example.org", "api.example.com"}},
        {"config",
         {{"type", "object"}, {"properties", {{"currency", {{"type", "string"}}}}}, {"additionalProperties", false}}},
        {"api", {{"endpoints", {{{"method", "GET"}, {"path", "/a/{id}"}, {"handler", "get"}}}}}}};
    for (const char* version : {"1.0.0", "1.1.0"}) {
      const auto published = room_.publish(alices_, room_.hello(version, more));
      EXPECT_EQ(published.status, 201) << json::serialize(published.body);
      extension_ = *ExtensionId::parse(published.text("/extension/id"));
    }
  }
  TestRoom::Answer install(json::object more = {}) {
    more["extension"] = "com.example.hello";
    if (!more.contains("version")) more["version"] = "1.0.0";
    return room_.send(Method::kPost, "/api/installs", bobs_, std::move(more));
  }
  TestRoom::Answer patch(const std::string& id, json::value change,
                         std::vector<std::pair<std::string, std::string>> headers = {}) {
    return room_.send(Method::kPatch, "/api/installs/" + id, bobs_, std::move(change), std::move(headers));
  }
  TestRoom::Answer act(const std::string& id, const std::string& act) {
    return room_.send(Method::kPost, "/api/installs/" + id + "/" + act, bobs_);
  }
  InstalledPtr installed() { return *sql::wait(room_.directory.find(bob_.id, "com.example.hello")); }

  TestRoom room_{GetParam()};
  access::Organization alice_ = room_.access.organization("alice");
  access::Organization bob_ = room_.access.organization("bob");
  std::string alices_ = room_.access.key_in(alice_.id), bobs_ = room_.access.key_in(bob_.id);
  ExtensionId extension_;
};
INSTANTIATE_TEST_SUITE_P(Engines, Installing, testing::ValuesIn(sql::test_engines()), sql::test_engine_name);

TEST_P(Installing, GivesExactlyWhatWasGranted) {
  const auto made = install({{"granted_caps", {"cap:storage.kv", "egress:a.example.org"}},
                             {"granted_egress", {"api.example.com:443"}},
                             {"config", {{"currency", "EUR"}}}});
  ASSERT_EQ(made.status, 201) << json::serialize(made.body);
  EXPECT_EQ(json::serialize(made.body.at("granted_caps")), R"(["storage.kv"])");
  EXPECT_EQ(json::serialize(made.body.at("granted_egress")), R"(["a.example.org","api.example.com:443"])");
  EXPECT_EQ(made.text("/runner_status/state"), "ready");
  EXPECT_EQ(made.text("/runner_ref"), "local");
  const InstalledPtr found = installed();
  ASSERT_TRUE(found);
  EXPECT_TRUE(found->may("storage.kv"));
  EXPECT_FALSE(found->may("http.fetch"));
  EXPECT_EQ(found->granted_egress, (std::vector<std::string>{"a.example.org", "api.example.com:443"}));
  EXPECT_EQ(found->config_json, R"({"currency":"EUR"})");
  EXPECT_EQ(found->current->version, "1.0.0");
  EXPECT_EQ(found->current->endpoints.at(0).path, "/a/:id");
  EXPECT_EQ(found->extension_name, "com.example.hello");
  EXPECT_EQ(room_.count("SELECT COUNT(*) FROM audit_log WHERE action = 'install.create'"), 1);
  EXPECT_EQ(room_.count("SELECT COUNT(*) FROM outbox_event WHERE topic = 'install.changed'"), 1);
}

TEST_P(Installing, RefusesGrantsBeyondTheManifest) {
  EXPECT_EQ(install({{"granted_caps", {"secrets.get"}}}).code(), "capability_unknown");
  EXPECT_EQ(install({{"granted_caps", {"nonsense"}}}).status, 422);
  EXPECT_EQ(install({{"granted_egress", {"evil.com"}}}).code(), "capability_unknown");
  EXPECT_EQ(install({{"granted_egress", {"*.org"}}}).status, 422);
  EXPECT_EQ(room_.count("SELECT COUNT(*) FROM tenant_extension_install"), 0);
}

TEST_P(Installing, SettingsMustMatchTheManifestsSchema) {
  const auto refused = install({{"config", {{"currency", 7}}}});
  EXPECT_EQ(refused.status, 422);
  EXPECT_EQ(refused.code(), "config_invalid");
  EXPECT_EQ(refused.text("/errors/0/pointer"), "/config/currency");
  EXPECT_EQ(install({{"config", json::array()}}).code(), "config_invalid");
  ASSERT_EQ(room_.publish(alices_, room_.hello("2.0.0")).status, 201);
  EXPECT_EQ(install({{"version", "2.0.0"}, {"config", {{"any", 1}}}}).code(), "config_invalid");
  EXPECT_EQ(install({{"version", "2.0.0"}}).status, 201);
}

TEST_P(Installing, OnePerExtensionAndOrganization) {
  ASSERT_EQ(install().status, 201);
  EXPECT_EQ(install().code(), "already_exists");
  EXPECT_EQ(room_.send(Method::kPost, "/api/installs", alices_, {{"extension", extension_.to_string()}}).status, 201);
  EXPECT_EQ(install({{"version", "9.0.0"}}).status, 404);
  EXPECT_EQ(install({{"bogus", 1}}).status, 422);
}

TEST_P(Installing, OtherOrganizationsSeeNothing) {
  const std::string id = install().text("/id");
  const std::string one = "/api/installs/" + id;
  EXPECT_EQ(room_.send(Method::kGet, one, bobs_).status, 200);
  EXPECT_EQ(room_.send(Method::kGet, one, alices_).status, 404);
  EXPECT_EQ(room_.send(Method::kPatch, one, alices_, {{"version", "1.1.0"}}).status, 404);
  EXPECT_EQ(room_.send(Method::kDelete, one, alices_).status, 404);
  EXPECT_EQ(room_.send(Method::kPost, one + "/disable", alices_).status, 404);
  EXPECT_TRUE(room_.send(Method::kGet, "/api/installs", alices_).body.at("items").as_array().empty());
  EXPECT_EQ(room_.send(Method::kGet, "/api/installs", bobs_).body.at("items").as_array().size(), 1U);
  EXPECT_EQ(room_.send(Method::kPatch, one, room_.access.key_in(bob_.id, "viewer"), {{"version", "1.1.0"}}).status,
            403);
}

TEST_P(Installing, AVersionSwitchAndARollbackHoldFromTheNextLookUp) {
  const std::string id = install().text("/id");
  const InstalledPtr in_flight = installed();
  EXPECT_EQ(patch(id, {{"version", "1.1.0"}}).status, 200);
  EXPECT_EQ(installed()->current->version, "1.1.0");
  EXPECT_EQ(in_flight->current->version, "1.0.0");
  EXPECT_EQ(act(id, "rollback").text("/version"), "1.0.0");
  EXPECT_EQ(installed()->current->version, "1.0.0");
  EXPECT_EQ(act(id, "rollback").text("/version"), "1.1.0");
}

TEST_P(Installing, RollbackNeedsAVersionBefore) { EXPECT_EQ(act(install().text("/id"), "rollback").status, 409); }

TEST_P(Installing, RolloutsAreStickyAndGrowWithThePercentage) {
  const std::string id = install().text("/id");
  EXPECT_EQ(patch(id, {{"rollout", {{"version", "1.1.0"}, {"percent", 10}}}}).text("/rollout/version"), "1.1.0");
  const InstalledPtr ten = installed();
  ASSERT_EQ(patch(id, {{"rollout", {{"version", "1.1.0"}, {"percent", 50}}}}).status, 200);
  const InstalledPtr fifty = installed();
  int at_ten = 0, at_fifty = 0;
  for (int caller = 0; caller < 2'000; ++caller) {
    const std::string key = "caller-" + std::to_string(caller);
    const bool early = ten->version_for(key).version == "1.1.0";
    const bool late = fifty->version_for(key).version == "1.1.0";
    EXPECT_EQ(&ten->version_for(key), &ten->version_for(key));
    EXPECT_TRUE(!early || late) << key << " must not go back when the percentage grows";
    at_ten += early ? 1 : 0;
    at_fifty += late ? 1 : 0;
  }
  EXPECT_NEAR(at_ten, 200, 60);
  EXPECT_NEAR(at_fifty, 1'000, 120);
  EXPECT_TRUE(act(id, "rollback").body.at("rollout").is_null());
  EXPECT_EQ(installed()->version_for("caller-1").version, "1.0.0");
  EXPECT_EQ(installed()->rollout, nullptr);
}

TEST_P(Installing, RolloutFormsAreChecked) {
  const std::string id = install().text("/id");
  EXPECT_EQ(patch(id, {{"rollout", {{"version", "1.0.0"}, {"percent", 10}}}}).status, 422);  // is installed already
  EXPECT_EQ(patch(id, {{"rollout", {{"version", "9.0.0"}, {"percent", 10}}}}).status, 404);
  EXPECT_EQ(patch(id, {{"rollout", {{"version", "1.1.0"}, {"percent", 101}}}}).status, 422);
  EXPECT_EQ(patch(id, {{"rollout", {{"version", "1.1.0"}}}}).status, 422);
  EXPECT_EQ(patch(id, {{"rollout", {{"version", "1.1.0"}, {"percent", 100}}}}).status, 200);
  EXPECT_EQ(installed()->version_for("anybody").version, "1.1.0");
  const auto promoted = patch(id, {{"version", "1.1.0"}});
  EXPECT_EQ(promoted.text("/version"), "1.1.0");
  EXPECT_TRUE(promoted.body.at("rollout").is_null());
  EXPECT_EQ(patch(id, {{"rollout", nullptr}}).status, 200);
}

TEST_P(Installing, AVersionThatAsksForLessGetsLess) {
  const std::string id = install({{"granted_caps", {"storage.kv", "http.fetch"}}}).text("/id");
  ASSERT_EQ(room_.publish(alices_, room_.hello("2.0.0", {{"capabilities", {"storage.kv"}}})).status, 201);
  ASSERT_EQ(patch(id, {{"version", "2.0.0"}}).status, 200);
  EXPECT_FALSE(installed()->may("http.fetch"));
  ASSERT_EQ(act(id, "rollback").status, 200);
  EXPECT_TRUE(installed()->may("http.fetch"));
}

TEST_P(Installing, MovingKeepsTheGrantsThatAreNotNamed) {
  const std::string id =
      install({{"granted_caps", {"storage.kv", "http.fetch"}}, {"granted_egress", {"api.example.com"}}}).text("/id");
  const auto moved = patch(id, {{"version", "1.1.0"}});
  EXPECT_EQ(json::serialize(moved.body.at("granted_caps")), R"(["http.fetch","storage.kv"])");
  EXPECT_EQ(json::serialize(moved.body.at("granted_egress")), R"(["api.example.com"])");
  ASSERT_EQ(room_.publish(alices_, room_.hello("2.0.0", {{"capabilities", {"storage.kv"}}})).status, 201);
  // The hosts of before, which 2.0.0 does not ask for, don't stand in the way of grants that name capabilities only.
  EXPECT_EQ(patch(id, {{"version", "2.0.0"}, {"granted_caps", {"storage.kv"}}}).status, 200);
  EXPECT_TRUE(installed()->may("storage.kv"));
  EXPECT_TRUE(installed()->granted_egress.empty());
  EXPECT_EQ(patch(id, {{"granted_caps", json::array()}}).status, 200);
  EXPECT_FALSE(installed()->may("storage.kv"));
}

TEST_P(Installing, DisablingAndUninstallingHoldAtOnce) {
  const std::string id = install().text("/id");
  ASSERT_TRUE(installed());
  EXPECT_EQ(act(id, "disable").body.at("is_enabled"), json::value(false));
  EXPECT_FALSE(installed());
  EXPECT_EQ(act(id, "enable").body.at("is_enabled"), json::value(true));
  ASSERT_TRUE(installed());
  EXPECT_EQ(room_.send(Method::kDelete, "/api/installs/" + id, bobs_).status, 204);
  EXPECT_FALSE(installed());
  EXPECT_EQ(room_.send(Method::kGet, "/api/installs/" + id, bobs_).status, 404);
}

TEST_P(Installing, ChangesCarryRevisions) {
  const std::string id = install().text("/id");
  EXPECT_EQ(patch(id, {{"limits", {{"timeout_ms", 9'000}, {"memory_mb", 64}}}}, {{"if-match", "\"1\""}}).status, 200);
  EXPECT_EQ(installed()->limits.timeout, Millis(9'000));
  EXPECT_EQ(installed()->limits.memory, 64_MiB);
  EXPECT_EQ(patch(id, {{"limits", json::object()}}, {{"if-match", "\"1\""}}).status, 412);
  EXPECT_EQ(patch(id, {{"limits", {{"timeout_ms", 30'001}}}}).text("/errors/0/pointer"), "/limits/timeout_ms");
  EXPECT_EQ(patch(id, {{"limits", {{"timeout", 1}}}}).status, 422);
}

TEST_P(Installing, WhatIsNoLongerTrustedIsNotInstalled) {
  const auto entries = room_.send(Method::kGet, "/api/v1/trust", access::kTestAdminToken);
  const std::string id = install().text("/id");
  ASSERT_EQ(room_.send(Method::kDelete, "/api/v1/trust/" + entries.text("/items/0/id"), access::kTestAdminToken).status,
            204);
  const auto refused = room_.send(Method::kPost, "/api/installs", alices_, {{"extension", "com.example.hello"}});
  EXPECT_EQ(refused.code(), "signature_invalid");
  EXPECT_EQ(patch(id, {{"version", "1.1.0"}}).code(), "signature_invalid");
}

TEST_P(Installing, DomainsNameOrganizationAndExtensionAndGrowOnCollisions) {
  const auto wanted = runner_domain_candidates(bob_.id, extension_, "apps.test");
  EXPECT_EQ(wanted.at(0), bob_.id.to_string().substr(0, 8) + "--" + extension_.to_string().substr(0, 8) + ".apps.test");
  const std::string others =
      room_.send(Method::kPost, "/api/installs", alices_, {{"extension", "com.example.hello"}}).text("/id");
  for (std::size_t taken = 0; taken < wanted.size(); ++taken) {
    const auto made = install();
    ASSERT_EQ(made.status, 201);
    EXPECT_EQ(made.text("/runner_domain"), wanted.at(taken));
    ASSERT_EQ(room_.send(Method::kDelete, "/api/installs/" + made.text("/id"), bobs_).status, 204);
    // Now somebody else has it; the row of alice can have only one domain, so each further one needs its own holder.
    ASSERT_TRUE(sql::wait(room_.access.database->system_write([&](sql::SystemTx& tx) {
      return tx.execute(
          "INSERT INTO tenant_extension_install SELECT $1, $2, extension_id, version_id, previous_version_id, "
          "rollout_version_id, rollout_percent, granted_caps, granted_egress, config, limits, is_enabled, status, $3, "
          "runner_state, runner_message, runner_updated_at, runner_ref, revision, created_by, created_at, updated_at "
          "FROM tenant_extension_install WHERE id = $4",
          {InstallId::v4(room_.access.random), TenantId::v4(room_.access.random), wanted.at(taken), others});
    })));
  }
  EXPECT_EQ(install().status, 409);
}

TEST_P(Installing, LookUpsByHostServeRunnersAndTheUiHost) {
  const auto made = install();
  const std::string domain = made.text("/runner_domain");
  const auto look_up = [&](const std::string& query, const std::string& token = access::kTestAdminToken) {
    return room_.send(Method::kGet, "/api/installs/lookup-by-host" + query, token);
  };
  const auto found = look_up("?host=" + domain);
  ASSERT_EQ(found.status, 200);
  EXPECT_EQ(found.text("/tenant_id"), bob_.id.to_string());
  EXPECT_EQ(found.text("/extension_id"), extension_.to_string());
  EXPECT_EQ(found.text("/content_hash"), made.text("/content_hash"));
  std::string shouted = domain;
  for (char& c : shouted) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  EXPECT_EQ(look_up("?host=" + shouted + ".%3A8443").status, 200);
  EXPECT_EQ(look_up("").code(), "missing_parameter");
  EXPECT_EQ(look_up("?host=unknown.apps.test").status, 404);
  EXPECT_EQ(look_up("?host=" + domain, bobs_).status, 403);
  ASSERT_EQ(act(made.text("/id"), "disable").status, 200);
  EXPECT_EQ(look_up("?host=" + domain).status, 404);
}

TEST_P(Installing, ValidateSaysWhichBundlesRun) {
  const auto made = install();
  const std::string hash = made.text("/content_hash");
  const auto validate = [&](const std::string& tenant, const std::string& extension, const std::string& content_hash) {
    return room_.send(Method::kGet,
                      "/api/installs/validate?tenant=" + tenant + "&extension=" + extension + "&hash=" + content_hash,
                      access::kTestAdminToken);
  };
  const std::string tenant = bob_.id.to_string(), extension = extension_.to_string();
  EXPECT_EQ(validate(tenant, extension, hash).body.at("valid"), json::value(true));
  EXPECT_EQ(validate(tenant, extension, hash.substr(7)).body.at("valid"), json::value(true));
  EXPECT_EQ(validate(tenant, extension, std::string(64, '0')).body.at("valid"), json::value(false));
  EXPECT_EQ(validate(alice_.id.to_string(), extension, hash).status, 404);
  EXPECT_EQ(validate(tenant, "com.example.none", hash).status, 404);
  EXPECT_EQ(validate(tenant, extension, "x").status, 400);
  EXPECT_EQ(validate(tenant, extension, "").code(), "missing_parameter");
}

TEST_P(Installing, ProvisioningIsTakenUpAfterACrash) {
  const std::string id = install().text("/id");
  const auto set_state = [&](const std::string& state, UtcMicros at) {
    ASSERT_TRUE(sql::wait(room_.access.database->system_write([&](sql::SystemTx& tx) {
      return tx.execute("UPDATE tenant_extension_install SET runner_state = $1, runner_updated_at = $2", {state, at});
    })));
  };
  const auto state = [&] {
    return room_.send(Method::kGet, "/api/installs/" + id, bobs_).text("/runner_status/state");
  };
  set_state("provisioning", room_.access.clock.now());
  ASSERT_TRUE(sql::wait(room_.provisioning.run_once()));
  EXPECT_EQ(state(), "provisioning") << "another node may be at it";
  room_.access.clock.advance(std::chrono::minutes(2));
  ASSERT_TRUE(sql::wait(room_.provisioning.run_once()));
  EXPECT_EQ(state(), "ready");
  set_state("error", room_.access.clock.now());
  EXPECT_EQ(act(id, "reprovision").text("/runner_status/state"), "ready");
}

}  // namespace
}  // namespace bulkhead::extensions
