// The parsed inside of a TrustBundle, and certificate chains. For signing.cpp and trust_bundle.cpp only.
#pragma once

#include <openssl/x509.h>

#include <memory>
#include <set>
#include <string>
#include <vector>

#include "features/bundles/signing.h"

namespace bulkhead::bundles {

using Certificate = std::shared_ptr<X509>;

struct TrustBundle::Parsed {
  struct Key {
    std::string id;
    std::vector<std::string> prefixes;
    PublicKey key;
  };
  struct Authority {
    std::string id;
    std::vector<std::string> prefixes;
    Certificate certificate;
  };
  std::vector<Key> keys;
  std::vector<Authority> authorities;
  std::set<std::string> revoked;
  bool unsigned_accepted = false;
};

Result<Certificate> certificate_from_der(std::string_view der);
Result<std::vector<Certificate>> certificates_from_pem(std::string_view pem);
std::string certificate_to_der(X509& certificate);
std::string subject_of(X509& certificate);

struct ChainSigner {
  PublicKey key;
  std::string subject;
  const TrustBundle::Parsed::Authority* authority;
};
// Builds and judges the chain of `certificates` (leaf first). kSignerUntrusted with the reason in `detail`.
Result<ChainSigner> verify_chain(const std::vector<std::string>& certificates, const TrustBundle::Parsed& trust,
                                 std::optional<UtcMicros> at);

}  // namespace bulkhead::bundles
