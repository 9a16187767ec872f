#include "features/egress/target_url.h"

#include <gtest/gtest.h>

#include <vector>

namespace bulkhead::egress {
namespace {

using protocol::HostCode;

TEST(TargetUrl, HasOneForm) {
  const std::vector<std::pair<std::string, std::string>> table = {
      {"http://example.org", "http://example.org/"},
      {"HTTPS://Example.ORG:443/A/b?C#d", "https://example.org/A/b?C"},
      {"http://example.org:80?x", "http://example.org/?x"},
      {"https://example.org:80/", "https://example.org:80/"},
      {"http://example.org:0080/", "http://example.org/"},
      {"http://xn--bcher-kva.example/%20", "http://xn--bcher-kva.example/%20"},
      {"http://example.org./", "http://example.org./"},
      {"http://example.org/a/../b//c", "http://example.org/a/../b//c"},
      {"http://192.0.2.1:8080/", "http://192.0.2.1:8080/"},
      {"http://[::1]/", "http://[::1]/"},
      {"http://[0:0:0:0:0:FFFF:7f00:1]:81/", "http://[::ffff:127.0.0.1]:81/"},
      {"http://1.2.3.4.example/", "http://1.2.3.4.example/"},
      {"http://example.org/@host/", "http://example.org/@host/"},
  };
  for (const auto& [text, form] : table) {
    const auto url = TargetUrl::parse(text);
    ASSERT_TRUE(url) << text << ": " << url.error().message;
    EXPECT_EQ(url->to_string(), form);
    EXPECT_EQ(*TargetUrl::parse(form), *url);
  }
}

TEST(TargetUrl, RefusesWhatParsersReadDifferently) {
  for (const std::string text : {"",
                                 "/path",
                                 "example.org",
                                 "http:example.org",
                                 "http:/example.org",
                                 "http://",
                                 "http:///x",
                                 "http://:80/",
                                 "http://good.example@evil.example/",
                                 "http://user:password@example.org/",
                                 "http://good.example:80@evil.example/",
                                 "http://evil.example\\@good.example/",
                                 "http://good.example /",
                                 "http://good.example\t/",
                                 "http://good.example\r\nhost: evil",
                                 "http://\xC3\xBCx.example/",
                                 "http://%65xample.org/",
                                 "http://exa_mple.org/",
                                 "http://a..b/",
                                 "http://.a/",
                                 "http://-/x y",
                                 "http://a:/",
                                 "http://a:0/",
                                 "http://a:65536/",
                                 "http://a:80:80/",
                                 "http://a:+80/",
                                 "http://a:80x/",
                                 "http://[::1",
                                 "http://[::1]x/",
                                 "http://[fe80::1%25lo]/",
                                 "http://[127.0.0.1]/",
                                 "http://[]/",
                                 "http://a,b/",
                                 "http://a;b/"}) {
    const auto url = TargetUrl::parse(text);
    ASSERT_FALSE(url) << text << " is " << url->to_string();
    EXPECT_EQ(url.error().code, HostCode::kInvalid) << text;
  }
  EXPECT_FALSE(TargetUrl::parse("http://" + std::string(64, 'a') + ".example/"));
  EXPECT_FALSE(TargetUrl::parse("http://example.org/" + std::string(kMaxUrl, 'a')));
}

TEST(TargetUrl, AFragmentNeverChangesTheHost) {
  EXPECT_EQ(TargetUrl::parse("http://good.example#@evil.example")->host(), "good.example");
  EXPECT_EQ(TargetUrl::parse("http://good.example?@evil.example")->host(), "good.example");
}

TEST(TargetUrl, DeniesOtherSchemesAndNumbersInDisguise) {
  for (const auto* text : {"file://localhost/etc/passwd", "ftp://example.org/", "gopher://example.org/", "ws://a/"}) {
    EXPECT_EQ(TargetUrl::parse(text).error().reason, "scheme") << text;
  }
  for (const auto* host : {"2130706433", "0x7f000001", "0x7f.1", "127.1", "0177.0.0.1", "127.0.0.01", "1.2.3.4.5",
                           "127.0.0.256", "0", "127.0.0.1.", "example.0x", "example.7"}) {
    const auto url = TargetUrl::parse("http://" + std::string(host) + "/");
    ASSERT_FALSE(url) << host;
    EXPECT_EQ(url.error().code, HostCode::kDenied) << host;
    EXPECT_EQ(url.error().reason, "host_form") << host;
  }
}

TEST(TargetUrl, ResolvesRedirectsByRfc3986) {
  // RFC 3986 §5.4, without the forms that have another scheme or no authority.
  const auto base = *TargetUrl::parse("http://a.example/b/c/d;p?q");
  const std::vector<std::pair<std::string, std::string>> table = {
      {"g", "/b/c/g"},       {"./g", "/b/c/g"},
      {"g/", "/b/c/g/"},     {"/g", "/g"},
      {"?y", "/b/c/d;p?y"},  {"g?y", "/b/c/g?y"},
      {"#s", "/b/c/d;p?q"},  {"g#s", "/b/c/g"},
      {";x", "/b/c/;x"},     {"g;x=1/./y", "/b/c/g;x=1/y"},
      {"", "/b/c/d;p?q"},    {".", "/b/c/"},
      {"./", "/b/c/"},       {"..", "/b/"},
      {"../", "/b/"},        {"../g", "/b/g"},
      {"../..", "/"},        {"../../g", "/g"},
      {"../../../g", "/g"},  {"/./g", "/g"},
      {"/../g", "/g"},       {"g.", "/b/c/g."},
      {"..g", "/b/c/..g"},   {"./g/.", "/b/c/g/"},
      {"g/../h", "/b/c/h"},  {"g?y/../x", "/b/c/g?y/../x"},
      {"a b", "/b/c/a%20b"}, {"\xC3\xA9", "/b/c/%C3%A9"},
  };
  for (const auto& [reference, target] : table) {
    const auto url = base.resolve(reference);
    ASSERT_TRUE(url) << reference;
    EXPECT_EQ(url->to_string(), "http://a.example" + target) << reference;
  }
  EXPECT_EQ(base.resolve("//b.example:81/x")->to_string(), "http://b.example:81/x");
  EXPECT_EQ(base.resolve("https://b.example")->to_string(), "https://b.example/");
}

TEST(TargetUrl, RefusesRedirectsToNowhere) {
  const auto base = *TargetUrl::parse("http://a.example/");
  EXPECT_EQ(base.resolve("file:///etc/passwd").error().reason, "scheme");
  EXPECT_EQ(base.resolve("javascript:alert(1)").error().code, HostCode::kInternal);
  EXPECT_EQ(base.resolve("http://0x7f.1/").error().reason, "host_form");
  for (const std::string location : {"http://a@b/", "//a@b/", "/\\b", "\\\\b", "/a\tb", "http:b", "///b"}) {
    const auto url = base.resolve(location);
    ASSERT_FALSE(url) << location << " is " << url->to_string();
    EXPECT_EQ(url.error().name, "upstream_error") << location;
  }
  EXPECT_FALSE(base.resolve(std::string(kMaxUrl + 1, 'a')));
}

}  // namespace
}  // namespace bulkhead::egress
