// SqlInstallDirectory: what it keeps, for how long, and what it forgets.
#include <gtest/gtest.h>

#include <boost/asio/co_spawn.hpp>

#include "features/extensions/room_testing.h"

namespace bulkhead::extensions {
namespace {

class Directory : public testing::TestWithParam<sql::Engine> {
 protected:
  Directory() {
    room_.trust_key();
    EXPECT_EQ(room_.publish(key_, room_.hello("1.0.0")).status, 201);
    install_ = room_.send(net::Method::kPost, "/api/installs", key_, {{"extension", "com.example.hello"}}).text("/id");
    loads_ = &room_.access.registry.counter("install_directory_loads_total", "Look-ups that asked the store.");
  }
  InstalledPtr find(const std::string& name = "com.example.hello") {
    return *sql::wait(room_.directory.find(organization_.id, name));
  }
  // A change that no service of this node made.
  void disable_behind_its_back() {
    ASSERT_TRUE(sql::wait(room_.access.database->system_write(
        [](sql::SystemTx& tx) { return tx.execute("UPDATE tenant_extension_install SET is_enabled = 0"); })));
  }

  asio::io_context context_{1};  // outlives the database, which wakes it
  TestRoom room_{GetParam()};
  access::Organization organization_ = room_.access.organization("alice");
  std::string key_ = room_.access.key_in(organization_.id);
  std::string install_;
  metrics::Counter* loads_ = nullptr;
};
INSTANTIATE_TEST_SUITE_P(Engines, Directory, testing::ValuesIn(sql::test_engines()), sql::test_engine_name);

TEST_P(Directory, FindsByNameIdAndInstall) {
  const InstalledPtr by_name = find();
  ASSERT_TRUE(by_name);
  EXPECT_EQ(find(by_name->extension_id.to_string())->install_id, by_name->install_id);
  EXPECT_EQ((*sql::wait(room_.directory.find_install(by_name->install_id)))->extension_name, "com.example.hello");
  EXPECT_EQ(by_name->current, find(by_name->extension_id.to_string())->current) << "versions are shared";
  EXPECT_FALSE(find("com.example.none"));
  EXPECT_FALSE(find(std::string(10'000, 'a')));
  EXPECT_FALSE(*sql::wait(room_.directory.find_install(InstallId::v4(room_.access.random))));
  EXPECT_FALSE(*sql::wait(room_.directory.find(TenantId::v4(room_.access.random), "com.example.hello")));
}

TEST_P(Directory, AsksTheStoreOncePerMinute) {
  ASSERT_TRUE(find());
  const auto before = loads_->value();
  disable_behind_its_back();
  room_.access.clock.advance(std::chrono::seconds(59));
  EXPECT_TRUE(find());
  EXPECT_EQ(loads_->value(), before);
  room_.access.clock.advance(std::chrono::seconds(2));
  EXPECT_FALSE(find());
  EXPECT_EQ(loads_->value(), before + 1);
}

TEST_P(Directory, WhatIsAbsentIsRememberedShortly) {
  EXPECT_FALSE(find("com.example.later"));
  const auto before = loads_->value();
  EXPECT_FALSE(find("com.example.later"));
  EXPECT_EQ(loads_->value(), before);
  room_.access.clock.advance(std::chrono::seconds(6));
  EXPECT_FALSE(find("com.example.later"));
  EXPECT_EQ(loads_->value(), before + 1);
}

TEST_P(Directory, ManyThatMissAtOnceLoadOnce) {
  room_.directory.evict_all();
  const auto before = loads_->value();
  int found = 0;
  const auto look = [&]() -> Task<> {
    const auto installed = co_await room_.directory.find(organization_.id, "com.example.hello");
    found += installed && *installed ? 1 : 0;
  };
  for (int i = 0; i < 50; ++i) sql::start_task(look());
  sql::run_tasks();
  EXPECT_EQ(found, 50);
  EXPECT_EQ(loads_->value(), before + 1);
}

TEST_P(Directory, SeveralThreadsMayLookAndEvictAtOnce) {
  std::atomic<bool> wrong = false;
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 200; ++i) {
        const auto installed = sql::wait(room_.directory.find(organization_.id, "com.example.hello"));
        if (!installed || !*installed) wrong = true;
        if (i % 20 == 0) room_.directory.evict(organization_.id);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_FALSE(wrong);
}

TEST_P(Directory, AnEvictionDuringALoadIsNotLost) {
  room_.directory.evict_all();
  InstalledPtr seen;
  const auto look = [&]() -> Task<> { seen = *co_await room_.directory.find(organization_.id, "com.example.hello"); };
  asio::co_spawn(context_, look(), [](std::exception_ptr e) { ASSERT_FALSE(e); });
  const auto before = loads_->value();
  while (loads_->value() == before) context_.poll_one();  // the load is under way; its result waits to be taken
  disable_behind_its_back();
  room_.directory.evict(organization_.id);
  context_.restart();
  context_.run();
  EXPECT_FALSE(seen);
  EXPECT_FALSE(find());
}

TEST_P(Directory, HearsOfOtherNodesChanges) {
  ASSERT_TRUE(find());
  room_.directory.listen(*room_.access.bus, room_.access.cores.at(0));
  disable_behind_its_back();
  room_.access.bus->publish(
      {"install.changed",
       json::serialize(json::object{{"id", EventId::v7(room_.access.clock.now(), room_.access.random).to_string()},
                                    {"tenant_id", organization_.id.to_string()},
                                    {"created_at", to_rfc3339(room_.access.clock.now())},
                                    {"data", json::object()}})});
  room_.access.cores.at(0).context().restart();
  room_.access.cores.at(0).context().poll();
  EXPECT_FALSE(find());
}

TEST_P(Directory, SaysWhenTheStoreIsAway) {
  room_.directory.evict_all();
  room_.access.database.close();
  const auto found = sql::wait(room_.directory.find(organization_.id, "com.example.hello"));
  ASSERT_FALSE(found);
  EXPECT_EQ(found.error().http_status(), 503);
}

}  // namespace
}  // namespace bulkhead::extensions
