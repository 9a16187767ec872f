// The room on both engines, as src/server wires it: policy, service, routes.
#include <gtest/gtest.h>

#include <algorithm>

#include "features/access/room_testing.h"
#include "features/quarantine/call_policy.h"
#include "features/quarantine/routes.h"
#include "platform/bus/outbox.h"

namespace bulkhead {
std::vector<sql::Migration> quarantine_migrations();
}

namespace bulkhead::quarantine {
namespace {

using invocations::Invocation;
using invocations::Outcome;

// A node: its own memory, the shared store.
struct Node {
  Node(access::TestRoom& access, sql::Database& database, CallPolicyOptions options = {})
      : service({database, access.clock, access.random, [] {}, [](Task<> task) { sql::start_task(std::move(task)); }},
                registry),
        policy(std::move(options), service, access.clock, registry) {
    service.on_release([this](const InstallId& install) { policy.release(install); });
  }
  metrics::Registry registry;
  QuarantineService service;
  CallPolicy policy;
};

class QuarantineTest : public testing::TestWithParam<sql::Engine> {
 protected:
  QuarantineTest() {
    std::vector<sql::Migration> migrations = bus_migrations();
    for (auto& migration : quarantine_migrations()) migrations.push_back(migration);
    BH_ASSERT(access_.database->migrate(migrations).has_value());
    node_ = std::make_unique<Node>(access_, *access_.database, options());
    access::Routes routes = access::access_routes({*access_.database, access_.organizations, access_.api_keys,
                                                   access_.tenants, access_.authorizer, access_.clock});
    for (auto& route : quarantine_routes({access_.authorizer, access_.tenants, node_->service})) {
      routes.push_back(std::move(route));
    }
    access_.service = std::make_unique<access::RouteService>(
        access_.cores, *access::RouteTable::build(std::move(routes)), access_.authenticator, nullptr, access_.clock,
        access_.registry, access::RouteService::Options{});
  }
  static CallPolicyOptions options() {
    CallPolicyOptions options;
    options.thresholds.traps = 5;
    options.breaker_enabled = false;
    return options;
  }
  extensions::InstalledPtr install_in(const TenantId& tenant) {
    auto install = std::make_shared<extensions::InstalledExtension>();
    install->tenant_id = tenant;
    install->install_id = InstallId::v4(access_.random);
    install->extension_id = ExtensionId::v4(access_.random);
    return install;
  }
  Status call(Node& node, const extensions::InstalledPtr& install, std::optional<ErrorCode> error) {
    Invocation invocation;
    invocation.install = install;
    BH_TRY_VOID(node.policy.admit(0, invocation));
    protocol::ExecuteResponse response;
    if (error) response.error = fail(*error).error();
    node.policy.observe(
        0, invocation,
        {.id = {}, .started_at = {}, .ended_at = {}, .answer = std::move(response), .fate = invocations::Fate::kRan});
    return {};
  }
  void crash(Node& node, const extensions::InstalledPtr& install) {
    for (int i = 0; i < 5; ++i) EXPECT_TRUE(call(node, install, ErrorCode::kTrap));
    sql::run_tasks();
  }
  std::vector<std::string> outbox_topics() {
    const auto rows = sql::wait(
        access_.database->system_read([](sql::SystemTx& tx) { return tx.query("SELECT topic FROM outbox_event"); }));
    std::vector<std::string> topics;
    for (const auto& row : *rows) topics.push_back(row.text(0));
    return topics;
  }
  json::value get(const std::string& token) {
    return access_.json_of(access_.send(net::Method::kGet, "/api/v1/quarantine", token));
  }

