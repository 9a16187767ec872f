// Subscriptions, events and deliveries in the store, on both engines.
#include "features/events/event_store.h"

#include <gtest/gtest.h>

#include "features/events/event_service.h"
#include "features/events/subscription_follower.h"
#include "platform/bus/outbox.h"
#include "platform/sql/test_database.h"

namespace bulkhead {
std::vector<sql::Migration> access_migrations();
std::vector<sql::Migration> events_migrations();
}  // namespace bulkhead

namespace bulkhead::events {
namespace {

constexpr Micros kLease = std::chrono::seconds(60);

class EventStoreTest : public testing::TestWithParam<sql::Engine> {
 protected:
  EventStoreTest() {
    install_.id = InstallId::v4(random_);
    install_.updated_at = clock_.now();
  }

  TenantScope scope(const TenantId& tenant) { return TenantScope::for_background_job(tenant, "test"); }
  TenantScope scope() { return scope(tenant_); }

  bundles::Manifest manifest(json::array events) {
    auto parsed = bundles::validate_manifest(json::object{{"name", "com.example.orders"},
                                                          {"publisher", "Tests"},
                                                          {"version", "1.0.0"},
                                                          {"runtime", "wasm-core@1"},
                                                          {"events", std::move(events)}});
    BH_ASSERT(parsed.has_value());
    return std::move(*parsed);
  }
  void follow(const extensions::Install& install, json::array events, const TenantId& tenant) {
    const bundles::Manifest wanted = manifest(std::move(events));
    const Status done = sql::wait(
        database_->write(scope(tenant), [&](sql::TenantTx& tx) { return follower_.follow(tx, install, wanted); }));
    ASSERT_TRUE(done) << done.error().to_log_string();
  }
  void follow(json::array events) { follow(install_, std::move(events), tenant_); }
  std::vector<Subscription> subscriptions() { return sql::wait(service_.subscriptions(scope(), install_.id)).value(); }

  extensions::InstalledExtension emitter(const TenantId& tenant) {
    extensions::InstalledExtension emitter;
    emitter.install_id = install_.id;
    emitter.tenant_id = tenant;
    emitter.extension_name = "com.example.orders";
    return emitter;
  }
  Result<std::string> emit(std::string topic, std::string id = "", std::uint32_t hops = 0) {
    return sql::wait(service_.emit(
        scope(), emitter(tenant_),
        {.topic = std::move(topic), .id = std::move(id), .payload_json = "{}", .hops = hops, .trace_parent = ""}));
  }
  // What a worker does with whatever waits.
  void match_all() {
    auto unmatched =
        sql::wait(database_->system_read([](sql::SystemTx& tx) { return read_unmatched(tx, 100); })).value();
    const Status done = sql::wait(database_->system_write([&](sql::SystemTx& tx) -> Status {
      for (const EmittedEvent& event : unmatched.events) {
        std::vector<NewDelivery> deliveries;
        for (const auto& [tenant, subscription] : unmatched.subscriptions) {
          if (tenant != event.tenant_id || subscription.topic != event.topic) continue;
          deliveries.push_back(
              {DeliveryId::v7(clock_.now(), random_), tenant, subscription.install_id, subscription.id});
        }
        BH_TRY_VOID(insert_deliveries(tx, event, deliveries, clock_.now()));
      }
      return {};
    }));
    ASSERT_TRUE(done) << done.error().to_log_string();
  }
  std::vector<ClaimedDelivery> claim(const std::string& token, std::vector<InstallId> busy = {}) {
    return sql::wait(database_->system_write([&](sql::SystemTx& tx) -> Result<std::vector<ClaimedDelivery>> {
             std::vector<ClaimedDelivery> claimed;
             BH_TRY(const auto due, list_due(tx, clock_.now(), busy, 100));
             for (const DueDelivery& delivery : due) {
               BH_TRY(auto one,
                      claim_delivery(tx, delivery.id, clock_.now(), clock_.now() + kLease, token, "node-" + token));
               if (one) claimed.push_back(std::move(*one));
             }
             return claimed;
           }))
        .value();
  }
  template <typename F>
  void write(F work) {
    const Status done = sql::wait(database_->system_write(std::move(work)));
    ASSERT_TRUE(done) << done.error().to_log_string();
  }
  std::int64_t count(const std::string& rest) {
    return sql::wait(database_->system_read([&](sql::SystemTx& tx) {
             return tx.query_one("SELECT COUNT(*) FROM extension_event_delivery " + rest);
           }))
        ->integer(0);
  }

