#include "platform/bus/outbox.h"

#include <gtest/gtest.h>

#include <condition_variable>
#include <future>

#include "platform/bus/outbox_relay.h"
#include "platform/sql/test_database.h"

namespace bulkhead::bus {
namespace {

TEST(SecretMembers, AreRefusedAtAnyDepth) {
  for (const char* text :
       {R"({"password":"x"})", R"({"apiKey":1})", R"({"API_KEY":1})", R"({"x-auth-token":1})",
        R"({"a":{"secret":null}})", R"({"a":[1,{"accessToken":2}]})", R"({"cookie":""})", R"({"clientSecret":""})",
        R"({"private_keys":[]})", R"({"authorization":"x"})", R"({"token_hash":"x"})", R"({"userPasswordHash":"x"})",
        R"({"apikey":""})", R"({"credentials":{}})"}) {
    const Status outcome = refuse_secret_members(json::parse(text));
    ASSERT_FALSE(outcome) << text;
    EXPECT_EQ(outcome.error().code, ErrorCode::kInternal);
  }
  EXPECT_NE(
      refuse_secret_members(json::parse(R"({"a":[1,{"accessToken":2}]})")).error().detail.find("/a/1/accessToken"),
      std::string::npos);
}

TEST(SecretMembers, NamesThatOnlyTellOfOneAreFine) {
  for (const char* text :
       {R"({})", R"({"id":"x","install_id":"y"})", R"({"api_key_id":1})", R"({"tokenId":1})", R"({"keyPrefix":"bh_"})",
        R"({"secret_names":["a"]})", R"({"key":"state/1"})", R"({"passwordChangedAt":1})", R"({"secretary":"x"})",
        R"({"tokenizer":"x"})", R"({"monkey":"x"})", R"({"value":"password"})", R"({"secret_count":3})"}) {
    EXPECT_TRUE(refuse_secret_members(json::parse(text))) << text;
  }
}

class OutboxTest : public testing::TestWithParam<sql::Engine> {
 protected:
  Status append_in_tenant(const Event& event) {
    return sql::wait(database_->write(scope_, [&](sql::TenantTx& tx) { return append(tx, event); }));
  }
  Status append_in_system(const Event& event, std::optional<TenantId> tenant = std::nullopt) {
    return sql::wait(database_->system_write([&](sql::SystemTx& tx) { return append(tx, event, tenant); }));
  }
  Event event(std::string topic, json::object payload = {}) {
    return make_event(clock_, random_, std::move(topic), std::move(payload));
  }
  static bool comes_true(const std::function<bool()>& condition) {
    const SteadyTime deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    while (!condition()) {
      if (std::chrono::steady_clock::now() >= deadline) return false;
      std::this_thread::yield();
    }
    return true;
  }
  std::int64_t count(const std::string& where) {
    return sql::wait(database_->system_read([&](sql::SystemTx& tx) {
             return tx.query_one("SELECT COUNT(*) FROM outbox_event WHERE " + where);
           }))
        ->integer(0);
  }

