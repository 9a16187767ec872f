// What only the S3 store promises, against a real S3 server. What every store promises is in store_test.cpp.
#include <gtest/gtest.h>

#include <boost/asio/co_spawn.hpp>
#include <filesystem>
#include <future>
#include <thread>

#include "platform/blob/s3_address.h"
#include "platform/blob/s3_xml.h"
#include "platform/blob/stores.h"
#include "platform/blob/test_s3.h"
#include "platform/net/http_client.h"

namespace bulkhead::blob {
namespace {

using namespace std::chrono_literals;

template <typename T>
Task<> deliver(Task<T> task, std::promise<T>* into) {
  into->set_value(co_await std::move(task));
}

class S3 : public testing::Test {
 protected:
  void SetUp() override { cores_.start(); }
  void TearDown() override { cores_.stop(); }
  std::unique_ptr<Store> open(S3Options options) { return make_s3_store(std::move(options), cores_).value(); }
  template <typename T>
  T run(Task<T> task) {
    std::promise<T> result;
    asio::co_spawn(cores_.at(1).executor(), deliver(std::move(task), &result), [](const std::exception_ptr&) {});
    return result.get_future().get();
  }

  TestS3 s3_ = std::move(*TestS3::start());
  Cores cores_{2};
};

TEST_F(S3, IsRefusedWithAWrongSecret) {
  auto options = s3_.options();
  options.secret_key = "wrong";
  const auto store = open(options);
  const auto put = run(store->put("key", "content"));
  ASSERT_FALSE(put);
  EXPECT_EQ(put.error().code, ErrorCode::kBlobUnavailable);
  EXPECT_NE(put.error().detail.find("SignatureDoesNotMatch"), std::string::npos) << put.error().detail;
  EXPECT_EQ(run(store->check()).error().code, ErrorCode::kBlobUnavailable);
  EXPECT_FALSE(std::filesystem::exists(s3_.bucket_path() + "/key"));
}

TEST_F(S3, IsUnavailableWithinTheDeadlineWhileTheServerIsDownAndThenRecovers) {
  auto options = s3_.options();
  options.deadline = 400ms;
  const auto store = open(options);
  ASSERT_TRUE(run(store->put("before", "content")));
  s3_.stop();
  const auto begun = std::chrono::steady_clock::now();
  const auto put = run(store->put("during", "content"));
  EXPECT_LT(std::chrono::steady_clock::now() - begun, 3s);
  EXPECT_EQ(put.error().code, ErrorCode::kBlobUnavailable);
  EXPECT_EQ(run(store->get("before", 1_KiB)).error().code, ErrorCode::kBlobUnavailable);
  EXPECT_EQ(run(store->check()).error().code, ErrorCode::kBlobUnavailable);
  ASSERT_TRUE(s3_.restart());
  EXPECT_EQ(run(store->get("before", 1_KiB)).value(), "content");
  EXPECT_TRUE(run(store->put("during", "content")));
  EXPECT_TRUE(run(store->check()));
}

TEST_F(S3, RetriesUntilTheServerIsBack) {
  const auto store = open(s3_.options());
  s3_.stop();
  std::promise<Status> result;
  asio::co_spawn(cores_.at(0).executor(), deliver(store->put("key", "content"), &result),
                 [](const std::exception_ptr&) {});
  auto future = result.get_future();
  EXPECT_EQ(future.wait_for(100ms), std::future_status::timeout);
  ASSERT_TRUE(s3_.restart());
  EXPECT_TRUE(future.get());
}

TEST_F(S3, SaysWhenTheBucketIsMissing) {
  auto options = s3_.options();
  options.bucket = "no-such-bucket";
  const auto store = open(options);
  EXPECT_EQ(run(store->check()).error().code, ErrorCode::kBlobUnavailable);
  EXPECT_EQ(run(store->put("key", "x")).error().code, ErrorCode::kBlobUnavailable);
  EXPECT_EQ(run(store->get("key", 1_KiB)).error().code, ErrorCode::kBlobUnavailable);
  EXPECT_EQ(run(store->list("", 10)).error().code, ErrorCode::kBlobUnavailable);
}

TEST_F(S3, PutsAllKeysBelowItsPrefix) {
  auto options = s3_.options();
  options.key_prefix = "bulk head/";
  const auto store = open(options);
  ASSERT_TRUE(run(store->put("a/b", "content")));
  EXPECT_TRUE(std::filesystem::exists(s3_.bucket_path() + "/bulk head/a/b"));
  const auto whole = open(s3_.options());
  ASSERT_TRUE(run(whole->put("elsewhere", "x")));
  EXPECT_EQ(run(store->list("", 10)).value(), std::vector<std::string>{"a/b"});
  EXPECT_EQ(run(store->list("a", 10)).value(), std::vector<std::string>{"a/b"});
  EXPECT_EQ(run(store->get("elsewhere", 1_KiB)).error().code, ErrorCode::kNotFound);
}

TEST_F(S3, WorksFromAnyCoreAndFromOtherEventLoops) {
  const auto store = open(s3_.options());
  ASSERT_TRUE(run(store->put("key", "content")));
  asio::io_context elsewhere(1);
  std::optional<std::string> content;
  asio::co_spawn(elsewhere, store->get("key", 1_KiB),
                 [&](const std::exception_ptr&, Result<std::string> got) { content = got.value(); });
  elsewhere.run();
  EXPECT_EQ(content, "content");
}

TEST_F(S3, TakesABlobThatOthersPutForAnotherOne) {
  const auto store = open(s3_.options());
  // Without the hash that our own puts leave behind, nobody can say that it is the same.
  const auto client = net::make_http_client(cores_.at(1));
  const auto options = s3_.options();
  net::ClientRequest request{.method = "PUT",
                             .url = options.endpoint + "/" + options.bucket + "/key",
                             .body = "content",
                             .aws_signature = net::AwsSignature{.access_key = options.access_key,
                                                                .secret_key = options.secret_key,
                                                                .region = options.region,
                                                                .service = "s3"}};
  request.headers.add("content-type", "text/plain");
  request.headers.add("x-amz-content-sha256", "ed7002b439e9ac845f22357d822bac1444730fbdb6016d3ec9432297b9ec9f73");
  ASSERT_EQ(run(client->send(std::move(request)))->status, 200);
  EXPECT_EQ(run(store->get("key", 1_KiB)).value(), "content");
  EXPECT_EQ(run(store->put("key", "content")).error().code, ErrorCode::kAlreadyExists);
}

TEST(S3Address, EncodesPathsAndSortsQueries) {
  const S3Options options{.endpoint = "https://s3.example.com/", .bucket = "blobs", .key_prefix = "p q/"};
  const auto address = S3Address::make(options).value();
  EXPECT_EQ(address.object_url("a b+c:=?\xC3\xA9/~d"),
            "https://s3.example.com/blobs/p%20q/a%20b%2Bc%3A%3D%3F%C3%A9/~d");
  EXPECT_EQ(address.bucket_url(), "https://s3.example.com/blobs/");
  EXPECT_EQ(address.bucket_url({{"prefix", "a/b"}, {"delete", ""}, {"list-type", "2"}}),
            "https://s3.example.com/blobs/?delete=&list-type=2&prefix=a%2Fb");
  auto virtual_host = options;
  virtual_host.addressing = S3Options::Addressing::kVirtualHost;
  EXPECT_EQ(S3Address::make(virtual_host)->object_url("k"), "https://blobs.s3.example.com/p%20q/k");
}

TEST(S3Address, RefusesOptionsThatWouldChangeTheUrl) {
  const S3Options good{.endpoint = "http://127.0.0.1:9000", .bucket = "blobs"};
  ASSERT_TRUE(S3Address::make(good));
  for (const auto* endpoint : {"", "127.0.0.1:9000", "ftp://host", "http://", "http://host/path", "http://user@host",
                               "http://host?x", "http://host#x", "http://ho st"}) {
    auto options = good;
    options.endpoint = endpoint;
    EXPECT_FALSE(S3Address::make(options)) << endpoint;
  }
  for (const auto* bucket : {"", "ab", "Blobs", "a/b", "-ab", "ab-", "a..", "a?b"}) {
    auto options = good;
    options.bucket = bucket;
    EXPECT_FALSE(S3Address::make(options)) << bucket;
  }
  for (const auto* prefix : {"no-slash", "/absolute/", "../", "a//", "a/../"}) {
    auto options = good;
    options.key_prefix = prefix;
    EXPECT_FALSE(S3Address::make(options)) << prefix;
  }
  auto options = good;
  options.region = "us:east";
  EXPECT_FALSE(S3Address::make(options));
}

TEST(S3Xml, ReadsAListing) {
  const auto listing = parse_listing(
      "<?xml version=\"1.0\"?><ListBucketResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Name>b</Name>"
      "<IsTruncated>true</IsTruncated><Contents><Key>a &amp; b&#x20;&lt;c&gt;</Key><Size>5</Size></Contents>"
      "<CommonPrefixes><Prefix>Key</Prefix></CommonPrefixes><Contents><Size>1</Size><Key>\xC3\xA9</Key></Contents>"
      "<NextContinuationToken>t/+=</NextContinuationToken></ListBucketResult>");
  ASSERT_TRUE(listing);
  EXPECT_EQ(listing->keys, (std::vector<std::string>{"a & b <c>", "\xC3\xA9"}));
  EXPECT_TRUE(listing->truncated);
  EXPECT_EQ(listing->next, "t/+=");
}

TEST(S3Xml, RefusesWhatIsNotAListing) {
  const auto nested = [](int depth) {
    std::string xml = "<ListBucketResult><Name>x</Name>";
    for (int i = 0; i < depth; ++i) xml += "<a>";
    for (int i = 0; i < depth; ++i) xml += "</a>";
    return xml + "</ListBucketResult>";
  };
  EXPECT_TRUE(parse_listing(nested(10)));
  EXPECT_FALSE(parse_listing(nested(100)));
  for (const std::string xml :
       {"", "not xml", "<html></html>", "<Error><Code>NoSuchBucket</Code></Error>", "<ListBucketResult><Name>x</Name>",
        "<ListBucketResult><IsTruncated>true</IsTruncated></ListBucketResult>",
        "<!DOCTYPE x [<!ENTITY e \"boom\">]><ListBucketResult><Name>&e;</Name></ListBucketResult>",
        "<!DOCTYPE x SYSTEM \"file:///etc/passwd\"><ListBucketResult><Name>x</Name></ListBucketResult>"}) {
    EXPECT_FALSE(parse_listing(xml)) << xml;
  }
  EXPECT_FALSE(parse_listing("<ListBucketResult><Name>" + std::string(10'000, 'x') + "</Name></ListBucketResult>"));
}

TEST(S3Xml, FindsTheErrorCode) {
  EXPECT_EQ(parse_error_code("<?xml version=\"1.0\"?><Error><Code>NoSuchKey</Code><Message>m</Message></Error>"),
            "NoSuchKey");
  EXPECT_EQ(parse_error_code("<html>Bad Gateway</html>"), "");
  EXPECT_EQ(parse_error_code("nothing"), "");
}

TEST(S3Store, RefusesBadOptions) {
  Cores cores(1);
  EXPECT_FALSE(make_s3_store({.endpoint = "http://h", .bucket = "blobs"}, cores));
  EXPECT_FALSE(make_s3_store({.endpoint = "h", .bucket = "blobs", .access_key = "a", .secret_key = "s"}, cores));
}

}  // namespace
}  // namespace bulkhead::blob
