#include "features/bundles/name.h"

#include <gtest/gtest.h>

#include "features/bundles/egress.h"

namespace bulkhead::bundles {
namespace {

TEST(ExtensionName, IsAReverseDomainName) {
  for (const char* name : {"com.example", "com.example.orders", "io.x-y.a1.2b", "a.b"}) {
    EXPECT_FALSE(name_problem(name)) << name;
  }
  for (const char* name : {"", "orders", "Com.example", "com..example", ".com", "com.", "com.-a", "com.a-", "1com.a",
                           "*", "com.exämple", "com.a_b", "com/example", "com.example "}) {
    EXPECT_TRUE(name_problem(name)) << name;
  }
  EXPECT_TRUE(name_problem("com." + std::string(64, 'a')));
  EXPECT_TRUE(name_problem("com" + std::string(70, '.') + std::string(70, 'a')));
}

TEST(ExtensionName, PrefixesCoverWholeLabelsOnly) {
  EXPECT_TRUE(prefix_covers("com.example", "com.example"));
  EXPECT_TRUE(prefix_covers("com.example", "com.example.orders"));
  EXPECT_TRUE(prefix_covers("com", "com.example"));
  EXPECT_TRUE(prefix_covers("*", "com.example"));
  EXPECT_FALSE(prefix_covers("com.example", "com.examples"));
  EXPECT_FALSE(prefix_covers("com.example.orders", "com.example"));
  EXPECT_FALSE(prefix_covers("", "com.example"));
  EXPECT_FALSE(prefix_problem("com"));
  EXPECT_FALSE(prefix_problem("*"));
  EXPECT_TRUE(prefix_problem(""));
  EXPECT_TRUE(prefix_problem("com.*"));
}

TEST(EgressPattern, ParsesHostsWildcardsAndPorts) {
  for (const char* text : {"api.example.com", "*.example.org:443", "localhost:8080", "192.0.2.1", "a-b.c"}) {
    const auto pattern = EgressPattern::parse(text);
    ASSERT_TRUE(pattern) << text;
    EXPECT_EQ(pattern->to_string(), text);
  }
  EXPECT_EQ(EgressPattern::parse("API.Example.com")->to_string(), "api.example.com");
  for (const char* text : {"",       "*",          "*.com",       "*.*.com",  "a.*.com", "https://a.com", "a.com/x",
                           "a.com:", "a.com:0",    "a.com:65536", "a.com:+1", "-a.com",  "a-.com",        "a..com",
                           "a.com.", "user@a.com", "[::1]",       "::1",      "a b.com", "ä.com"}) {
    EXPECT_FALSE(EgressPattern::parse(text)) << text;
  }
}

TEST(EgressPattern, MatchesOnLabelBoundariesAndPorts) {
  const auto wildcard = *EgressPattern::parse("*.example.org:443");
  EXPECT_TRUE(wildcard.matches("a.example.org", 443));
  EXPECT_TRUE(wildcard.matches("A.B.EXAMPLE.org", 443));
  EXPECT_FALSE(wildcard.matches("example.org", 443));
  EXPECT_FALSE(wildcard.matches("badexample.org", 443));
  EXPECT_FALSE(wildcard.matches("a.example.org", 80));
  const auto plain = *EgressPattern::parse("api.example.com");
  EXPECT_TRUE(plain.matches("api.example.com", 80));
  EXPECT_TRUE(plain.matches("api.example.com", 443));
  EXPECT_FALSE(plain.matches("api.example.com", 22));
  EXPECT_FALSE(plain.matches("x.api.example.com", 443));
}

TEST(EgressPattern, AGrantMayBeNarrowerThanTheManifestNeverWider) {
  const std::vector<std::string> allowed{"*.example.org", "api.example.com:8443"};
  EXPECT_TRUE(egress_beyond({"a.example.org", "*.b.example.org", "*.example.org:443", "api.example.com:8443"}, allowed)
                  .empty());
  const std::vector<std::string> wider{"example.org", "*.org", "*.example.org:22", "api.example.com", "not a host"};
  EXPECT_EQ(egress_beyond(wider, allowed), wider);
}

}  // namespace
}  // namespace bulkhead::bundles
