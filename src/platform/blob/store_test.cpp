// The conformance suite: what every blob::Store promises (store.h), run against each implementation.
#include "platform/blob/store.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <filesystem>
#include <future>

#include "platform/async/cores.h"
#include "platform/blob/stores.h"
#include "platform/blob/test_s3.h"
#include "platform/process/file.h"

namespace bulkhead::blob {
namespace {

enum class Kind : std::uint8_t { kFs, kS3 };

template <typename T>
Task<> deliver(Task<T> task, std::shared_ptr<std::promise<T>> into) {
  into->set_value(co_await std::move(task));
}

class Conformance : public testing::TestWithParam<Kind> {
 protected:
  void SetUp() override {
    if (GetParam() == Kind::kFs) {
      store_ = make_fs_store({.root = path("root")}).value();
    } else {
      s3_ = std::make_unique<TestS3>(std::move(*TestS3::start()));
      store_ = make_s3_store(s3_->options(), cores_).value();
    }
    cores_.start();
  }
  void TearDown() override { cores_.stop(); }

  // On a core, as everything is in production.
  template <typename T>
  std::future<T> begin(Task<T> task) {
    auto result = std::make_shared<std::promise<T>>();
    auto future = result->get_future();
    asio::co_spawn(cores_.at(0).executor(), deliver(std::move(task), result), asio::detached);
    return future;
  }
  template <typename T>
  T run(Task<T> task) {
    return begin(std::move(task)).get();
  }
  std::string path(std::string_view below) const { return directory_.path() + "/" + std::string(below); }
  Store& store() { return *store_; }

