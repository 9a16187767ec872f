#include "features/broker/broker.h"

#include <gtest/gtest.h>

#include "base/json.h"
#include "features/broker/key_value_store.h"
#include "features/broker/stored_data_follower.h"
#include "platform/sql/test_database.h"

namespace bulkhead {
std::vector<sql::Migration> broker_migrations();
}

namespace bulkhead::broker {
namespace {

using protocol::HostCode;

class BrokerTest : public testing::TestWithParam<sql::Engine> {
 protected:
  extensions::InstalledPtr install(std::vector<std::string> capabilities = {"storage.kv"}) {
    auto installed = std::make_shared<extensions::InstalledExtension>();
    installed->install_id = InstallId::v4(random_);
    installed->tenant_id = TenantId::v4(random_);
    installed->granted_capabilities = std::move(capabilities);
    return installed;
  }
  ExecutionHandle begin(const extensions::InstalledPtr& installed) {
    return table_.mint(installed, clock_.steady_now() + Millis(5'000), {});
  }
  protocol::HostResult call(const ExecutionHandle& handle, std::string name, std::string request) {
    return sql::wait(broker_.call(table_, {handle, std::move(name), std::move(request)}));
  }
  json::value response(const protocol::HostResult& result) { return *parse_json(result.response_json); }

  sql::TestDatabase database_ = sql::open_test_database(GetParam(), {broker_migrations()});
  SeededRandom random_{3};
  ManualClock clock_;
  metrics::Registry registry_;
  ExecutionTable table_{clock_, random_};
  Broker broker_{*database_, clock_, registry_};
  extensions::InstalledPtr install_ = install();
  ExecutionHandle handle_ = begin(install_);
};

TEST_P(BrokerTest, PutsGetsAndDeletesWithGrowingVersions) {
  EXPECT_EQ(call(handle_, "storage.get", R"({"key":"a"})").code, HostCode::kNotFound);
  EXPECT_EQ(call(handle_, "storage.set", R"({"key":"a","value":{"n":1}})").response_json, R"({"version":1})");
  EXPECT_EQ(call(handle_, "storage.put", R"({"key":"a","value":[true,null]})").response_json, R"({"version":2})");
  EXPECT_EQ(call(handle_, "storage.get", R"({"key":"a"})").response_json, R"({"value":[true,null],"version":2})");
  EXPECT_EQ(call(handle_, "storage.delete", R"({"key":"a"})").code, HostCode::kOk);
  EXPECT_EQ(call(handle_, "storage.delete", R"({"key":"a"})").code, HostCode::kOk);
  EXPECT_EQ(call(handle_, "storage.get", R"({"key":"a"})").code, HostCode::kNotFound);
}

TEST_P(BrokerTest, ComparesAndSets) {
  EXPECT_EQ(call(handle_, "storage.set", R"({"key":"a","value":1,"if_version":0})").code, HostCode::kOk);
  EXPECT_EQ(call(handle_, "storage.set", R"({"key":"a","value":2,"if_version":0})").code, HostCode::kConflict);
  EXPECT_EQ(call(handle_, "storage.set", R"({"key":"a","value":2,"if_version":1})").response_json, R"({"version":2})");
  EXPECT_EQ(call(handle_, "storage.set", R"({"key":"a","value":3,"if_version":1})").code, HostCode::kConflict);
  EXPECT_EQ(call(handle_, "storage.delete", R"({"key":"a","if_version":1})").code, HostCode::kConflict);
  EXPECT_EQ(call(handle_, "storage.delete", R"({"key":"a","if_version":2})").code, HostCode::kOk);
}

TEST_P(BrokerTest, AnExpiredItemIsAbsentAndStartsAnew) {
  call(handle_, "storage.set", R"({"key":"a","value":1,"ttl_seconds":1})");
  EXPECT_EQ(call(handle_, "storage.get", R"({"key":"a"})").code, HostCode::kOk);
  clock_.advance(std::chrono::seconds(2));
  EXPECT_EQ(call(handle_, "storage.get", R"({"key":"a"})").code, HostCode::kNotFound);
  EXPECT_EQ(response(call(handle_, "storage.list", "{}")).at("items").as_array().size(), 0U);
  EXPECT_EQ(call(handle_, "storage.set", R"({"key":"a","value":2,"if_version":0})").response_json, R"({"version":1})");
  call(handle_, "storage.set", R"({"key":"b","value":1,"ttl_seconds":1})");
  clock_.advance(std::chrono::seconds(2));
  const auto removed =
      sql::wait(database_->system_write([&](sql::SystemTx& tx) { return remove_expired_items(tx, clock_.now(), 10); }));
  EXPECT_EQ(*removed, 1);
}

TEST_P(BrokerTest, ListsByPrefixInByteOrderPageByPage) {
  for (const char* key : {"order/10", "order/2", "order/1", "Order/1", "other", "ord\u00e9r"}) {
    call(handle_, "storage.set", std::string(R"({"value":0,"key":")") + key + "\"}");
  }
  std::vector<std::string> keys;
  std::string cursor;
  do {
    const std::string request =
        R"({"prefix":"order/","limit":2)" + (cursor.empty() ? "" : R"(,"cursor":")" + cursor + '"') + "}";
    const auto page = response(call(handle_, "storage.list", request));
    for (const auto& item : page.at("items").as_array()) keys.emplace_back(item.at("key").as_string());
    const auto* next = page.as_object().if_contains("cursor");
    cursor = next != nullptr ? std::string(next->as_string()) : "";
  } while (!cursor.empty());
  EXPECT_EQ(keys, (std::vector<std::string>{"order/1", "order/10", "order/2"}));
}

TEST_P(BrokerTest, BulkPutsAllOrNothing) {
  EXPECT_EQ(
      call(handle_, "storage.bulk_put", R"({"items":[{"key":"a","value":1},{"key":"b","value":2}]})").response_json,
      R"({"versions":[1,1]})");
  EXPECT_EQ(call(handle_, "storage.bulk_put", R"({"items":[{"key":"c","value":1},{"key":"","value":2}]})").code,
            HostCode::kInvalid);
  EXPECT_EQ(call(handle_, "storage.get", R"({"key":"c"})").code, HostCode::kNotFound);
}

TEST_P(BrokerTest, InstallsAndNamespacesAreApart) {
  const auto other = begin(install());
  call(handle_, "storage.set", R"({"key":"a","value":"mine"})");
  EXPECT_EQ(call(other, "storage.get", R"({"key":"a"})").code, HostCode::kNotFound);
  EXPECT_EQ(call(handle_, "storage.get", R"({"namespace":"n","key":"a"})").code, HostCode::kNotFound);
}

TEST_P(BrokerTest, RemovingAnInstallRemovesItsItemsInTheSameTransaction) {
  const auto neighbour = install();
  const auto other = begin(neighbour);
  for (const auto& handle : {handle_, other}) call(handle, "storage.set", R"({"namespace":"n","key":"a","value":1})");
  StoredDataFollower follower;
  const auto scope = TenantScope::for_background_job(install_->tenant_id, "test");
  const auto forget = [&](Status outcome) {
    return sql::wait(database_->write(scope, [&, outcome](sql::TenantTx& tx) -> Status {
      BH_TRY_VOID(follower.forget(tx, install_->install_id));
      return outcome;
    }));
  };
  EXPECT_FALSE(forget(fail(ErrorCode::kConflict)));
  EXPECT_EQ(call(handle_, "storage.get", R"({"namespace":"n","key":"a"})").code, HostCode::kOk);
  EXPECT_TRUE(forget({}));
  EXPECT_EQ(call(handle_, "storage.get", R"({"namespace":"n","key":"a"})").code, HostCode::kNotFound);
  EXPECT_EQ(call(other, "storage.get", R"({"namespace":"n","key":"a"})").code, HostCode::kOk);
}

TEST_P(BrokerTest, DeniesWithoutAHandleAGrantOrTime) {
  EXPECT_EQ(call(ExecutionHandle::random(random_), "storage.get", R"({"key":"a"})").code, HostCode::kDenied);
  EXPECT_EQ(call(begin(install({})), "storage.get", R"({"key":"a"})").code, HostCode::kDenied);
  table_.end(handle_);
  EXPECT_EQ(call(handle_, "storage.get", R"({"key":"a"})").code, HostCode::kDenied);
  const auto late = begin(install_);
  clock_.advance(std::chrono::seconds(6));
  EXPECT_EQ(call(late, "storage.get", R"({"key":"a"})").code, HostCode::kDenied);
  EXPECT_EQ(table_.size(), 1U) << "the grantless one; the late one was dropped when it was asked for";
}

TEST_P(BrokerTest, RefusesMalformedRequests) {
  for (const char* request : {"", "[]", "{", R"({"key":7})", R"({"key":""})", R"({"key":"a","nope":1})",
                              R"({"key":"a","namespace":1})", R"({"key":"a\u0000b"})"}) {
    EXPECT_EQ(call(handle_, "storage.get", request).code, HostCode::kInvalid) << request;
  }
  EXPECT_EQ(call(handle_, "storage.get", R"({"key":")" + std::string(600, 'k') + "\"}").code, HostCode::kInvalid);
  EXPECT_EQ(call(handle_, "storage.set", R"({"key":"a","value":")" + std::string(1'100'000, 'v') + "\"}").code,
            HostCode::kTooLarge);
  EXPECT_EQ(call(handle_, "http.fetch", "{}").code, HostCode::kDenied) << "not served yet";
}

TEST_P(BrokerTest, CountsHostCallsPerExecution) {
  auto limited = std::make_shared<extensions::InstalledExtension>(*install_);
  limited->limits.host_calls = 2;
  const auto handle = begin(limited);
  EXPECT_EQ(call(handle, "storage.get", R"({"key":"a"})").code, HostCode::kNotFound);
  EXPECT_EQ(call(handle, "storage.get", R"({"key":"a"})").code, HostCode::kNotFound);
  EXPECT_EQ(call(handle, "storage.get", R"({"key":"a"})").code, HostCode::kQuota);
}

INSTANTIATE_TEST_SUITE_P(Engines, BrokerTest, testing::ValuesIn(sql::test_engines()), sql::test_engine_name);

}  // namespace
}  // namespace bulkhead::broker
