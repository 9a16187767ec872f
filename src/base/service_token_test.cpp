#include "base/service_token.h"

#include <gtest/gtest.h>
#include <sodium.h>

#include "base/bytes.h"

namespace bulkhead {
namespace {

constexpr UtcMicros kNow{1'760'000'000'000'000};

class ServiceToken : public testing::Test {
 protected:
  static ServiceClaims claims() {
    return {.issuer = "gateway-1",
            .audience = "runner",
            .issued_at = kNow,
            .expires_at = kNow + kServiceTokenLifetime,
            .tenants = {}};
  }
  std::string sign(const ServiceClaims& claims) const { return sign_service_token(claims, keys_.secret_key); }
  bool accepts(std::string_view token, UtcMicros now = kNow) const {
    const auto result = verify_service_token(token, "runner", keys_.public_key, now);
    if (!result) EXPECT_EQ(result.error().code, ErrorCode::kInvalidCredential);
    return result.has_value();
  }
  std::string sign_text(std::string_view json) const {
    const std::string text = base64url_encode(json);
    std::string signature(64, '\0');
    crypto_sign_detached(reinterpret_cast<unsigned char*>(signature.data()), nullptr,
                         reinterpret_cast<const unsigned char*>(text.data()), text.size(), keys_.secret_key.data());
    return text + "." + base64url_encode(signature);
  }

  SeededRandom random_{7};
  ServiceKeys keys_ = make_service_keys(random_);
};

TEST_F(ServiceToken, CarriesItsClaims) {
  ServiceClaims written = claims();
  written.tenants = {TenantId::v4(random_), TenantId::v4(random_)};
  const auto read = verify_service_token(sign(written), "runner", keys_.public_key, kNow);
  ASSERT_TRUE(read) << read.error().to_log_string();
  EXPECT_EQ(read->issuer, "gateway-1");
  EXPECT_EQ(read->issued_at, written.issued_at);
  EXPECT_EQ(read->expires_at, written.expires_at);
  EXPECT_EQ(read->tenants, written.tenants);
  EXPECT_TRUE(read->allows(written.tenants[1]));
  EXPECT_FALSE(read->allows(TenantId::v4(random_)));
  EXPECT_TRUE(claims().allows(TenantId::v4(random_)));
}

TEST_F(ServiceToken, IsGoodUntilItExpires) {
  const std::string token = sign(claims());
  EXPECT_TRUE(accepts(token));
  EXPECT_TRUE(accepts(token, kNow + kServiceTokenLifetime - Micros(1)));
  EXPECT_FALSE(accepts(token, kNow + kServiceTokenLifetime));
  EXPECT_TRUE(accepts(token, kNow - kServiceTokenSkew)) << "clocks differ a little";
  EXPECT_FALSE(accepts(token, kNow - kServiceTokenSkew - std::chrono::seconds(1)));
}

TEST_F(ServiceToken, IsRefusedWhenItIsValidForTooLongOrForAnother) {
  ServiceClaims written = claims();
  written.expires_at = written.expires_at + std::chrono::seconds(1);
  EXPECT_FALSE(accepts(sign(written)));
  written = claims();
  written.audience = "broker";
  EXPECT_FALSE(accepts(sign(written)));
  EXPECT_FALSE(accepts(sign_service_token(claims(), make_service_keys(random_).secret_key))) << "another key";
}

TEST_F(ServiceToken, IsRefusedWithAnyByteChanged) {
  const std::string token = sign(claims());
  for (std::size_t i = 0; i < token.size(); ++i) {
    std::string changed = token;
    changed[i] = changed[i] == 'A' ? 'B' : 'A';
    EXPECT_FALSE(accepts(changed)) << i;
  }
  EXPECT_FALSE(accepts(token + "A"));
  EXPECT_FALSE(accepts(token.substr(0, token.find('.'))));
  EXPECT_FALSE(accepts(""));
}

TEST_F(ServiceToken, RefusesSignedClaimsOfAnotherForm) {
  const std::string times = R"("iat":1760000000,"exp":1760000100)";
  EXPECT_TRUE(accepts(sign_text(R"({"iss":"a","aud":"runner",)" + times + "}")));
  EXPECT_FALSE(accepts(sign_text(R"({"aud":"runner",)" + times + "}"))) << "no issuer";
  EXPECT_FALSE(accepts(sign_text(R"({"iss":"a","aud":"runner","iat":1760000000})"))) << "no expiry";
  EXPECT_FALSE(accepts(sign_text(R"({"iss":"a","aud":"runner","tenants":[],)" + times + "}")))
      << "an empty list must not mean every tenant";
  EXPECT_FALSE(accepts(sign_text(R"({"iss":"a","aud":"runner","tenants":["x"],)" + times + "}")));
  const auto malformed = verify_service_token(sign_text("nonsense"), "runner", keys_.public_key, kNow);
  EXPECT_FALSE(malformed);
}

}  // namespace
}  // namespace bulkhead
