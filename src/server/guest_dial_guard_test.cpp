#include "server/guest_dial_guard.h"

#include <gtest/gtest.h>

namespace bulkhead::server {
namespace {

namespace ip = boost::asio::ip;

class GuestDialGuardTest : public testing::Test {
 protected:
  // "" when the address may be dialled, else the class of the reason.
  static std::string refusal(const GuestDialGuard& guard, const char* address, std::uint16_t port = 80) {
    const auto allowed = guard.dial_guard()(ip::make_address(address), port);
    if (allowed) return "";
    EXPECT_EQ(allowed.error().code, ErrorCode::kCapabilityDenied);
    return allowed.error().detail;
  }
};

TEST_F(GuestDialGuardTest, LetsPublicAddressesPassWithoutAnAllowlist) {
  const auto guard = GuestDialGuard::make({}).value();
  EXPECT_EQ(refusal(*guard, "93.184.216.34"), "");
  EXPECT_EQ(refusal(*guard, "10.0.0.1"), "private");
  EXPECT_EQ(refusal(*guard, "127.0.0.1"), "loopback");
}

TEST_F(GuestDialGuardTest, NoSettingOpensLoopbackOrMetadata) {
  const auto guard =
      GuestDialGuard::make({"0.0.0.0/0", "::/0", "127.0.0.0/8", "127.0.0.1", "::1", "169.254.169.254/32"}).value();
  for (const auto& [address, reason] : std::vector<std::pair<const char*, const char*>>{
           {"127.0.0.1", "loopback"},
           {"127.1.2.3", "loopback"},
           {"::1", "loopback"},
           {"0.0.0.0", "unspecified"},
           {"169.254.169.254", "metadata"},
           {"169.254.1.1", "link_local"},
           {"224.0.0.1", "multicast"},
           {"::ffff:10.0.0.1", "embedded_ipv4"},
       }) {
    EXPECT_EQ(refusal(*guard, address), reason) << address;
  }
  EXPECT_EQ(refusal(*guard, "10.0.0.1"), "");
  EXPECT_EQ(refusal(*guard, "fd00::1"), "");
}

TEST_F(GuestDialGuardTest, AnAllowlistClosesWhatItDoesNotName) {
  const auto guard = GuestDialGuard::make({"10.20.0.0/16"}).value();
  EXPECT_EQ(refusal(*guard, "10.20.1.1"), "");
  EXPECT_EQ(refusal(*guard, "10.21.1.1"), "not_in_allowlist");
  EXPECT_EQ(refusal(*guard, "93.184.216.34"), "not_in_allowlist");
}

TEST_F(GuestDialGuardTest, OurOwnListenersStayClosed) {
  const auto guard = GuestDialGuard::make({"10.0.0.0/8", "93.184.216.34"}).value();
  guard->listening_on({"10.0.0.1:8080", "[fd00::1]:81", "unix:/run/socket"});
  EXPECT_EQ(refusal(*guard, "10.0.0.1", 8080), "own_listener");
  EXPECT_EQ(refusal(*guard, "10.0.0.1", 8081), "");
  EXPECT_EQ(refusal(*guard, "10.0.0.2", 8080), "");
  guard->listening_on({"10.0.0.2:8080"});
  EXPECT_EQ(refusal(*guard, "10.0.0.1", 8080), "");
  EXPECT_EQ(refusal(*guard, "10.0.0.2", 8080), "own_listener");
}

TEST_F(GuestDialGuardTest, RefusesWhatIsNoAddressBlock) {
  for (const std::string text : {"10.0.0.0/33", "10.1.0.0/8", "example.org", ""}) {
    const auto guard = GuestDialGuard::make({text});
    ASSERT_FALSE(guard) << text;
    EXPECT_TRUE(guard.error().message.starts_with("egress.allowed_cidrs: ")) << guard.error().message;
  }
}

}  // namespace
}  // namespace bulkhead::server
