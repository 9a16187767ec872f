#include "features/access/client_address.h"

#include <gtest/gtest.h>

namespace bulkhead::access {
namespace {

struct Case {
  const char* name;
  const char* peer;
  std::vector<std::pair<const char*, const char*>> headers;
  const char* client;
};

TEST(ClientAddress, Table) {
  const std::vector<AddressRange> trusted = {*AddressRange::parse("10.0.0.0/8"), *AddressRange::parse("2001:db8::/32")};
  const Case cases[] = {
      {"an untrusted peer is the client whatever it says",
       "203.0.113.9",
       {{"x-forwarded-for", "1.2.3.4"}},
       "203.0.113.9"},
      {"a trusted peer without headers", "10.0.0.1", {}, "10.0.0.1"},
      {"one hop", "10.0.0.1", {{"X-Forwarded-For", "198.51.100.7"}}, "198.51.100.7"},
      {"the rightmost untrusted hop, not the first",
       "10.0.0.1",
       {{"x-forwarded-for", "1.1.1.1, 198.51.100.7, 10.0.0.2"}},
       "198.51.100.7"},
      {"several fields are one list",
       "10.0.0.1",
       {{"x-forwarded-for", "1.1.1.1"}, {"x-forwarded-for", "198.51.100.7"}},
       "198.51.100.7"},
      {"all hops trusted: the leftmost", "10.0.0.1", {{"x-forwarded-for", "10.0.0.3, 10.0.0.2"}}, "10.0.0.3"},
      {"garbage ends the search", "10.0.0.1", {{"x-forwarded-for", "1.1.1.1, nonsense, 10.0.0.2"}}, "10.0.0.2"},
      {"garbage first: the peer", "10.0.0.1", {{"x-forwarded-for", "1.1.1.1, nonsense"}}, "10.0.0.1"},
      {"empty element", "10.0.0.1", {{"x-forwarded-for", "1.1.1.1,"}}, "10.0.0.1"},
      {"ports", "10.0.0.1", {{"x-forwarded-for", "198.51.100.7:4711"}}, "198.51.100.7"},
      {"mapped addresses are IPv4", "10.0.0.1", {{"x-forwarded-for", "::ffff:198.51.100.7"}}, "198.51.100.7"},
      {"Forwarded", "10.0.0.1", {{"Forwarded", "for=198.51.100.7;proto=https;by=10.0.0.1"}}, "198.51.100.7"},
      {"Forwarded, quoted IPv6 with port", "10.0.0.1", {{"forwarded", "For=\"[2001:db9::1]:4711\""}}, "2001:db9::1"},
      {"Forwarded wins over X-Forwarded-For",
       "10.0.0.1",
       {{"x-forwarded-for", "1.1.1.1"}, {"forwarded", "for=198.51.100.7"}},
       "198.51.100.7"},
      {"a comma inside quotes does not split",
       "10.0.0.1",
       {{"forwarded", "for=1.1.1.1;ext=\"a,for=2.2.2.2\""}},
       "1.1.1.1"},
      {"an open quote is malformed", "10.0.0.1", {{"forwarded", "for=1.1.1.1, for=\"2.2.2.2"}}, "10.0.0.1"},
      {"malformed Forwarded is not mended by X-Forwarded-For",
       "10.0.0.1",
       {{"forwarded", "for=\""}, {"x-forwarded-for", "1.1.1.1"}},
       "10.0.0.1"},
      {"unknown", "10.0.0.1", {{"forwarded", "for=1.1.1.1, for=unknown"}}, "10.0.0.1"},
      {"obfuscated", "10.0.0.1", {{"forwarded", "for=_hidden"}}, "10.0.0.1"},
      {"twice in one element", "10.0.0.1", {{"forwarded", "for=1.1.1.1;for=2.2.2.2"}}, "10.0.0.1"},
  };
  for (const Case& c : cases) {
    net::RequestHead head;
    head.peer = boost::asio::ip::make_address(c.peer);
    for (const auto& [name, value] : c.headers) head.headers.add(name, value);
    EXPECT_EQ(client_address(head, trusted).to_string(), c.client) << c.name;
  }
}

TEST(ClientAddress, HeadersCountForNothingWithoutTrustedProxies) {
  net::RequestHead head;
  head.peer = boost::asio::ip::make_address("127.0.0.1");
  head.headers.add("x-forwarded-for", "1.1.1.1");
  EXPECT_EQ(client_address(head, {}).to_string(), "127.0.0.1");
}

TEST(ClientAddress, TooManyHopsAreIgnored) {
  net::RequestHead head;
  head.peer = boost::asio::ip::make_address("10.0.0.1");
  std::string hops = "1.1.1.1";
  for (int i = 0; i < 100; ++i) hops += ", 1.1.1.1";
  head.headers.add("x-forwarded-for", hops);
  EXPECT_EQ(client_address(head, {*AddressRange::parse("10.0.0.0/8")}).to_string(), "10.0.0.1");
}

}  // namespace
}  // namespace bulkhead::access
