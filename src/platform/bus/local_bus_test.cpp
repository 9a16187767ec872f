#include <gtest/gtest.h>

#include <future>
#include <latch>
#include <thread>

#include "platform/bus/bus.h"
#include "platform/bus/topics.h"

namespace bulkhead::bus {
namespace {

constexpr std::chrono::seconds kDeadline{10};

TEST(Topics, AreDotSeparatedWords) {
  for (const char* topic : {"a", "policy.invalidate", "install.7c9e-11.changed", "A_1.b-2"}) {
    EXPECT_TRUE(is_valid_topic(topic)) << topic;
  }
  for (const char* topic : {"", ".", "a.", ".a", "a..b", "a b", "a.*", "*", "a/b", "ä"}) {
    EXPECT_FALSE(is_valid_topic(topic)) << topic;
  }
  EXPECT_FALSE(is_valid_topic(std::string(256, 'a')));
}

TEST(Topics, PatternsMatchATopicOrAPrefixOfWords) {
  struct Case {
    const char* pattern;
    const char* topic;
    bool matches;
  };
  for (const Case& one : std::vector<Case>{{"a.b", "a.b", true},
                                           {"a.b", "a.b.c", false},
                                           {"a.b.*", "a.b.c", true},
                                           {"a.b.*", "a.b.c.d", true},
                                           {"a.b.*", "a.b", false},
                                           {"a.b.*", "a.bc", false},
                                           {"a.b.*", "a.bc.d", false},
                                           {"*", "a.b", true}}) {
    EXPECT_TRUE(is_valid_pattern(one.pattern)) << one.pattern;
    EXPECT_EQ(matches(one.pattern, one.topic), one.matches) << one.pattern << " " << one.topic;
  }
  for (const char* pattern : {"", "a*", "*.a", "a.*.b", ".*", "a.**"})
    EXPECT_FALSE(is_valid_pattern(pattern)) << pattern;
}

class LocalBusTest : public testing::Test {
 protected:
  void SetUp() override { cores_.start(); }
  // Runs something on a core and waits for it.
  template <typename F>
  auto on_core(std::size_t core, F work) {
    std::packaged_task<std::invoke_result_t<F&>()> task(std::move(work));
    auto result = task.get_future();
    asio::post(cores_.at(core).executor(), [&task] { task(); });
    EXPECT_EQ(result.wait_for(kDeadline), std::future_status::ready);
    return result.get();
  }
  std::unique_ptr<Subscription> subscribe(std::size_t core, std::string pattern, Bus::Handlers handlers) {
    return on_core(core, [&] { return bus_->subscribe(cores_.at(core), pattern, handlers); });
  }
  void end(std::size_t core, std::unique_ptr<Subscription>& subscription) {
    on_core(core, [&] { subscription.reset(); });
  }

  std::unique_ptr<Bus> bus_ = make_local_bus();
  Cores cores_{2};
};

TEST_F(LocalBusTest, DeliversInOrderOnTheSubscribersCore) {
  std::latch all(1000);
  std::vector<std::string> got;
  bool always_on_core = true;
  auto subscription = subscribe(1, "count.*",
                                {.message =
                                     [&](const Message& message) {
                                       always_on_core &= cores_.at(1).is_current();
                                       got.push_back(message.payload);
                                       all.count_down();
                                     },
                                 .lost = {}});
  for (int i = 0; i < 1000; ++i) bus_->publish({.topic = "count.up", .payload = std::to_string(i)});
  bus_->publish({.topic = "other", .payload = "x"});
  all.wait();
  EXPECT_TRUE(always_on_core);
  for (int i = 0; i < 1000; ++i) ASSERT_EQ(got[static_cast<std::size_t>(i)], std::to_string(i));
  end(1, subscription);
  EXPECT_EQ(got.size(), 1000U);
}

TEST_F(LocalBusTest, EverySubscriptionThatMatchesGetsTheMessage) {
  std::latch all(4);
  const auto count = Bus::Handlers{.message = [&](const Message&) { all.count_down(); }, .lost = {}};
  std::vector<std::unique_ptr<Subscription>> first;
  auto a = subscribe(0, "a.b", count);
  auto b = subscribe(1, "a.b", count);
  auto c = subscribe(0, "a.*", count);
  auto d = subscribe(1, "*", count);
  auto e = subscribe(0, "a.c", count);
  bus_->publish({.topic = "a.b", .payload = "{}"});
  all.wait();
  for (auto* subscription : {&a, &c, &e}) end(0, *subscription);
  for (auto* subscription : {&b, &d}) end(1, *subscription);
}

TEST_F(LocalBusTest, AnEndedSubscriptionHearsNothingMore) {
  std::atomic<int> heard = 0;
  std::unique_ptr<Subscription> subscription;
  std::promise<void> ended;
  subscription = subscribe(0, "x",
                           {.message =
                                [&](const Message&) {
                                  ++heard;
                                  subscription.reset();  // from its own handler
                                  ended.set_value();
                                },
                            .lost = {}});
  on_core(0, [&] {
    for (int i = 0; i < 10; ++i) bus_->publish({.topic = "x", .payload = "{}"});
  });
  ASSERT_EQ(ended.get_future().wait_for(kDeadline), std::future_status::ready);
  bus_->publish({.topic = "x", .payload = "{}"});
  on_core(0, [] {});
  EXPECT_EQ(heard, 1);
}

TEST_F(LocalBusTest, OverflowDropsTheOldestAndSaysSoFirst) {
  std::latch all(10'000);
  std::vector<std::string> got;
  int lost = 0;
  auto subscription = subscribe(0, "x",
                                {.message =
                                     [&](const Message& message) {
                                       got.push_back(message.payload);
                                       all.count_down();
                                     },
                                 .lost =
                                     [&] {
                                       EXPECT_TRUE(got.empty());
                                       ++lost;
                                     }});
  on_core(0, [&] {
    for (int i = 0; i < 10'005; ++i) bus_->publish({.topic = "x", .payload = std::to_string(i)});
  });
  all.wait();
  end(0, subscription);
  EXPECT_EQ(lost, 1);
  EXPECT_EQ(got.front(), "5");
  EXPECT_EQ(got.back(), "10004");
}

TEST_F(LocalBusTest, ManyThreadsMayPublish) {
  constexpr int kThreads = 4;
  constexpr int kEach = 2'000;
  std::latch all(kThreads * kEach);
  std::array<int, kThreads> next{};
  auto subscription = subscribe(0, "*",
                                {.message =
                                     [&](const Message& message) {
                                       const auto thread = static_cast<std::size_t>(std::stoi(message.topic));
                                       EXPECT_EQ(message.payload, std::to_string(next[thread]++));
                                       all.count_down();
                                     },
                                 .lost = [] { FAIL() << "the queue has room for all"; }});
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < kEach; ++i) bus_->publish({.topic = std::to_string(t), .payload = std::to_string(i)});
    });
  }
  for (auto& thread : threads) thread.join();
  all.wait();
  end(0, subscription);
}

TEST_F(LocalBusTest, SubscriptionsMayOutliveTheBus) {
  auto subscription = subscribe(0, "x", {.message = [](const Message&) {}, .lost = {}});
  bus_.reset();
  end(0, subscription);
}

}  // namespace
}  // namespace bulkhead::bus