  access::TestRoom access_{GetParam()};
  std::unique_ptr<Node> node_;
};

TEST_P(QuarantineTest, RefusesTheCallsOfAnInstallThatKeepsCrashing) {
  const auto tenant = access_.organization("acme").id;
  const auto crashing = install_in(tenant);
  const auto neighbour = install_in(tenant);
  crash(*node_, crashing);
  const auto refused = call(*node_, crashing, std::nullopt);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::kQuarantined);
  EXPECT_EQ(refused.error().http_status(), 503);
  EXPECT_GT(refused.error().retry_after_ms, 0);
  EXPECT_TRUE(call(*node_, neighbour, std::nullopt));
}

TEST_P(QuarantineTest, NeverCountsWhatCallersOrHandlersGetWrong) {
  const auto install = install_in(access_.organization("acme").id);
  for (const ErrorCode code : {ErrorCode::kHandlerError, ErrorCode::kTimeout, ErrorCode::kConcurrencyExceeded,
                               ErrorCode::kRunnerOverloaded, ErrorCode::kBundleFetchFailed}) {
    for (int i = 0; i < 100; ++i) EXPECT_TRUE(call(*node_, install, code));
  }
}

TEST_P(QuarantineTest, SurvivesARestartAndIsHeardOfByOtherNodes) {
  const auto install = install_in(access_.organization("acme").id);
  crash(*node_, install);
  Node after_restart(access_, *access_.database);
  ASSERT_TRUE(sql::wait(after_restart.service.load()));
  const auto found = after_restart.service.find(install->install_id);
  ASSERT_TRUE(found);
  EXPECT_EQ(found->reason, Reason::kTraps);
  EXPECT_EQ(found->message, "5 of its last 5 calls crashed within 5 minutes.");
  EXPECT_EQ(outbox_topics(), std::vector<std::string>{"install.quarantined"});
}

TEST_P(QuarantineTest, IsListedAndReleasedByTheOrganizationsAdmins) {
  const auto acme = access_.organization("acme").id;
  const auto other = access_.organization("other").id;
  const auto install = install_in(acme);
  crash(*node_, install);
  const std::string admin = access_.key_in(acme, "admin");
  const std::string viewer = access_.key_in(acme, "viewer");
  const std::string stranger = access_.key_in(other, "admin");
  const json::value listed = get(admin);
  ASSERT_EQ(listed.at("items").as_array().size(), 1U);
  EXPECT_EQ(listed.at_pointer("/items/0/install_id").as_string(), install->install_id.to_string());
  EXPECT_EQ(listed.at_pointer("/items/0/reason").as_string(), "traps");
  EXPECT_TRUE(listed.at_pointer("/items/0/until").is_null());
  EXPECT_EQ(get(viewer).at("items").as_array().size(), 1U);
  EXPECT_EQ(get(stranger).at("items").as_array().size(), 0U);
  EXPECT_EQ(get(access::kTestAdminToken).at("items").as_array().size(), 1U) << "operators see all organizations";

  const std::string path = "/api/v1/quarantine/" + install->install_id.to_string() + "/release";
  EXPECT_EQ(access_.send(net::Method::kPost, path).status, 401);
  EXPECT_EQ(access_.send(net::Method::kPost, path, viewer).status, 403);
  EXPECT_EQ(access_.send(net::Method::kPost, path, stranger).status, 404);
  EXPECT_FALSE(call(*node_, install, std::nullopt));
  EXPECT_EQ(access_.send(net::Method::kPost, path, admin).status, 200);
  EXPECT_EQ(access_.send(net::Method::kPost, path, admin).status, 404);
  EXPECT_TRUE(call(*node_, install, std::nullopt));
  EXPECT_EQ(get(admin).at("items").as_array().size(), 0U);
  EXPECT_EQ(outbox_topics(), (std::vector<std::string>{"install.quarantined", "install.released"}));
  const auto audit = sql::wait(access_.database->read(
      access_.scope(acme), [](sql::TenantTx& tx) { return access::list_audit(tx, std::nullopt, 10); }));
  ASSERT_GE(audit->size(), 2U);
  EXPECT_EQ(audit->at(0).action, "install.release");
  const auto quarantined = std::ranges::find(*audit, "install.quarantine", &access::AuditRow::action);
  ASSERT_NE(quarantined, audit->end());
  EXPECT_EQ(quarantined->actor, "system:quarantine");
}

TEST_P(QuarantineTest, StartsAnewAfterARelease) {
  const auto tenant = access_.organization("acme").id;
  const auto install = install_in(tenant);
  crash(*node_, install);
  ASSERT_TRUE(sql::wait(node_->service.release({"test", "", ""}, access_.scope(tenant), install->install_id)));
  for (int i = 0; i < 4; ++i) EXPECT_TRUE(call(*node_, install, ErrorCode::kTrap));
  EXPECT_TRUE(call(*node_, install, ErrorCode::kTrap));
  EXPECT_FALSE(call(*node_, install, std::nullopt)) << "it may be quarantined again";
  sql::run_tasks();
}

TEST_P(QuarantineTest, EndsByItselfWhereATimeIsConfigured) {
  CallPolicyOptions timed = options();
  timed.quarantine_time = Millis(60'000);
  Node node(access_, *access_.database, timed);
  const auto install = install_in(access_.organization("acme").id);
  crash(node, install);
  const auto refused = call(node, install, std::nullopt);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().retry_after_ms, 60'000);
  access_.clock.advance(std::chrono::seconds(60));
  EXPECT_TRUE(call(node, install, std::nullopt));
  crash(node, install);
  EXPECT_FALSE(call(node, install, std::nullopt)) << "the row of the first time does not hide the second";
}

TEST_P(QuarantineTest, GoesWithTheInstall) {
  const auto tenant = access_.organization("acme").id;
  const auto install = install_in(tenant);
  crash(*node_, install);
  ASSERT_TRUE(sql::wait(access_.database->write(
      access_.scope(tenant), [&](sql::TenantTx& tx) { return node_->service.forget(tx, install->install_id); })));
  EXPECT_EQ(get(access::kTestAdminToken).at("items").as_array().size(), 0U);
}

TEST_P(QuarantineTest, PausesAnExtensionThatFailsMostCallsAndTriesItAgain) {
  CallPolicyOptions pausing;
  pausing.thresholds.enabled = false;
  pausing.breaker_enabled = true;
  Node node(access_, *access_.database, pausing);
  const auto install = install_in(access_.organization("acme").id);
  for (int i = 0; i < 20; ++i) EXPECT_TRUE(call(node, install, ErrorCode::kTimeout));
  const auto refused = call(node, install, std::nullopt);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::kQuarantined);
  EXPECT_GT(refused.error().retry_after_ms, 0);
  EXPECT_FALSE(node.service.find(install->install_id)) << "paused is not quarantined";
  access_.clock.advance(std::chrono::seconds(10));
  EXPECT_TRUE(call(node, install, std::nullopt)) << "a probe";
  EXPECT_TRUE(call(node, install, std::nullopt)) << "closed again";
}

INSTANTIATE_TEST_SUITE_P(Engines, QuarantineTest, testing::ValuesIn(sql::test_engines()), sql::test_engine_name);

}  // namespace
}  // namespace bulkhead::quarantine
