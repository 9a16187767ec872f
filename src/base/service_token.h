// Service tokens: how our own processes prove to each other who they are (contracts/extensions.md §3). Short-lived,
// signed with Ed25519 (RFC 8032), checked once per connection.
//
//   base64url(claims JSON) "." base64url(signature over the first part's text)
//   claims: {"iss":"gateway-1","aud":"runner","iat":…,"exp":…,"tenants":["<uuid>",…]?}   times in Unix seconds
//
// Pure functions; any thread.
#pragma once

#include <array>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/ids.h"
#include "base/time.h"

namespace bulkhead {

using ServicePublicKey = std::array<std::uint8_t, 32>;
using ServiceSecretKey = std::array<std::uint8_t, 64>;  // libsodium's form: seed, then public key

struct ServiceClaims {
  std::string issuer;
  std::string audience;
  UtcMicros issued_at;
  UtcMicros expires_at;
  std::vector<TenantId> tenants;  // empty: every tenant

  bool allows(const TenantId& tenant) const;
};

inline constexpr Micros kServiceTokenLifetime = std::chrono::minutes(5);  // the longest accepted
inline constexpr Micros kServiceTokenSkew = std::chrono::seconds(30);     // how far in the future `iat` may lie

struct ServiceKeys {
  ServicePublicKey public_key;
  ServiceSecretKey secret_key;
};
ServiceKeys make_service_keys(Random& random);

std::string sign_service_token(const ServiceClaims& claims, const ServiceSecretKey& key);

// kInvalidCredential: malformed, another signature, another audience, expired, issued in the future, or valid for
// longer than kServiceTokenLifetime. The detail says which; the caller learns nothing more.
Result<ServiceClaims> verify_service_token(std::string_view token, std::string_view audience,
                                           const ServicePublicKey& key, UtcMicros now);

}  // namespace bulkhead
