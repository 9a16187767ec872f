#include "features/gateway/header_policy.h"

#include <gtest/gtest.h>

namespace bulkhead::gateway {
namespace {

std::optional<std::string> find(const protocol::StringPairs& headers, std::string_view name) {
  for (const auto& [key, value] : headers) {
    if (key == name) return value;
  }
  return std::nullopt;
}

TEST(HeaderPolicy, StripsAuthorizationCookiesAndForgedRoutingHeaders) {
  net::Headers client;
  for (const auto& [name, value] : protocol::StringPairs{{"Authorization", "Bearer x"},
                                                         {"Cookie", "a=b"},
                                                         {"x-api-key", "k"},
                                                         {"X-Alga-Tenant", "forged"},
                                                         {"x-alga-admin", "1"},
                                                         {"X-Forwarded-For", "1.2.3.4"},
                                                         {"Accept", "application/json"},
                                                         {"User-Agent", "curl/8\x01\xff"}}) {
    client.add(name, value);
  }
  const auto headers = guest_request_headers(client, {"req-1", "tenant-1", "ext-1", ""});
  EXPECT_FALSE(find(headers, "authorization"));
  EXPECT_FALSE(find(headers, "cookie"));
  EXPECT_FALSE(find(headers, "x-api-key"));
  EXPECT_FALSE(find(headers, "x-alga-admin"));
  EXPECT_FALSE(find(headers, "x-forwarded-for"));
  EXPECT_FALSE(find(headers, "x-idempotency-key"));
  EXPECT_EQ(find(headers, "accept"), "application/json");
  EXPECT_EQ(find(headers, "user-agent"), "curl/8");
  EXPECT_EQ(find(headers, "x-alga-tenant"), "tenant-1");
  EXPECT_EQ(find(headers, "x-request-id"), "req-1");
}

TEST(HeaderPolicy, PassesOnlyTheContractsResponseHeadersAndAddsTheSandbox) {
  net::Headers out;
  add_client_headers(out, {{"content-type", "text/html"},
                           {"set-cookie", "a=b"},
                           {"transfer-encoding", "chunked"},
                           {"content-length", "3"},
                           {"connection", "close"},
                           {"content-security-policy", "default-src *"},
                           {"x-ext-total", "7"},
                           {"etag", "\"1\""},
                           {"location", "//evil.example"}});
  EXPECT_EQ(out.find("content-type"), "text/html");
  EXPECT_EQ(out.find("x-ext-total"), "7");
  EXPECT_EQ(out.find("etag"), "\"1\"");
  EXPECT_EQ(out.find("content-security-policy"), "sandbox; default-src 'none'");
  EXPECT_EQ(out.count("content-security-policy"), 1U);
  EXPECT_EQ(out.find("x-content-type-options"), "nosniff");
  for (const std::string_view name : {"set-cookie", "transfer-encoding", "content-length", "connection", "location"}) {
    EXPECT_FALSE(out.find(name)) << name;
  }
}

TEST(HeaderPolicy, LocationStaysWithinOurOrigin) {
  for (const std::string_view good : {"/", "/a/b?c=d#e", "/a//b"}) EXPECT_TRUE(is_safe_location(good)) << good;
  for (const std::string_view bad :
       {"", "a", "//evil", "/\\evil", "https://evil", "/\t/evil", "/a b", "/a\nb", "\\/evil"}) {
    EXPECT_FALSE(is_safe_location(bad)) << bad;
  }
}

TEST(HeaderPolicy, CacheControlNeverMakesAPrivateAnswerPublic) {
  EXPECT_EQ(safe_cache_control("private, max-age=60"), "private, max-age=60");
  EXPECT_EQ(safe_cache_control("no-store"), "no-store");
  EXPECT_EQ(safe_cache_control("max-age=60"), "private, max-age=60");
  EXPECT_EQ(safe_cache_control("Public, max-age=60"), "");
  EXPECT_EQ(safe_cache_control("max-age=1, S-MaxAge=60"), "");
  EXPECT_EQ(safe_cache_control("private, public"), "");
}

}  // namespace
}  // namespace bulkhead::gateway
