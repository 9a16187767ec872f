#include "features/access/service_identity.h"

namespace bulkhead::access {

std::function<std::optional<Authenticator::ServiceIdentity>(std::string_view)> service_token_verifier(
    ServicePublicKey key, std::vector<std::string> permissions, const Clock& clock) {
  return [key, permissions = std::move(permissions),
          &clock](std::string_view token) -> std::optional<Authenticator::ServiceIdentity> {
    const auto claims = verify_service_token(token, kApiAudience, key, clock.now());
    if (!claims || claims->tenants.size() > 1) return std::nullopt;
    auto principal = std::make_shared<Principal>();
    principal->kind = PrincipalKind::kService;
    principal->credential_id = "service:" + claims->issuer;
    principal->permissions = permissions;
    if (!claims->tenants.empty()) principal->tenant = claims->tenants.front();
    return Authenticator::ServiceIdentity{std::move(principal), claims->expires_at};
  };
}

}  // namespace bulkhead::access