  ManualClock clock_;
  SystemRandom random_;
  sql::TestDatabase database_ =
      sql::open_test_database(GetParam(), {access_migrations(), bus_migrations(), events_migrations()});
  metrics::Registry registry_;
  SubscriptionFollower follower_{random_};
  EventService service_{{*database_, clock_, random_, [] {}}, {.max_backlog = 5}, registry_};
  TenantId tenant_ = TenantId::v4(random_);
  extensions::Install install_;
};

json::object event(std::string_view topic, std::string_view handler, json::object filter = {}) {
  return {{"topic", topic}, {"handler", handler}, {"filter", std::move(filter)}};
}

TEST_P(EventStoreTest, ANewVersionKeepsWhatItStillSubscribesTo) {
  follow({event("a.b", "one"), event("a.b", "one", {{"x", 1}}), event("c", "two")});
  const auto before = subscriptions();
  ASSERT_EQ(before.size(), 3U);
  const auto changed = sql::wait(service_.change(
      {}, scope(), install_.id, {{.id = before[0].id, .is_enabled = false, .filter = json::object{{"y", 2}}}}));
  ASSERT_TRUE(changed) << changed.error().to_log_string();

  follow({event("a.b", "one", {{"z", 3}}), event("d", "three")});
  const auto after = subscriptions();
  ASSERT_EQ(after.size(), 2U);
  EXPECT_EQ(after[0].id, before[0].id);
  EXPECT_FALSE(after[0].is_enabled);
  EXPECT_EQ(after[0].effective_filter(), R"({"y":2})");
  EXPECT_EQ(after[0].manifest_filter, R"({"z":3})");
  EXPECT_EQ(after[1].topic, "d");
}

TEST_P(EventStoreTest, RefusesAFilterThatIsNone) {
  const Status checked = follower_.check(manifest({event("a", "one", {{"x", json::object{{"like", 1}}}})}));
  ASSERT_FALSE(checked);
  EXPECT_EQ(checked.error().fields.front().pointer, "/events/0/filter/x/like");
}

TEST_P(EventStoreTest, MatchesWithinTheOrganizationOnly) {
  follow({event("a", "one")});
  extensions::Install foreign = install_;
  foreign.id = InstallId::v4(random_);
  follow(foreign, {event("a", "one")}, TenantId::v4(random_));
  ASSERT_TRUE(emit("a"));
  ASSERT_TRUE(emit("b"));
  match_all();
  const auto claimed = claim("t1");
  ASSERT_EQ(claimed.size(), 1U);
  EXPECT_EQ(claimed[0].install_id, install_.id);
  EXPECT_EQ(claimed[0].tenant_id, tenant_);
  EXPECT_EQ(claimed[0].event.source, "com.example.orders");
  EXPECT_EQ(claimed[0].event.hops, 1U);
}

TEST_P(EventStoreTest, AnIdOfATopicIsTakenOnce) {
  follow({event("a", "one")});
  EXPECT_EQ(emit("a", "x").value(), "x");
  EXPECT_EQ(emit("a", "x").value(), "x");
  match_all();
  match_all();  // another node that read the same events
  EXPECT_EQ(count(""), 1);
}

TEST_P(EventStoreTest, RefusesPlatformTopicsLoopsAndAFullBacklog) {
  follow({event("a", "one")});
  EXPECT_EQ(emit("install.changed").error().code, ErrorCode::kCapabilityDenied);
  EXPECT_EQ(emit("A").error().code, ErrorCode::kUnprocessable);
  EXPECT_TRUE(emit("a", "", kMaxHops - 1));
  EXPECT_EQ(emit("a", "", kMaxHops).error().code, ErrorCode::kQuotaExceeded);
  for (int i = 1; i < 5; ++i) EXPECT_TRUE(emit("a"));
  EXPECT_EQ(emit("a").error().code, ErrorCode::kQuotaExceeded);
  match_all();
  clock_.advance(std::chrono::seconds(1));
  EXPECT_EQ(emit("a").error().code, ErrorCode::kQuotaExceeded);
  for (const ClaimedDelivery& delivery : claim("t1")) {
    write([&](sql::SystemTx& tx) { return finish_delivery(tx, delivery.id, "t1"); });
  }
  clock_.advance(std::chrono::seconds(1));
  EXPECT_TRUE(emit("a"));
}

TEST_P(EventStoreTest, ALeaseKeepsOthersAwayUntilItIsOver) {
  follow({event("a", "one")});
  ASSERT_TRUE(emit("a"));
  match_all();
  const auto first = claim("t1");
  ASSERT_EQ(first.size(), 1U);
  EXPECT_EQ(first[0].attempt, 1);
  EXPECT_TRUE(claim("t2").empty());
  clock_.advance(kLease);
  const auto second = claim("t2");
  ASSERT_EQ(second.size(), 1U);
  EXPECT_EQ(second[0].id, first[0].id);
  EXPECT_EQ(second[0].attempt, 2);
  // The first node comes back to life: it has nothing to say any more.
  write([&](sql::SystemTx& tx) { return finish_delivery(tx, first[0].id, "t1"); });
  EXPECT_EQ(count(""), 1);
  write([&](sql::SystemTx& tx) { return finish_delivery(tx, first[0].id, "t2"); });
  EXPECT_EQ(count(""), 0);
}

TEST_P(EventStoreTest, ARestartedNodeTakesItsOwnBackAtOnce) {
  follow({event("a", "one")});
  ASSERT_TRUE(emit("a"));
  match_all();
  ASSERT_EQ(claim("t1").size(), 1U);
  const auto released = sql::wait(
      database_->system_write([&](sql::SystemTx& tx) { return release_leases(tx, "node-t1", clock_.now()); }));
  EXPECT_EQ(released.value(), 1);
  EXPECT_EQ(claim("t2").size(), 1U);
}

TEST_P(EventStoreTest, PassesOverBusyInstalls) {
  follow({event("a", "one")});
  ASSERT_TRUE(emit("a"));
  match_all();
  EXPECT_TRUE(claim("t1", {InstallId::v4(random_), install_.id}).empty());
  EXPECT_EQ(claim("t1", {InstallId::v4(random_)}).size(), 1U);
}

TEST_P(EventStoreTest, AFailedDeliveryWaitsDiesAndIsRedriven) {
  follow({event("a", "one")});
  ASSERT_TRUE(emit("a"));
  match_all();
  const DeliveryId id = claim("t1").at(0).id;
  const UtcMicros later = clock_.now() + std::chrono::seconds(5);
  write([&](sql::SystemTx& tx) {
    return retry_delivery(tx, id, "t1", {"trap", "It crashed."}, clock_.now(), later, Attempt::kCounts);
  });
  EXPECT_TRUE(claim("t1").empty());
  EXPECT_EQ(sql::wait(database_->system_read([](sql::SystemTx& tx) { return next_due(tx); })).value(), later);
  clock_.advance(std::chrono::seconds(5));
  ASSERT_EQ(claim("t1").at(0).attempt, 2);
  write([&](sql::SystemTx& tx) {
    return retry_delivery(tx, id, "t1", {"quarantined", ""}, clock_.now(), clock_.now(), Attempt::kNotStarted);
  });
  ASSERT_EQ(claim("t1").at(0).attempt, 2);
  write([&](sql::SystemTx& tx) { return bury_delivery(tx, id, "t1", {"trap", "Again."}, clock_.now()); });
  EXPECT_TRUE(claim("t1").empty());

  const auto letters = sql::wait(service_.dead_letters(scope(), install_.id, "", 10)).value();
  ASSERT_EQ(letters.size(), 1U);
  EXPECT_EQ(letters[0].failure.message, "Again.");
  EXPECT_EQ(letters[0].attempts, 2);
  const TenantScope stranger = scope(TenantId::v4(random_));
  EXPECT_TRUE(sql::wait(service_.dead_letters(stranger, install_.id, "", 10))->empty());
  EXPECT_EQ(sql::wait(service_.redrive({}, stranger, install_.id, std::nullopt)).value(), 0);
  EXPECT_EQ(sql::wait(service_.redrive({}, scope(), install_.id, DeliveryId::v7(clock_.now(), random_))).error().code,
            ErrorCode::kNotFound);
  EXPECT_EQ(sql::wait(service_.redrive({}, scope(), install_.id, id)).value(), 1);
  const auto again = claim("t1");
  ASSERT_EQ(again.size(), 1U);
  EXPECT_EQ(again[0].id, id);
  EXPECT_EQ(again[0].attempt, 1);
}

TEST_P(EventStoreTest, DisablingPausesAndUninstallingForgets) {
  follow({event("a", "one")});
  ASSERT_TRUE(emit("a"));
  match_all();
  install_.is_enabled = false;
  follow({event("a", "one")});
  EXPECT_TRUE(claim("t1").empty());
  ASSERT_TRUE(emit("a"));
  match_all();
  EXPECT_EQ(count(""), 1) << "nothing is matched for an install that is disabled";
  install_.is_enabled = true;
  follow({event("a", "one")});
  EXPECT_EQ(claim("t1").size(), 1U);
  ASSERT_TRUE(
      sql::wait(database_->write(scope(), [&](sql::TenantTx& tx) { return follower_.forget(tx, install_.id); })));
  EXPECT_EQ(count(""), 0);
  EXPECT_TRUE(subscriptions().empty());
}

TEST_P(EventStoreTest, ForgetsWhatIsOldAndNotWaitedFor) {
  follow({event("a", "one")});
  ASSERT_TRUE(emit("a"));
  ASSERT_TRUE(emit("unheard"));
  match_all();
  clock_.advance(std::chrono::hours(1));
  const auto forget = [&](UtcMicros dead, UtcMicros handled) {
    return sql::wait(database_->system_write([&](sql::SystemTx& tx) { return forget_old(tx, dead, handled, 100); }))
        .value();
  };
  EXPECT_EQ(forget(clock_.now(), clock_.now()), 1) << "the event that nobody heard";
  const DeliveryId id = claim("t1").at(0).id;
  write([&](sql::SystemTx& tx) { return bury_delivery(tx, id, "t1", {"trap", ""}, clock_.now()); });
  EXPECT_EQ(forget(clock_.now(), clock_.now()), 0);
  clock_.advance(std::chrono::hours(1));
  EXPECT_EQ(forget(clock_.now(), clock_.now()), 2) << "the dead letter and its event";
}

TEST_P(EventStoreTest, ListenersHearOfInstallsFromThePlatform) {
  follow({event("install.changed", "one")});
  match_all();
  const auto claimed = claim("t1");
  ASSERT_EQ(claimed.size(), 1U);
  EXPECT_EQ(claimed[0].event.source, "");
  EXPECT_EQ(parse_json(claimed[0].event.payload_json)->at("extension").as_string(), "com.example.orders");
}

INSTANTIATE_TEST_SUITE_P(Engines, EventStoreTest, testing::ValuesIn(sql::test_engines()), sql::test_engine_name);

}  // namespace
}  // namespace bulkhead::events
