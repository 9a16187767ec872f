// The room on both engines, as src/server wires it: policy, meter, service, routes.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "features/access/room_testing.h"
#include "features/plans/plan_policy.h"
#include "features/plans/routes.h"
#include "platform/bus/outbox.h"

namespace bulkhead {
std::vector<sql::Migration> executions_migrations();
std::vector<sql::Migration> plans_migrations();
}  // namespace bulkhead

namespace bulkhead::plans {
namespace {

using ::testing::HasSubstr;

struct Node {
  Node(access::TestRoom& access, const Plans& plans)
      : service({*access.database, access.clock, access.random, meter, [] {},
                 [](Task<> task) { sql::start_task(std::move(task)); }},
                plans),
        policy(service, meter, access.clock, registry) {}
  metrics::Registry registry;
  UsageMeter meter;
  PlanService service;
  PlanPolicy policy;
};

class PlansTest : public testing::TestWithParam<sql::Engine> {
 protected:
  PlansTest() {
    std::vector<sql::Migration> migrations = bus_migrations();
    for (auto& migration : executions_migrations()) migrations.push_back(migration);
    for (auto& migration : plans_migrations()) migrations.push_back(migration);
    BH_ASSERT(access_.database->migrate(migrations).has_value());
    access::Routes routes = access::access_routes({*access_.database, access_.organizations, access_.api_keys,
                                                   access_.tenants, access_.authorizer, access_.clock});
    for (auto& route : plan_routes({access_.authorizer, access_.tenants, node_.service, node_.meter, access_.clock})) {
      routes.push_back(std::move(route));
    }
    access_.service = std::make_unique<access::RouteService>(
        access_.cores, *access::RouteTable::build(std::move(routes)), access_.authenticator, nullptr, access_.clock,
        access_.registry, access::RouteService::Options{});
  }
  static Plans plans() {
    Plans plans;
    plans["small"].invocations_per_minute = 3;
    plans["small"].timeout_ms = 1'000;
    plans["small"].concurrency = 2;
    plans["metered"].cpu_ms_per_hour = 10;
    plans["metered"].egress_mb_per_hour = 1;
    return plans;
  }
  extensions::InstalledPtr install_in(const TenantId& tenant) {
    auto install = std::make_shared<extensions::InstalledExtension>();
    install->tenant_id = tenant;
    return install;
  }
  Status call(const TenantId& tenant, std::uint64_t cpu_us = 0, std::uint64_t egress = 0) {
    invocations::Invocation invocation;
    invocation.install = install_in(tenant);
    BH_TRY_VOID(node_.policy.admit(0, invocation));
    protocol::ExecuteResponse response;
    response.usage.cpu_us = cpu_us;
    response.usage.egress_bytes = egress;
    node_.policy.observe(0, invocation, {.id = {}, .started_at = {}, .ended_at = {}, .answer = std::move(response)});
    return {};
  }
  net::Response put(const std::string& slug, const std::string& plan, const std::string& token) {
    return access_.send(net::Method::kPut, "/api/v1/orgs/" + slug + "/plan", token, "{\"plan\":\"" + plan + "\"}");
  }