 private:
  process::TemporaryDirectory directory_ = std::move(*process::TemporaryDirectory::create("blob-store"));
  std::unique_ptr<TestS3> s3_;
  Cores cores_{1};
  std::unique_ptr<Store> store_;
};

TEST_P(Conformance, GivesBackWhatWasPut) {
  ASSERT_TRUE(run(store().put("sha256/ab/bundle", "content")));
  EXPECT_EQ(run(store().get("sha256/ab/bundle", 1_KiB)).value(), "content");
  EXPECT_EQ(run(store().info("sha256/ab/bundle")).value().size, 7_B);
}

TEST_P(Conformance, KeepsEmptyBlobsAndAnyBytes) {
  std::string bytes;
  for (int i = 0; i < 1000; ++i) bytes += static_cast<char>(i % 256);
  ASSERT_TRUE(run(store().put("empty", "")));
  ASSERT_TRUE(run(store().put("bytes", bytes)));
  EXPECT_EQ(run(store().get("empty", 1_KiB)).value(), "");
  EXPECT_EQ(run(store().info("empty")).value().size, 0_B);
  EXPECT_EQ(run(store().get("bytes", 1_KiB)).value(), bytes);
}

TEST_P(Conformance, TakesOddKeys) {
  for (const std::string key :
       {"a b+c:=?\xC3\xA9", "x/%2e%2e/%41", "q?versionId=1&x", "semi;colon,comma@at$dollar", "tilde~(paren)'quote'!*",
        "hash#fragment", "<xml>&amp;\"", "\xF0\x9F\x98\x80/\xE4\xB8\xAD", "..dots../x."}) {
    // A name of dots at its beginning is hidden, and refused.
    if (key.starts_with('.')) {
      EXPECT_EQ(run(store().put(key, key)).error().code, ErrorCode::kInvalidPath);
      continue;
    }
    const auto put = run(store().put(key, "content of " + key));
    ASSERT_TRUE(put) << key << ": " << put.error().to_log_string();
    EXPECT_EQ(run(store().get(key, 1_KiB)).value(), "content of " + key) << key;
    EXPECT_TRUE(run(store().info(key))) << key;
    EXPECT_EQ(run(store().list(key, 10)).value(), std::vector{key}) << key;
    ASSERT_TRUE(run(store().remove(key))) << key;
    EXPECT_EQ(run(store().info(key)).error().code, ErrorCode::kNotFound) << key;
  }
}

TEST_P(Conformance, RefusesUnsafeKeys) {
  for (const std::string& key :
       {std::string(), std::string("/absolute"), std::string("../up"), std::string("a/../b"), std::string("a//b"),
        std::string("a/"), std::string("."), std::string("a/./b"), std::string("a\\b"), std::string("a\nb"),
        std::string("nul\0", 4), std::string(".hidden"), std::string("\xFF"), std::string(901, 'k')}) {
    EXPECT_EQ(run(store().put(key, "x")).error().code, ErrorCode::kInvalidPath) << key;
    EXPECT_EQ(run(store().get(key, 1_KiB)).error().code, ErrorCode::kInvalidPath) << key;
    EXPECT_EQ(run(store().info(key)).error().code, ErrorCode::kInvalidPath) << key;
    EXPECT_EQ(run(store().remove(key)).error().code, ErrorCode::kInvalidPath) << key;
    EXPECT_EQ(run(store().put_file(key, "/etc/hostname")).error().code, ErrorCode::kInvalidPath) << key;
    EXPECT_EQ(run(store().get_to_file(key, path("x"), 1_KiB)).error().code, ErrorCode::kInvalidPath) << key;
  }
  EXPECT_EQ(run(store().list("../", 10)).error().code, ErrorCode::kInvalidPath);
}

TEST_P(Conformance, SaysWhatIsAbsent) {
  EXPECT_EQ(run(store().get("none", 1_KiB)).error().code, ErrorCode::kNotFound);
  EXPECT_EQ(run(store().get("none/deeper", 1_KiB)).error().code, ErrorCode::kNotFound);
  EXPECT_EQ(run(store().info("none")).error().code, ErrorCode::kNotFound);
  EXPECT_EQ(run(store().get_to_file("none", path("file"), 1_KiB)).error().code, ErrorCode::kNotFound);
  EXPECT_FALSE(std::filesystem::exists(path("file")));
  EXPECT_TRUE(run(store().remove("none")));
  EXPECT_TRUE(run(store().list("none/", 10)).value().empty());
}

TEST_P(Conformance, NeverChangesABlob) {
  ASSERT_TRUE(run(store().put("key", "first")));
  EXPECT_TRUE(run(store().put("key", "first")));
  EXPECT_EQ(run(store().put("key", "other")).error().code, ErrorCode::kAlreadyExists);
  EXPECT_EQ(run(store().put("key", "longer than that")).error().code, ErrorCode::kAlreadyExists);
  EXPECT_EQ(run(store().get("key", 1_KiB)).value(), "first");
  ASSERT_TRUE(process::write_file_atomically(path("same"), "first"));
  ASSERT_TRUE(process::write_file_atomically(path("other"), "OTHER"));
  EXPECT_TRUE(run(store().put_file("key", path("same"))));
  EXPECT_EQ(run(store().put_file("key", path("other"))).error().code, ErrorCode::kAlreadyExists);
  // Once removed, the key is free.
  ASSERT_TRUE(run(store().remove("key")));
  EXPECT_TRUE(run(store().put("key", "other")));
}

TEST_P(Conformance, ReadsNoMoreThanAllowed) {
  ASSERT_TRUE(run(store().put("five", "12345")));
  EXPECT_TRUE(run(store().get("five", 5_B)));
  EXPECT_EQ(run(store().get("five", 4_B)).error().code, ErrorCode::kPayloadTooLarge);
  EXPECT_EQ(run(store().get_to_file("five", path("file"), 4_B)).error().code, ErrorCode::kPayloadTooLarge);
  EXPECT_FALSE(std::filesystem::exists(path("file")));
}

TEST_P(Conformance, StreamsBigFilesBothWays) {
  std::string content(20'000'000, '\0');
  for (std::size_t i = 0; i < content.size(); ++i) content[i] = static_cast<char>(i * 31 + i / 997);
  ASSERT_TRUE(process::write_file_atomically(path("big"), content));
  const auto put = run(store().put_file("big/file", path("big")));
  ASSERT_TRUE(put) << put.error().to_log_string();
  EXPECT_EQ(run(store().info("big/file")).value().size.value, content.size());
  ASSERT_TRUE(run(store().get_to_file("big/file", path("back"), 64_MiB)));
  EXPECT_TRUE(process::read_file(path("back"), 64_MiB).value() == content);
  EXPECT_TRUE(run(store().get("big/file", 64_MiB)).value() == content);
}

TEST_P(Conformance, WritesOnlyNewFiles) {
  ASSERT_TRUE(run(store().put("key", "content")));
  ASSERT_TRUE(process::write_file_atomically(path("there"), "before"));
  EXPECT_EQ(run(store().get_to_file("key", path("there"), 1_KiB)).error().code, ErrorCode::kAlreadyExists);
  EXPECT_EQ(process::read_file(path("there"), 1_KiB).value(), "before");
}

TEST_P(Conformance, ListsInOrderByPrefix) {
  const std::vector<std::string> keys = {"a",  "b-c",   "b/a",   "b/c/d",      "b/c0",
                                         "b0", "c/one", "c/two", "c/two-more", "d/\xC3\xA9"};
  for (const auto& key : keys) ASSERT_TRUE(run(store().put(key, key))) << key;
  EXPECT_EQ(run(store().list("", 100)).value(), keys);
  EXPECT_EQ(run(store().list("b", 100)).value(), (std::vector<std::string>{"b-c", "b/a", "b/c/d", "b/c0", "b0"}));
  EXPECT_EQ(run(store().list("b/", 100)).value(), (std::vector<std::string>{"b/a", "b/c/d", "b/c0"}));
  EXPECT_EQ(run(store().list("c/tw", 100)).value(), (std::vector<std::string>{"c/two", "c/two-more"}));
  EXPECT_EQ(run(store().list("", 3)).value(), (std::vector<std::string>{"a", "b-c", "b/a"}));
  EXPECT_TRUE(run(store().list("zzz", 100)).value().empty());
}

TEST_P(Conformance, ListsMoreThanAPage) {
  std::vector<std::string> keys;
  for (int i = 0; i < 1040; ++i) keys.push_back("page/" + std::to_string(10'000 + i));
  std::vector<std::future<Status>> puts;
  for (const auto& key : keys) {
    puts.push_back(begin(store().put(key, "x")));
    if (puts.size() < 64) continue;
    for (auto& put : puts) ASSERT_TRUE(put.get());
    puts.clear();
  }
  for (auto& put : puts) ASSERT_TRUE(put.get());
  EXPECT_EQ(run(store().list("page/", 5000)).value(), keys);
  EXPECT_EQ(run(store().list("page/", 1020)).value().size(), 1020U);
}

TEST_P(Conformance, ServesManyCallsAtOnce) {
  std::vector<std::thread> callers;
  std::atomic<int> wrong = 0;
  for (int caller = 0; caller < 8; ++caller) {
    callers.emplace_back([&, caller] {
      for (int i = 0; i < 25; ++i) {
        const auto key = "many/" + std::to_string(caller) + "/" + std::to_string(i);
        if (!run(store().put(key, key)) || run(store().get(key, 1_KiB)) != key) ++wrong;
      }
    });
  }
  for (auto& caller : callers) caller.join();
  EXPECT_EQ(wrong, 0);
}

TEST_P(Conformance, ChecksItself) { EXPECT_TRUE(run(store().check())); }

INSTANTIATE_TEST_SUITE_P(Stores, Conformance, testing::Values(Kind::kFs, Kind::kS3),
                         [](const auto& info) { return info.param == Kind::kFs ? "Fs" : "S3"; });

}  // namespace
}  // namespace bulkhead::blob
