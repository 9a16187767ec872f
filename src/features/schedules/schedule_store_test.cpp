// Schedules and firings in the store, on both engines; and what is done about times that passed.
#include "features/schedules/schedule_store.h"

#include <gtest/gtest.h>

#include "features/schedules/schedule_follower.h"
#include "features/schedules/schedule_service.h"
#include "features/schedules/schedule_worker.h"
#include "platform/sql/test_database.h"

namespace bulkhead {
std::vector<sql::Migration> access_migrations();
std::vector<sql::Migration> schedules_migrations();
}  // namespace bulkhead

namespace bulkhead::schedules {
namespace {

UtcMicros at(std::string_view text) { return *parse_rfc3339(text); }

// One install, enabled.
class OneInstall final : public extensions::InstallDirectory {
 public:
  Task<Result<extensions::InstalledPtr>> find(TenantId, std::string) override { co_return installed; }
  Task<Result<extensions::InstalledPtr>> find_install(InstallId id) override {
    co_return installed && installed->install_id == id ? installed : nullptr;
  }
  std::optional<extensions::InstalledPtr> find_now(const TenantId&, const std::string&) override { return installed; }
  void evict(TenantId) override {}
  extensions::InstalledPtr installed;
};

class ScheduleStoreTest : public testing::TestWithParam<sql::Engine> {
 protected:
  ScheduleStoreTest() {
    install_.id = InstallId::v4(random_);
    install_.updated_at = clock_.now();
    auto installed = std::make_shared<extensions::InstalledExtension>();
    installed->install_id = install_.id;
    installed->tenant_id = tenant_;
    directory_.installed = installed;
  }
  TenantScope scope() { return TenantScope::for_background_job(tenant_, "test"); }

  bundles::Manifest manifest(json::array schedules) {
    auto parsed = bundles::validate_manifest(json::object{{"name", "com.example.orders"},
                                                          {"publisher", "Tests"},
                                                          {"version", "1.0.0"},
                                                          {"runtime", "wasm-core@1"},
                                                          {"schedules", std::move(schedules)}});
    BH_ASSERT(parsed.has_value());
    return std::move(*parsed);
  }
  void follow(json::array schedules) {
    install_.updated_at = clock_.now();
    const bundles::Manifest wanted = manifest(std::move(schedules));
    const Status done =
        sql::wait(database_->write(scope(), [&](sql::TenantTx& tx) { return follower_.follow(tx, install_, wanted); }));
    ASSERT_TRUE(done) << done.error().to_log_string();
  }
  std::vector<ScheduleDetails> schedules() { return sql::wait(service_.list(scope(), install_.id)).value(); }
  Result<UtcMicros> add(std::string id, std::string cron = "0 3 * * *") {
    return sql::wait(service_.register_schedule(
        scope(), install_.id,
        {.id = std::move(id), .cron = std::move(cron), .handler = "", .payload_json = std::nullopt}));
  }
  std::vector<Schedule> due() {
    return sql::wait(database_->system_read([&](sql::SystemTx& tx) { return list_due(tx, clock_.now(), 100); }))
        .value();
  }
  template <typename F>
  auto write(F work) {
    return sql::wait(database_->system_write(std::move(work)));
  }
  Firing firing_of(const Schedule& schedule) {
    return {.id = FiringId::v7(clock_.now(), random_),
            .tenant_id = tenant_,
            .install_id = install_.id,
            .schedule_row_id = schedule.id,
            .scheduled_at = schedule.next_at,
            .started_at = clock_.now()};
  }

