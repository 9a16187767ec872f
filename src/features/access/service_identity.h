// Service tokens (base/service_token.h) as identities of the API: what Authenticator::Options::service_tokens wants.
#pragma once

#include <string>
#include <vector>

#include "base/service_token.h"
#include "features/access/authenticator.h"

namespace bulkhead::access {

// The audience that a token for this API carries.
inline constexpr std::string_view kApiAudience = "api";

// Accepts tokens signed by `key` for kApiAudience. The principal is "service:<issuer>" with `permissions`; a token for
// one tenant acts in that one only, one for several is refused (a principal has one tenant or none). `clock` outlives
// the result, which is thread-safe.
std::function<std::optional<Authenticator::ServiceIdentity>(std::string_view)> service_token_verifier(
    ServicePublicKey key, std::vector<std::string> permissions, const Clock& clock);

}  // namespace bulkhead::access
