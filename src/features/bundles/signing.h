// Who signed a bundle and whether that counts (contracts/extensions.md §1).
//
// A signature is a DSSE envelope, either embedded (entry SIGNATURE; its subjects are the SHA-256 of every other entry)
// or detached (beside the bundle; its one subject is content_hash). The signer is a key, or the leaf of an X.509 chain
// that ends in a CA of the trust bundle. Trust entries are bound to name prefixes. A certificate's expiry is judged
// when a bundle is published, never later; revocation always. Signature and hash are verified at publish, install and
// load.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/time.h"
#include "features/bundles/bundle_reader.h"
#include "features/bundles/keys.h"

namespace bulkhead::bundles {

struct TrustEntry {
  std::string id;                     // names the entry in answers and logs
  std::string pem;                    // an SPKI public key or a CA certificate
  std::vector<std::string> prefixes;  // "com.example"; "*" = any name
};

// Immutable and parsed once; share it between threads.
class TrustBundle {
 public:
  TrustBundle();
  // `revoked`: key ids (SHA-256 of SPKI, hex) that count nowhere, not as a signer, an issuer or a CA.
  // kBadRequest: an entry that is neither key nor CA certificate, or has a bad prefix.
  static Result<TrustBundle> make(const std::vector<TrustEntry>& entries, std::vector<std::string> revoked = {});
  // Dev mode: unsigned bundles pass. Only where the server says so at start, loudly.
  static TrustBundle accepting_unsigned(TrustBundle base);

  struct Parsed;
  const Parsed& parsed() const { return *parsed_; }

 private:
  std::shared_ptr<const Parsed> parsed_;
};

// Checks one entry alone and gives the id of its key.
Result<std::string> trust_entry_key_id(const TrustEntry& entry);

struct Signer {
  std::string key_id;               // empty: unsigned, in dev mode
  std::string trust_id;             // the TrustEntry that made it count
  std::string certificate_subject;  // RFC 2253 name of an X.509 signer, else empty
};

struct SignatureQuestion {
  const ArchiveSummary& archive;
  std::string_view extension_name;
  std::string_view extension_version;
  std::optional<std::string_view> embedded;
  std::optional<std::string_view> detached;  // decides when both are there: it covers the whole file
  // Set at publish: certificates must be valid then. Not set at install and load.
  std::optional<UtcMicros> published_at;
};

// kSignatureRequired: there is none. kSignatureInvalid: malformed, or does not cover exactly this content.
// kSignerUntrusted: no signer is trusted for the name, or it is revoked or expired.
Result<Signer> verify_signature(const SignatureQuestion& question, const TrustBundle& trust);
// The same for a bundle that was read whole.
Result<Signer> verify_bundle(const Bundle& bundle, std::optional<std::string_view> detached, const TrustBundle& trust,
                             std::optional<UtcMicros> published_at);

struct SigningIdentity {
  const PrivateKey& key;
  std::string chain_pem;  // certificates, leaf first; empty for a plain key
};

// Envelope over the entries (all but SIGNATURE) or over content_hash. kBadRequest: the chain's leaf is not the key's.
Result<std::string> sign_entries(const ArchiveSummary& archive, std::string_view name, std::string_view version,
                                 const SigningIdentity& identity);
Result<std::string> sign_content_hash(const ContentHash& hash, std::string_view name, std::string_view version,
                                      const SigningIdentity& identity);

// Writes the bundle at `in_path` to `out_path` (may be the same) with SIGNATURE added or replaced, packed as
// archive_writer.h packs. Blocking; holds the bundle's contents in memory.
struct SignedArchive {
  ContentHash content_hash;
  Bytes size;
};
Result<SignedArchive> sign_bundle_file(const std::string& in_path, const std::string& out_path,
                                       const SigningIdentity& identity);

}  // namespace bulkhead::bundles