  access::TestRoom access_{GetParam()};
  Node node_{access_, plans()};
};

TEST_P(PlansTest, RefusesTheCallThatIsOneTooManyUntilTheWindowEnds) {
  const auto acme = access_.organization("acme").id;
  const auto other = access_.organization("other").id;
  ASSERT_EQ(put("acme", "small", access::kTestAdminToken).status, 200);
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(call(acme));
  const auto refused = call(acme);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::kQuotaExceeded);
  EXPECT_EQ(refused.error().http_status(), 429);
  EXPECT_THAT(refused.error().message, HasSubstr("invocations_per_minute of its plan \"small\""));
  EXPECT_GT(refused.error().retry_after_ms, 0);
  EXPECT_LE(refused.error().retry_after_ms, 60'001);
  for (int i = 0; i < 10; ++i) EXPECT_TRUE(call(other)) << "has no such plan";
  access_.clock.advance(Millis(refused.error().retry_after_ms));
  EXPECT_TRUE(call(acme));
}

TEST_P(PlansTest, CountsCpuTimeAndEgressOfWhatHasEnded) {
  const auto acme = access_.organization("acme").id;
  ASSERT_EQ(put("acme", "metered", access::kTestAdminToken).status, 200);
  EXPECT_TRUE(call(acme, 9'000));
  EXPECT_TRUE(call(acme, 9'000)) << "one millisecond was left";
  EXPECT_THAT(call(acme).error().message, HasSubstr("cpu_ms_per_hour"));
  access_.clock.advance(std::chrono::hours(1));
  EXPECT_TRUE(call(acme, 0, 2'000'000));
  EXPECT_THAT(call(acme).error().message, HasSubstr("egress_mb_per_hour"));
}

TEST_P(PlansTest, CapsEachCall) {
  const auto acme = access_.organization("acme").id;
  ASSERT_EQ(put("acme", "small", access::kTestAdminToken).status, 200);
  invocations::Invocation invocation;
  invocation.install = install_in(acme);
  ASSERT_TRUE(node_.policy.admit(0, invocation));
  EXPECT_EQ(invocation.caps.timeout, Millis(1'000));
  EXPECT_EQ(invocation.caps.concurrency, 2U);
  EXPECT_EQ(invocation.caps.memory, 1_GiB);
}

TEST_P(PlansTest, AreTheOperatorsToGive) {
  const auto acme = access_.organization("acme").id;
  const std::string owner = access_.key_in(acme);
  EXPECT_EQ(put("acme", "small", owner).status, 403);
  EXPECT_EQ(put("nobody", "small", access::kTestAdminToken).status, 404);
  const auto unknown = put("acme", "smal", access::kTestAdminToken);
  EXPECT_EQ(unknown.status, 422);
  EXPECT_THAT(unknown.body, HasSubstr("did you mean"));
  EXPECT_EQ(put("acme", "small", access::kTestAdminToken).status, 200);
  const json::value shown = access_.json_of(access_.send(net::Method::kGet, "/api/v1/orgs/acme/plan", owner));
  EXPECT_EQ(shown.at("plan").as_string(), "small");
  EXPECT_EQ(shown.at_pointer("/limits/invocations_per_minute").as_int64(), 3);
  EXPECT_EQ(shown.at_pointer("/limits/memory_mb").as_int64(), 1'024);
  const auto stranger = access_.key_in(access_.organization("other").id);
  EXPECT_EQ(access_.send(net::Method::kGet, "/api/v1/orgs/acme/plan", stranger).status, 404);
}

TEST_P(PlansTest, AnotherNodeAndTheNextStartKnowThem) {
  const auto acme = access_.organization("acme").id;
  ASSERT_EQ(put("acme", "small", access::kTestAdminToken).status, 200);
  Node next(access_, plans());
  EXPECT_EQ(next.service.plan_of(acme)->name, "default");
  ASSERT_TRUE(sql::wait(next.service.load()));
  EXPECT_EQ(next.service.plan_of(acme)->name, "small");
  Node without(access_, {});
  ASSERT_TRUE(sql::wait(without.service.load()));
  EXPECT_EQ(without.service.plan_of(acme)->name, "default") << "the configuration has no such plan any more";
}

TEST_P(PlansTest, TakesUpTheHourFromTheExecutionLog) {
  const auto acme = access_.organization("acme").id;
  const UtcMicros now = access_.clock.now();
  const std::int64_t hour = now.value / 3'600'000'000 * 3'600'000'000;
  ASSERT_TRUE(sql::wait(access_.database->write(access_.scope(acme), [hour](sql::TenantTx& tx) {
    return tx.execute(
        "INSERT INTO extension_quota_usage (tenant_id, install_id, window_start, invocations, errors, "
        "cpu_ms, mem_mb_ms, egress_bytes) VALUES ($1, 'a', $2, 5, 0, 12.5, 0, 7)",
        {hour});
  })));
  ASSERT_TRUE(sql::wait(node_.service.load()));
  const UsageNow used = node_.meter.now(acme, now);
  EXPECT_EQ(used.hour.invocations, 5);
  EXPECT_EQ(used.hour.cpu_us, 12'500);
  EXPECT_EQ(used.hour.egress_bytes, 7);
  EXPECT_EQ(used.minute.invocations, 0);
}

INSTANTIATE_TEST_SUITE_P(Engines, PlansTest, testing::ValuesIn(sql::test_engines()), sql::test_engine_name);

}  // namespace
}  // namespace bulkhead::plans