  ManualClock clock_{at("2026-11-22T10:00:00Z")};
  SystemRandom random_;
  sql::TestDatabase database_ = sql::open_test_database(GetParam(), {access_migrations(), schedules_migrations()});
  OneInstall directory_;
  ScheduleFollower follower_{random_};
  ScheduleService service_{{*database_, directory_, clock_, random_, "node-1"}};
  TenantId tenant_ = TenantId::v4(random_);
  extensions::Install install_;
};

json::object nightly(std::string_view cron = "0 3 * * *") {
  return {{"id", "nightly"}, {"cron", cron}, {"handler", "tidy"}};
}

TEST_P(ScheduleStoreTest, FollowsTheManifest) {
  follow({nightly(), {{"id", "hourly"}, {"cron", "0 * * * *"}, {"handler", "count"}}});
  ASSERT_EQ(schedules().size(), 2U);
  EXPECT_EQ(schedules()[1].schedule.next_at, at("2026-11-23T03:00:00Z"));
  ASSERT_TRUE(
      sql::wait(service_.change({}, scope(), install_.id, "nightly", {.is_enabled = {}, .missed = Missed::kAll})));
  clock_.advance(std::chrono::hours(24));
  follow({nightly()});
  ASSERT_EQ(schedules().size(), 1U);
  EXPECT_EQ(schedules()[0].schedule.missed, Missed::kAll);
  EXPECT_EQ(schedules()[0].schedule.next_at, at("2026-11-23T03:00:00Z")) << "a new version misses nothing";
  follow({nightly("30 4 * * *")});
  EXPECT_EQ(schedules()[0].schedule.next_at, at("2026-11-24T04:30:00Z"));
  install_.is_enabled = false;
  follow({nightly("30 4 * * *")});
  clock_.advance(std::chrono::hours(48));
  EXPECT_TRUE(due().empty());
  install_.is_enabled = true;
  follow({nightly("30 4 * * *")});
  EXPECT_EQ(schedules()[0].schedule.next_at, at("2026-11-26T04:30:00Z")) << "what passed while disabled is gone";
}

TEST_P(ScheduleStoreTest, RefusesAManifestWhoseTimesNeverCome) {
  EXPECT_FALSE(follower_.check(manifest({nightly("0 0 30 2 *")})));
  json::object elsewhere = nightly();
  elsewhere["timezone"] = "Mars/Olympus";
  const Status checked = follower_.check(manifest({elsewhere}));
  ASSERT_FALSE(checked);
  EXPECT_EQ(checked.error().fields.front().pointer, "/schedules/0");
}

TEST_P(ScheduleStoreTest, GuestsHaveTheirOwn) {
  follow({nightly()});
  EXPECT_EQ(add("nightly").error().code, ErrorCode::kConflict);
  EXPECT_EQ(add("weekly", "0 0 * * 1").value(), at("2026-11-23T00:00:00Z"));
  clock_.advance(std::chrono::hours(24));
  EXPECT_EQ(add("weekly", "0 0 * * 1").value(), at("2026-11-23T00:00:00Z")) << "the same again leaves it alone";
  EXPECT_EQ(add("weekly", "0 0 * * 2").value(), at("2026-11-24T00:00:00Z"));
  follow({});
  ASSERT_EQ(schedules().size(), 1U) << "the guest's own stay";
  EXPECT_EQ(sql::wait(service_.cancel(scope(), install_.id, "other")).error().code, ErrorCode::kNotFound);
  EXPECT_TRUE(sql::wait(service_.cancel(scope(), install_.id, "weekly")));
  for (std::size_t i = 0; i < kMaxSchedules; ++i) ASSERT_TRUE(add("s" + std::to_string(i)));
  EXPECT_EQ(add("one-more").error().code, ErrorCode::kQuotaExceeded);
}

TEST_P(ScheduleStoreTest, OneOfTwoNodesFires) {
  follow({nightly()});
  clock_.advance(std::chrono::hours(24));
  const Schedule seen_by_both = due().at(0);
  const UtcMicros next = at("2026-11-24T03:00:00Z");
  EXPECT_TRUE(write([&](sql::SystemTx& tx) { return move_next(tx, seen_by_both, next); }).value());
  EXPECT_FALSE(write([&](sql::SystemTx& tx) { return move_next(tx, seen_by_both, next); }).value());
  EXPECT_TRUE(due().empty());
}

TEST_P(ScheduleStoreTest, ADeadNodesFiringIsTakenUpOnceItsLeaseIsOver) {
  follow({nightly()});
  const Schedule schedule = schedules()[0].schedule;
  const Firing firing = firing_of(schedule);
  ASSERT_TRUE(write(
      [&](sql::SystemTx& tx) { return insert_firing(tx, firing, Lease{"node-1", clock_.now() + kFiringLease}); }));
  const auto take = [&](const std::string& node) {
    return write([&](sql::SystemTx& tx) { return take_up(tx, clock_.now(), {node, clock_.now() + kFiringLease}, 10); })
        .value();
  };
  EXPECT_TRUE(take("node-2").empty());
  EXPECT_EQ(sql::wait(service_.begin_run({}, scope(), install_.id, "nightly")).error().code, ErrorCode::kConflict);
  clock_.advance(kFiringLease);
  const auto taken = take("node-2");
  ASSERT_EQ(taken.size(), 1U);
  EXPECT_EQ(taken[0].firing.id, firing.id);
  EXPECT_EQ(taken[0].firing.attempts, 2);
  EXPECT_TRUE(take("node-3").empty());

  Firing late = firing;  // node 1 was only slow
  late.state = FiringState::kFailed;
  late.ended_at = clock_.now();
  ASSERT_TRUE(write([&](sql::SystemTx& tx) { return finish_firing(tx, late, "node-1"); }));
  EXPECT_EQ(schedules()[0].firings.at(0).state, FiringState::kRunning);
  Firing ended = taken[0].firing;
  ended.state = FiringState::kOk;
  ended.ended_at = clock_.now();
  ASSERT_TRUE(write([&](sql::SystemTx& tx) { return finish_firing(tx, ended, "node-2"); }));
  EXPECT_EQ(schedules()[0].firings.at(0).state, FiringState::kOk);
  EXPECT_TRUE(sql::wait(service_.begin_run({}, scope(), install_.id, "nightly")));
}

TEST_P(ScheduleStoreTest, UninstallingForgetsAndSoDoesTime) {
  follow({nightly()});
  Firing firing = firing_of(schedules()[0].schedule);
  firing.state = FiringState::kSkipped;
  firing.ended_at = clock_.now();
  ASSERT_TRUE(write([&](sql::SystemTx& tx) { return insert_firing(tx, firing, std::nullopt); }));
  clock_.advance(std::chrono::hours(1));
  EXPECT_EQ(write([&](sql::SystemTx& tx) { return forget_old(tx, clock_.now(), 10); }).value(), 1);
  ASSERT_TRUE(
      sql::wait(database_->write(scope(), [&](sql::TenantTx& tx) { return follower_.forget(tx, install_.id); })));
  EXPECT_TRUE(schedules().empty());
}

INSTANTIATE_TEST_SUITE_P(Engines, ScheduleStoreTest, testing::ValuesIn(sql::test_engines()), sql::test_engine_name);

struct MissedCase {
  Missed missed;
  const char* now;
  FiringPlan::Act act;
  const char* scheduled_at;
  const char* next_at;
  std::int64_t lost;
};

// Every ten minutes, due at 10:00.
TEST(FiringPlan, DoesWhatThePolicySaysAboutMissedTimes) {
  using Act = FiringPlan::Act;
  const std::vector<MissedCase> cases = {
      // In time.
      {Missed::kRunOnce, "10:00:01", Act::kFire, "10:00:00", "10:10:00", 0},
      {Missed::kSkip, "10:00:01", Act::kFire, "10:00:00", "10:10:00", 0},
      {Missed::kAll, "10:00:01", Act::kFire, "10:00:00", "10:10:00", 0},
      // One missed.
      {Missed::kRunOnce, "10:05:00", Act::kFire, "10:00:00", "10:10:00", 0},
      {Missed::kSkip, "10:05:00", Act::kPassOver, "10:00:00", "10:10:00", 1},
      {Missed::kAll, "10:05:00", Act::kFire, "10:00:00", "10:10:00", 0},
      // Three missed.
      {Missed::kRunOnce, "10:25:00", Act::kFire, "10:20:00", "10:30:00", 2},
      {Missed::kSkip, "10:25:00", Act::kPassOver, "10:20:00", "10:30:00", 3},
      {Missed::kAll, "10:25:00", Act::kFire, "10:00:00", "10:10:00", 0},
      // Two missed, and the third in time.
      {Missed::kSkip, "10:20:30", Act::kFire, "10:20:00", "10:30:00", 2},
  };
  Schedule schedule;
  schedule.cron = "*/10 * * * *";
  schedule.next_at = at("2026-11-22T10:00:00Z");
  const auto today = [](const char* time) { return at("2026-11-22T" + std::string(time) + "Z"); };
  for (const MissedCase& item : cases) {
    schedule.missed = item.missed;
    const auto plan = plan_firing(schedule, today(item.now));
    ASSERT_TRUE(plan);
    const std::string where = std::string(to_string(item.missed)) + " at " + item.now;
    EXPECT_EQ(plan->act, item.act) << where;
    EXPECT_EQ(plan->scheduled_at, today(item.scheduled_at)) << where;
    EXPECT_EQ(plan->next_at, today(item.next_at)) << where;
    EXPECT_EQ(plan->missed, item.lost) << where;
  }
}

TEST(FiringPlan, MakesUpForAHundredTimesAtMost) {
  Schedule schedule;
  schedule.missed = Missed::kAll;
  schedule.cron = "* * * * *";
  for (const char* last : {"2026-11-21T00:00:00Z", "2026-01-01T00:00:00Z"}) {
    schedule.next_at = at(last);
    const auto plan = plan_firing(schedule, at("2026-11-22T10:00:30Z"));
    ASSERT_TRUE(plan);
    EXPECT_EQ(plan->scheduled_at, at("2026-11-22T08:21:00Z")) << last;
    EXPECT_EQ(plan->next_at, at("2026-11-22T08:22:00Z")) << last;
  }
}

}  // namespace
}  // namespace bulkhead::schedules
