// What a ModuleOffer's signature covers, and its check. Signing is in features/runners (the key is serve-only); the
// runner has the public key and this file.
#pragma once

#include <array>
#include <cstdint>
#include <string>

#include "protocol/frames.h"

namespace bulkhead::protocol {

using CodePublicKey = std::array<std::uint8_t, 32>;  // Ed25519 (RFC 8032)

// "bulkhead-cwasm-v1" and every field but the signature, each with its length: no two offers share a text.
std::string module_signing_text(const ModuleOffer& offer);
bool verify_module_offer(const ModuleOffer& offer, const CodePublicKey& key);

}  // namespace bulkhead::protocol
