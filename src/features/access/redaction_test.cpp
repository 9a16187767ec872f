#include "features/access/redaction.h"

#include <gtest/gtest.h>

namespace bulkhead::access {
namespace {

TEST(Redaction, NameTable) {
  for (const char* name : {"password", "userPassword", "client_secret", "api_key", "apiKey", "X-API-KEY", "token",
                           "access_token", "refreshToken", "authorization", "Set-Cookie", "privateKey", "credentials",
                           "jwt", "otp", "pin", "passphrase"}) {
    EXPECT_TRUE(is_secret_name(name)) << name;
  }
  for (const char* name : {"", "name", "key_id", "token_count", "shipping", "hash", "jwts_seen", "monkey", "tokens"}) {
    EXPECT_FALSE(is_secret_name(name)) << name;
  }
}

TEST(Redaction, ReplacesSecretsAtEveryDepthAndCountsThem) {
  json::value value = json::parse(
      R"({"name":"a","password":"p","nested":[{"api_key":{"x":1}},{"note":"bh_key_abc"}],"token":null,"n":7})");
  EXPECT_EQ(redact(value), 3U);
  EXPECT_EQ(canonical_json(value), R"({"n":7,"name":"a","nested":[{"api_key":"[redacted]"},{"note":"[redacted]"}],)"
                                   R"("password":"[redacted]","token":null})");
}

TEST(Redaction, LeavesCleanDocumentsAlone) {
  json::value value = json::parse(R"({"status":"ok","items":[1,2,"bearer of news"]})");
  EXPECT_EQ(redact(value), 0U);
}

}  // namespace
}  // namespace bulkhead::access
