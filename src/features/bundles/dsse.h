// DSSE envelopes (https://github.com/secure-systems-lab/dsse, protocol v1.0.2) around in-toto Statements v1
// (https://in-toto.io/Statement/v1). Only the formats: who is trusted is decided in signing.h.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/sha256.h"

namespace bulkhead::bundles {

inline constexpr std::string_view kPayloadType = "application/vnd.in-toto+json";
inline constexpr std::string_view kStatementType = "https://in-toto.io/Statement/v1";
inline constexpr std::string_view kPredicateType = "urn:bulkhead:attestation:bundle:v1";

// What is signed: "DSSEv1" SP len(type) SP type SP len(body) SP body.
std::string pre_authentication_encoding(std::string_view payload_type, std::string_view payload);

struct EnvelopeSignature {
  std::string key_id;                     // a hint only; may be empty
  std::string signature;                  // raw bytes
  std::vector<std::string> certificates;  // DER, leaf first (member "x5c", base64, as in RFC 7515 §4.1.6)
};
struct Envelope {
  std::string payload_type;
  std::string payload;
  std::vector<EnvelopeSignature> signatures;

  std::string to_json() const;
};
// kSignatureInvalid. Unknown members are ignored, as DSSE asks; at most 16 signatures with 8 certificates each.
Result<Envelope> parse_envelope(std::string_view text);

struct Statement {
  std::map<std::string, Sha256Digest> subjects;  // name → SHA-256
  std::string extension_name;                    // of the predicate
  std::string extension_version;

  std::string to_json() const;
};
// kSignatureInvalid: not a v1 statement of our predicate type, a subject without a sha256 digest or named twice.
Result<Statement> parse_statement(std::string_view payload);

}  // namespace bulkhead::bundles
