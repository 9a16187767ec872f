#include "base/service_token.h"

#include <sodium.h>

#include <algorithm>

#include "base/bytes.h"
#include "base/json.h"

namespace bulkhead {
namespace {

constexpr std::size_t kMaxToken = 8 * 1024;
constexpr std::size_t kMaxTenants = 128;
constexpr std::int64_t kMicrosPerSecond = 1'000'000;

std::unexpected<Error> refuse(std::string detail) {
  return fail(ErrorCode::kInvalidCredential, "The service token is not valid.", std::move(detail));
}

bool signature_is_good(std::string_view text, std::string_view signature, const ServicePublicKey& key) {
  return signature.size() == crypto_sign_BYTES &&
         crypto_sign_verify_detached(reinterpret_cast<const unsigned char*>(signature.data()),
                                     reinterpret_cast<const unsigned char*>(text.data()), text.size(), key.data()) == 0;
}

Result<ServiceClaims> read_claims(std::string_view text) {
  const auto document = parse_json(text);
  if (!document) return refuse("not JSON");
  std::vector<FieldError> problems;
  JsonReader reader(*document, problems);
  ServiceClaims claims;
  claims.issuer = reader.required_string("iss").value_or("");
  claims.audience = reader.required_string("aud").value_or("");
  constexpr std::int64_t kLatest = 1LL << 40;  // keeps the conversion to microseconds within 64 bits
  claims.issued_at.value = reader.optional_integer("iat", 0, kLatest).value_or(0) * kMicrosPerSecond;
  claims.expires_at.value = reader.optional_integer("exp", 0, kLatest).value_or(0) * kMicrosPerSecond;
  for (const auto& id : reader.optional_strings("tenants")) {
    const auto tenant = TenantId::parse(id);
    if (!tenant || claims.tenants.size() == kMaxTenants) return refuse("tenants");
    claims.tenants.push_back(*tenant);
  }
  if (!problems.empty()) return refuse("claims: " + problems.front().pointer + " " + problems.front().message);
  // An empty list would read as "every tenant".
  const json::value* tenants = reader.member("tenants");
  if (tenants != nullptr && claims.tenants.empty()) return refuse("an empty list of tenants");
  return claims;
}

}  // namespace

bool ServiceClaims::allows(const TenantId& tenant) const {
  return tenants.empty() || std::ranges::find(tenants, tenant) != tenants.end();
}

ServiceKeys make_service_keys(Random& random) {
  std::array<std::uint8_t, crypto_sign_SEEDBYTES> seed{};
  random.fill(seed);
  ServiceKeys keys{};
  crypto_sign_seed_keypair(keys.public_key.data(), keys.secret_key.data(), seed.data());
  sodium_memzero(seed.data(), seed.size());
  return keys;
}

std::string sign_service_token(const ServiceClaims& claims, const ServiceSecretKey& key) {
  json::object document{{"iss", claims.issuer},
                        {"aud", claims.audience},
                        {"iat", claims.issued_at.value / kMicrosPerSecond},
                        {"exp", claims.expires_at.value / kMicrosPerSecond}};
  if (!claims.tenants.empty()) {
    json::array tenants;
    for (const TenantId& tenant : claims.tenants) tenants.emplace_back(tenant.to_string());
    document["tenants"] = std::move(tenants);
  }
  const std::string text = base64url_encode(json::serialize(document));
  std::string signature(crypto_sign_BYTES, '\0');
  crypto_sign_detached(reinterpret_cast<unsigned char*>(signature.data()), nullptr,
                       reinterpret_cast<const unsigned char*>(text.data()), text.size(), key.data());
  return text + "." + base64url_encode(signature);
}

Result<ServiceClaims> verify_service_token(std::string_view token, std::string_view audience,
                                           const ServicePublicKey& key, UtcMicros now) {
  const std::size_t dot = token.find('.');
  if (dot == std::string_view::npos || token.size() > kMaxToken) return refuse("not two parts");
  const auto signature = base64url_decode(token.substr(dot + 1));
  if (!signature || !signature_is_good(token.substr(0, dot), *signature, key)) return refuse("signature");
  const auto text = base64url_decode(token.substr(0, dot));
  if (!text) return refuse("encoding");
  BH_TRY(auto claims, read_claims(*text));
  if (claims.audience != audience) return refuse("audience " + claims.audience);
  if (claims.expires_at <= now) return refuse("expired");
  if (claims.issued_at > now + kServiceTokenSkew) return refuse("issued in the future");
  if (claims.expires_at - claims.issued_at > kServiceTokenLifetime) return refuse("valid for too long");
  return claims;
}

}  // namespace bulkhead