  SystemRandom random_;
  ManualClock clock_;
  sql::TestDatabase database_ = sql::open_test_database(GetParam(), {bus_migrations()});
  const TenantScope scope_ = TenantScope::for_background_job(TenantId::v4(random_), "test");
};
INSTANTIATE_TEST_SUITE_P(Engines, OutboxTest, testing::ValuesIn(sql::test_engines()), sql::test_engine_name);

TEST_P(OutboxTest, RefusesSecretsMalformedTopicsAndLargePayloads) {
  EXPECT_EQ(append_in_tenant(event("a.b", {{"token", "x"}})).error().code, ErrorCode::kInternal);
  EXPECT_EQ(append_in_tenant(event("a..b")).error().code, ErrorCode::kInternal);
  EXPECT_EQ(append_in_tenant(event("a.b", {{"text", std::string(70'000, 'x')}})).error().code,
            ErrorCode::kPayloadTooLarge);
  EXPECT_EQ(count("1 = 1"), 0);
}

TEST_P(OutboxTest, AnEventIsPartOfItsTransaction) {
  const Event one = event("a.b");
  EXPECT_FALSE(sql::wait(database_->write(scope_, [&](sql::TenantTx& tx) -> Status {
    BH_TRY_VOID(append(tx, one));
    return fail(ErrorCode::kConflict);
  })));
  EXPECT_EQ(count("1 = 1"), 0);
  EXPECT_TRUE(append_in_tenant(one));
  EXPECT_EQ(append_in_tenant(one).error().code, ErrorCode::kAlreadyExists);  // its id is its own
}

// Collects what subscribers of "*" get.
struct Inbox {
  std::mutex mutex;
  std::condition_variable arrived;
  std::vector<Message> messages;

  void add(const Message& message) {
    const std::scoped_lock lock(mutex);
    messages.push_back(message);
    arrived.notify_all();
  }
  bool wait_for(std::size_t count, std::chrono::milliseconds limit = std::chrono::seconds(30)) {
    std::unique_lock lock(mutex);
    return arrived.wait_for(lock, limit, [&] { return messages.size() >= count; });
  }
};

class OutboxRelayTest : public OutboxTest {
 protected:
  void start_relay(sql::Database& database, OutboxRelayOptions options) {
    cores_.start();
    subscription_ =
        bus_->subscribe(cores_.at(0), "*", {.message = [this](const Message& m) { inbox_.add(m); }, .lost = {}});
    relay_.emplace(OutboxRelay::Parts{.core = cores_.at(0),
                                      .database = database,
                                      .bus = *bus_,
                                      .clock = clock_,
                                      .random = relay_random_,
                                      .registry = registry_},
                   options);
    relay_->start();
  }
  void stop_relay() {
    std::promise<void> stopped;
    cores_.spawn(0, [&]() -> Task<> {
      co_await relay_->stop();
      stopped.set_value();
    });
    ASSERT_EQ(stopped.get_future().wait_for(std::chrono::seconds(30)), std::future_status::ready);
  }
  void TearDown() override {
    if (relay_) stop_relay();
    cores_.stop();
    subscription_.reset();
  }
  std::vector<ReceivedEvent> received() {
    const std::scoped_lock lock(inbox_.mutex);
    std::vector<ReceivedEvent> events;
    for (const Message& message : inbox_.messages) events.push_back(parse_event(message).value());
    return events;
  }
  // A relay that only looks when it is told to, so that `notify` is what makes these tests pass.
  static constexpr OutboxRelayOptions kOnlyWhenNotified{.poll_interval = Millis(3'600'000)};

  metrics::Registry registry_;
  SystemRandom relay_random_;
  std::unique_ptr<Bus> bus_ = make_local_bus();
  Cores cores_{1};
  Inbox inbox_;
  std::unique_ptr<Subscription> subscription_;
  std::optional<OutboxRelay> relay_;
};
INSTANTIATE_TEST_SUITE_P(Engines, OutboxRelayTest, testing::ValuesIn(sql::test_engines()), sql::test_engine_name);

TEST_P(OutboxRelayTest, PublishesInOrderAndMarks) {
  std::vector<Event> events;
  for (int i = 0; i < 250; ++i) {
    events.push_back(event("install.changed", {{"n", i}}));
    ASSERT_TRUE(i % 2 == 0 ? append_in_tenant(events.back()) : append_in_system(events.back()));
  }
  start_relay(*database_, kOnlyWhenNotified);
  ASSERT_TRUE(inbox_.wait_for(events.size()));
  stop_relay();
  const std::vector<ReceivedEvent> got = received();
  ASSERT_EQ(got.size(), events.size());
  for (std::size_t i = 0; i < got.size(); ++i) {
    EXPECT_EQ(got[i].id, events[i].id);
    EXPECT_EQ(got[i].created_at, events[i].created_at);
    EXPECT_EQ(got[i].data.at("n").as_int64(), static_cast<std::int64_t>(i));
    EXPECT_EQ(got[i].tenant, i % 2 == 0 ? std::optional(scope_.tenant()) : std::nullopt);
  }
  EXPECT_EQ(count("published_at IS NULL"), 0);
}

TEST_P(OutboxRelayTest, NotifyWakesItAtOnce) {
  start_relay(*database_, kOnlyWhenNotified);
  for (std::size_t i = 1; i <= 20; ++i) {
    ASSERT_TRUE(append_in_tenant(event("a.b")));
    relay_->notify();
    ASSERT_TRUE(inbox_.wait_for(i)) << i;
  }
}

TEST_P(OutboxRelayTest, PollsForWhatNobodyNotifiedOf) {
  start_relay(*database_, {.poll_interval = Millis(10)});
  ASSERT_TRUE(append_in_tenant(event("a.b")));
  EXPECT_TRUE(inbox_.wait_for(1));
}

TEST_P(OutboxRelayTest, WhatWasNotMarkedIsPublishedAgain) {
  const Event one = event("a.b");
  ASSERT_TRUE(append_in_tenant(one));
  start_relay(*database_, kOnlyWhenNotified);
  ASSERT_TRUE(inbox_.wait_for(1));
  ASSERT_TRUE(comes_true([&] { return count("published_at IS NULL") == 0; }));
  // As after a crash between publishing and marking.
  ASSERT_TRUE(sql::wait(database_->system_write(
      [](sql::SystemTx& tx) { return tx.execute("UPDATE outbox_event SET published_at = NULL"); })));
  relay_->notify();
  ASSERT_TRUE(inbox_.wait_for(2));
  EXPECT_EQ(received()[1].id, one.id);
}

TEST_P(OutboxRelayTest, DeletesWhatWasPublishedLongAgo) {
  ASSERT_TRUE(append_in_tenant(event("a.b")));
  start_relay(*database_, {.poll_interval = Millis(10), .keep = Millis(60'000), .clean_up_interval = Millis(0)});
  ASSERT_TRUE(inbox_.wait_for(1));
  stop_relay();
  EXPECT_EQ(count("1 = 1"), 1);
  relay_.reset();
  clock_.advance(Millis(120'000));
  ASSERT_TRUE(append_in_tenant(event("a.b")));
  relay_.emplace(
      OutboxRelay::Parts{.core = cores_.at(0),
                         .database = *database_,
                         .bus = *bus_,
                         .clock = clock_,
                         .random = relay_random_,
                         .registry = registry_},
      OutboxRelayOptions{.poll_interval = Millis(10), .keep = Millis(60'000), .clean_up_interval = Millis(0)});
  relay_->start();
  EXPECT_TRUE(comes_true([&] { return count("1 = 1") == 1; }));
  ASSERT_TRUE(inbox_.wait_for(2));
}

TEST_P(OutboxRelayTest, GoesOnAfterTheStoreFailed) {
  // The table comes late: until then every round fails.
  sql::TestDatabase empty = sql::open_test_database(GetParam());
  start_relay(*empty, {.poll_interval = Millis(10)});
  metrics::Counter& failures = registry_.counter("bulkhead_outbox_failures_total", "Rounds of the relay that failed.");
  ASSERT_TRUE(comes_true([&] { return failures.value() >= 2; }));
  ASSERT_TRUE(empty->migrate(bus_migrations()));
  const Event one = event("a.b");
  ASSERT_TRUE(sql::wait(empty->system_write([&](sql::SystemTx& tx) { return append(tx, one); })));
  EXPECT_TRUE(inbox_.wait_for(1));
  stop_relay();
}

TEST(ParseEvent, RefusesOtherMessages) {
  for (
      const char* payload :
      {"", "{}", "[]", R"({"id":"x","created_at":"2026-01-01T00:00:00Z","data":{}})",
       R"({"id":"01890a5d-ac96-774b-bcce-b302099a8057","created_at":"yesterday","tenant_id":null,"data":{}})",
       R"({"id":"01890a5d-ac96-774b-bcce-b302099a8057","created_at":"2026-01-01T00:00:00.000000Z","tenant_id":"x","data":{}})",
       R"({"id":"01890a5d-ac96-774b-bcce-b302099a8057","created_at":"2026-01-01T00:00:00.000000Z","data":1})"}) {
    const auto parsed = parse_event({.topic = "a", .payload = payload});
    ASSERT_FALSE(parsed) << payload;
    EXPECT_EQ(parsed.error().code == ErrorCode::kBadRequest || parsed.error().code == ErrorCode::kInvalidJson, true);
  }
}

}  // namespace
}  // namespace bulkhead::bus
