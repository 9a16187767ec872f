#include "platform/net/ssrf_guard.h"

#include <gtest/gtest.h>

namespace bulkhead::net {
namespace {

namespace ip = boost::asio::ip;
using enum AddressClass;

ip::address address(const std::string& text) { return ip::make_address(text); }

struct Block {
  const char* first;
  const char* last;
  AddressClass address_class;
  const char* before;  // the neighbours' classes are checked, too
  AddressClass before_class;
  const char* after;
  AddressClass after_class;
};

class AddressBlocks : public testing::TestWithParam<Block> {};

TEST_P(AddressBlocks, HaveExactBorders) {
  const auto& block = GetParam();
  EXPECT_EQ(to_string(classify(address(block.first))), to_string(block.address_class)) << block.first;
  EXPECT_EQ(to_string(classify(address(block.last))), to_string(block.address_class)) << block.last;
  EXPECT_EQ(to_string(classify(address(block.before))), to_string(block.before_class)) << block.before;
  EXPECT_EQ(to_string(classify(address(block.after))), to_string(block.after_class)) << block.after;
}

INSTANTIATE_TEST_SUITE_P(
    V4, AddressBlocks,
    testing::Values(
        Block{"0.0.0.1", "0.255.255.255", kReserved, "0.0.0.0", kUnspecified, "1.0.0.0", kGlobal},
        Block{"10.0.0.0", "10.255.255.255", kPrivate, "9.255.255.255", kGlobal, "11.0.0.0", kGlobal},
        Block{"100.64.0.0", "100.127.255.255", kSharedSpace, "100.63.255.255", kGlobal, "100.128.0.0", kGlobal},
        Block{"100.100.100.200", "100.100.100.200", kMetadata, "100.100.100.199", kSharedSpace, "100.100.100.201",
              kSharedSpace},
        Block{"127.0.0.0", "127.255.255.255", kLoopback, "126.255.255.255", kGlobal, "128.0.0.0", kGlobal},
        Block{"168.63.129.16", "168.63.129.16", kMetadata, "168.63.129.15", kGlobal, "168.63.129.17", kGlobal},
        Block{"169.254.0.0", "169.254.255.255", kLinkLocal, "169.253.255.255", kGlobal, "169.255.0.0", kGlobal},
        Block{"169.254.169.254", "169.254.169.254", kMetadata, "169.254.169.253", kLinkLocal, "169.254.169.255",
              kLinkLocal},
        Block{"169.254.170.2", "169.254.170.2", kMetadata, "169.254.170.1", kLinkLocal, "169.254.170.3", kLinkLocal},
        Block{"172.16.0.0", "172.31.255.255", kPrivate, "172.15.255.255", kGlobal, "172.32.0.0", kGlobal},
        Block{"192.0.0.0", "192.0.0.191", kReserved, "191.255.255.255", kGlobal, "192.0.0.192", kMetadata},
        Block{"192.0.0.193", "192.0.0.255", kReserved, "192.0.0.192", kMetadata, "192.0.1.0", kGlobal},
        Block{"192.0.2.0", "192.0.2.255", kDocumentation, "192.0.1.255", kGlobal, "192.0.3.0", kGlobal},
        Block{"192.31.196.0", "192.31.196.255", kReserved, "192.31.195.255", kGlobal, "192.31.197.0", kGlobal},
        Block{"192.52.193.0", "192.52.193.255", kReserved, "192.52.192.255", kGlobal, "192.52.194.0", kGlobal},
        Block{"192.88.99.0", "192.88.99.255", kReserved, "192.88.98.255", kGlobal, "192.88.100.0", kGlobal},
        Block{"192.168.0.0", "192.168.255.255", kPrivate, "192.167.255.255", kGlobal, "192.169.0.0", kGlobal},
        Block{"192.175.48.0", "192.175.48.255", kReserved, "192.175.47.255", kGlobal, "192.175.49.0", kGlobal},
        Block{"198.18.0.0", "198.19.255.255", kBenchmarking, "198.17.255.255", kGlobal, "198.20.0.0", kGlobal},
        Block{"198.51.100.0", "198.51.100.255", kDocumentation, "198.51.99.255", kGlobal, "198.51.101.0", kGlobal},
        Block{"203.0.113.0", "203.0.113.255", kDocumentation, "203.0.112.255", kGlobal, "203.0.114.0", kGlobal},
        Block{"224.0.0.0", "239.255.255.255", kMulticast, "223.255.255.255", kGlobal, "240.0.0.0", kReserved},
        Block{"240.0.0.0", "255.255.255.254", kReserved, "239.255.255.255", kMulticast, "255.255.255.255",
              kBroadcast}));

INSTANTIATE_TEST_SUITE_P(
    V6, AddressBlocks,
    testing::Values(Block{"::", "::", kUnspecified, "::2", kEmbeddedIpv4, "::1", kLoopback},
                    Block{"::2", "::ffff:ffff", kEmbeddedIpv4, "::1", kLoopback, "::1:0:0", kReserved},
                    Block{"::ffff:0.0.0.0", "::ffff:255.255.255.255", kEmbeddedIpv4, "::fffe:ffff:ffff", kReserved,
                          "::1:0:0:0", kReserved},
                    Block{"::ffff:0:0:0", "::ffff:0:ffff:ffff", kEmbeddedIpv4, "::fffe:ffff:ffff:ffff", kReserved,
                          "::ffff:1:0:0", kReserved},
                    Block{"64:ff9b::", "64:ff9b::ffff:ffff", kEmbeddedIpv4, "64:ff9a:ffff:ffff:ffff:ffff:ffff:ffff",
                          kReserved, "64:ff9b::1:0:0", kReserved},
                    Block{"64:ff9b:1::", "64:ff9b:1:ffff:ffff:ffff:ffff:ffff", kEmbeddedIpv4,
                          "64:ff9b:0:ffff:ffff:ffff:ffff:ffff", kReserved, "64:ff9b:2::", kReserved},
                    Block{"100::", "100::ffff:ffff:ffff:ffff", kReserved, "ff:ffff::", kReserved, "101::", kReserved},
                    Block{"2000::", "2000:ffff:ffff:ffff:ffff:ffff:ffff:ffff", kGlobal,
                          "1fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", kReserved, "2001::", kEmbeddedIpv4},
                    Block{"2001::", "2001:0:ffff:ffff:ffff:ffff:ffff:ffff", kEmbeddedIpv4,
                          "2000:ffff:ffff:ffff:ffff:ffff:ffff:ffff", kGlobal, "2001:1::", kReserved},
                    Block{"2001:2::", "2001:2:0:ffff:ffff:ffff:ffff:ffff", kBenchmarking,
                          "2001:1:ffff:ffff:ffff:ffff:ffff:ffff", kReserved, "2001:2:1::", kReserved},
                    Block{"2001:10::", "2001:1ff:ffff:ffff:ffff:ffff:ffff:ffff", kReserved, "2001:f::", kReserved,
                          "2001:200::", kGlobal},
                    Block{"2001:db8::", "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff", kDocumentation,
                          "2001:db7:ffff:ffff:ffff:ffff:ffff:ffff", kGlobal, "2001:db9::", kGlobal},
                    Block{"2002::", "2002:ffff:ffff:ffff:ffff:ffff:ffff:ffff", kEmbeddedIpv4,
                          "2001:ffff:ffff:ffff:ffff:ffff:ffff:ffff", kGlobal, "2003::", kGlobal},
                    Block{"2620:4f:8000::", "2620:4f:8000:ffff:ffff:ffff:ffff:ffff", kReserved,
                          "2620:4f:7fff:ffff:ffff:ffff:ffff:ffff", kGlobal, "2620:4f:8001::", kGlobal},
                    Block{"3fff::", "3fff:fff:ffff:ffff:ffff:ffff:ffff:ffff", kDocumentation,
                          "3ffe:ffff:ffff:ffff:ffff:ffff:ffff:ffff", kGlobal, "3fff:1000::", kGlobal},
                    Block{"4000::", "fbff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", kReserved,
                          "3fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", kGlobal, "fc00::", kUniqueLocal},
                    Block{"fc00::", "fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", kUniqueLocal,
                          "fbff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", kReserved, "fe00::", kReserved},
                    Block{"fd00:ec2::254", "fd00:ec2::254", kMetadata, "fd00:ec2::253", kUniqueLocal, "fd00:ec2::255",
                          kUniqueLocal},
                    Block{"fd20:ce::254", "fd20:ce::254", kMetadata, "fd20:ce::253", kUniqueLocal, "fd20:ce::255",
                          kUniqueLocal},
                    Block{"fe80::", "febf:ffff:ffff:ffff:ffff:ffff:ffff:ffff", kLinkLocal,
                          "fe7f:ffff:ffff:ffff:ffff:ffff:ffff:ffff", kReserved, "fec0::", kReserved},
                    Block{"fe80::a9fe:a9fe", "fe80::a9fe:a9fe", kMetadata, "fe80::a9fe:a9fd", kLinkLocal,
                          "fe80::a9fe:a9ff", kLinkLocal},
                    Block{"ff00::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", kMulticast,
                          "feff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", kReserved, "ff02::1", kMulticast}));

TEST(SsrfGuard, FindsMetadataInEveryEmbedding) {
  for (const auto* form : {"169.254.169.254", "::ffff:169.254.169.254", "::169.254.169.254", "::ffff:0:169.254.169.254",
                           "64:ff9b::169.254.169.254", "64:ff9b:1::169.254.169.254", "2002:a9fe:a9fe::1",
                           "2001:0:a9fe:a9fe::1", "fd00:ec2::254", "fe80::a9fe:a9fe"}) {
    EXPECT_FALSE(SsrfGuard({}).check(address(form), 80)) << form;
  }
}

std::vector<Cidr> blocks(std::initializer_list<const char*> texts) {
  std::vector<Cidr> parsed;
  for (const auto* text : texts) parsed.push_back(Cidr::parse(text).value());
  return parsed;
}

TEST(SsrfGuard, WithoutAnAllowlistLetsOnlyGlobalAddressesPass) {
  const SsrfGuard guard({});
  EXPECT_TRUE(guard.check(address("93.184.216.34"), 443));
  EXPECT_TRUE(guard.check(address("2606:2800:220:1::1"), 443));
  for (const auto* refused : {"10.0.0.1", "100.64.0.1", "fd00::1", "127.0.0.1", "::1", "0.0.0.0", "::", "224.0.0.1",
                              "255.255.255.255", "169.254.1.1", "fe80::1", "192.0.2.1", "198.18.0.1", "240.0.0.1"}) {
    EXPECT_FALSE(guard.check(address(refused), 443)) << refused;
  }
}

TEST(SsrfGuard, AnAllowlistOpensPrivateRangesAndClosesTheRest) {
  const SsrfGuard guard({.allowed = blocks({"10.1.0.0/16", "fd00::/8", "100.64.0.0/10", "93.184.216.0/24"})});
  for (const auto* allowed : {"10.1.2.3", "fd00::1", "100.64.0.1", "93.184.216.34"}) {
    EXPECT_TRUE(guard.check(address(allowed), 443)) << allowed;
  }
  for (const auto* refused : {"10.2.0.1", "192.168.0.1", "8.8.8.8", "2606:2800:220:1::1", "fc00::1"}) {
    EXPECT_FALSE(guard.check(address(refused), 443)) << refused;
  }
}

TEST(SsrfGuard, AnAllowlistOpensNothingElse) {
  const SsrfGuard guard({.allowed = blocks({"0.0.0.0/0", "::/0"})});
  for (const auto* refused : {"127.0.0.1",    "::1",           "0.0.0.0",         "0.1.2.3",          "::",
                              "224.0.0.1",    "ff02::1",       "255.255.255.255", "169.254.1.1",      "169.254.169.254",
                              "fe80::1",      "fd00:ec2::254", "100.100.100.200", "168.63.129.16",    "192.0.2.1",
                              "198.18.0.1",   "240.0.0.1",     "::ffff:10.0.0.1", "::ffff:127.0.0.1", "64:ff9b::a00:1",
                              "2002:a00:1::", "2001::1"}) {
    EXPECT_FALSE(guard.check(address(refused), 443)) << refused;
  }
  for (const auto* allowed : {"10.0.0.1", "192.168.0.1", "172.16.0.1", "100.64.0.1", "fd00::1", "8.8.8.8"}) {
    EXPECT_TRUE(guard.check(address(allowed), 443)) << allowed;
  }
}

TEST(SsrfGuard, RefusesOurOwnListeners) {
  const SsrfGuard guard({.allowed = blocks({"10.0.0.0/8"}), .listeners = {{address("10.0.0.5"), 8080}}});
  EXPECT_FALSE(guard.check(address("10.0.0.5"), 8080));
  EXPECT_TRUE(guard.check(address("10.0.0.5"), 8081));
  EXPECT_TRUE(guard.check(address("10.0.0.6"), 8080));
}

TEST(SsrfGuard, AWildcardListenerIsEveryAddressOfThisMachine) {
  const auto addresses = interface_addresses().value();
  EXPECT_NE(std::ranges::find(addresses, address("127.0.0.1")), addresses.end());
  const SsrfGuard guard({.allowed = blocks({"0.0.0.0/0", "::/0"}), .listeners = {{address("0.0.0.0"), 8080}}});
  for (const auto& own : addresses) EXPECT_FALSE(guard.check(own, 8080)) << own;
  EXPECT_TRUE(guard.check(address("93.184.216.34"), 8080));
}

TEST(SsrfGuard, NamesTheClassAndNeverTheAddress) {
  const auto refused = SsrfGuard({}).check(address("10.11.12.13"), 80);
  EXPECT_EQ(refused.error().code, ErrorCode::kTargetDenied);
  EXPECT_EQ(refused.error().message, "The target address is not allowed (private).");
  EXPECT_EQ(refused.error().to_log_string().find("10.11"), std::string::npos);
  const SsrfGuard for_guests({.refusal = ErrorCode::kCapabilityDenied});
  EXPECT_EQ(for_guests.check(address("::1"), 80).error().code, ErrorCode::kCapabilityDenied);
  EXPECT_EQ(for_guests.dial_guard()(address("::1"), 80).error().message,
            "The target address is not allowed (loopback).");
  const SsrfGuard listed({.allowed = blocks({"10.0.0.0/8"})});
  EXPECT_EQ(listed.check(address("8.8.8.8"), 80).error().message,
            "The target address is not allowed (not_in_allowlist).");
}

TEST(Cidr, ParsesBlocksAndSingleAddresses) {
  for (const auto* text : {"0.0.0.0/0", "10.0.0.0/8", "10.1.2.3", "10.1.2.3/32", "10.1.2.2/31", "::/0", "2001:db8::/32",
                           "::1", "::1/128", "fe80::/10"}) {
    EXPECT_TRUE(Cidr::parse(text)) << text;
  }
  for (const auto* text : {"",
                           "/",
                           "10.0.0.0/",
                           "/8",
                           "10.0.0.0/33",
                           "10.0.0.0/-1",
                           "10.0.0.0/+8",
                           "10.0.0.0/08",
                           "10.0.0.0/8 ",
                           " 10.0.0.0/8",
                           "10.0.0.0/8/8",
                           "10.1.0.0/8",
                           "10.0.0.1/31",
                           "10.0.0/8",
                           "010.0.0.0/8",
                           "0x0a000000/8",
                           "2001:db8::/129",
                           "2001:db8::1/64",
                           "fe80::1%eth0",
                           "localhost",
                           "10.0.0.0/4294967304",
                           "::g/8"}) {
    EXPECT_FALSE(Cidr::parse(text)) << text;
  }
}

TEST(Cidr, ContainsExactlyItsBlock) {
  const auto block = Cidr::parse("172.16.0.0/12").value();
  EXPECT_TRUE(block.contains(address("172.16.0.0")));
  EXPECT_TRUE(block.contains(address("172.31.255.255")));
  EXPECT_FALSE(block.contains(address("172.32.0.0")));
  EXPECT_FALSE(block.contains(address("172.15.255.255")));
  EXPECT_FALSE(block.contains(address("::ffff:172.16.0.1")));
  const auto odd = Cidr::parse("2001:db8::8000/113").value();
  EXPECT_TRUE(odd.contains(address("2001:db8::ffff")));
  EXPECT_FALSE(odd.contains(address("2001:db8::7fff")));
  EXPECT_FALSE(Cidr::parse("::/0")->contains(address("1.2.3.4")));
}

}  // namespace
}  // namespace bulkhead::net
