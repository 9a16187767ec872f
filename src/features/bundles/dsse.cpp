#include "features/bundles/dsse.h"

#include <algorithm>

#include "base/bytes.h"
#include "base/json.h"

namespace bulkhead::bundles {
namespace {

constexpr std::size_t kMaxSignatures = 16;
constexpr std::size_t kMaxCertificates = 8;
constexpr std::size_t kMaxSubjects = 10'000;

std::unexpected<Error> malformed(std::string why) {
  return fail(ErrorCode::kSignatureInvalid, "The signature envelope is malformed: " + std::move(why) + ".");
}

const json::value* member(const json::value& value, std::string_view name) {
  return value.is_object() ? value.get_object().if_contains(name) : nullptr;
}

std::optional<std::string> string_member(const json::value& value, std::string_view name) {
  const json::value* found = member(value, name);
  if (found == nullptr || !found->is_string()) return std::nullopt;
  return std::string(found->get_string());
}

// DSSE allows both alphabets.
std::optional<std::string> decode_base64(std::string_view text) {
  if (auto bytes = base64_decode(text)) return bytes;
  while (text.ends_with('=')) text.remove_suffix(1);
  return base64url_decode(text);
}

Result<EnvelopeSignature> parse_signature(const json::value& item) {
  EnvelopeSignature signature;
  const auto encoded = string_member(item, "sig");
  auto bytes = encoded ? decode_base64(*encoded) : std::nullopt;
  if (!bytes || bytes->empty()) return malformed("a signature has no base64 \"sig\"");
  signature.signature = std::move(*bytes);
  signature.key_id = string_member(item, "keyid").value_or("");
  const json::value* chain = member(item, "x5c");
  if (chain == nullptr) return signature;
  if (!chain->is_array() || chain->get_array().size() > kMaxCertificates)
    return malformed("\"x5c\" is not a short array");
  for (const json::value& certificate : chain->get_array()) {
    auto der = certificate.is_string() ? base64_decode(certificate.get_string()) : std::nullopt;
    if (!der) return malformed("a certificate is not base64");
    signature.certificates.push_back(std::move(*der));
  }
  return signature;
}

Result<Sha256Digest> parse_digest(const json::value& subject) {
  const json::value* digests = member(subject, "digest");
  const auto text = digests == nullptr ? std::nullopt : string_member(*digests, "sha256");
  const auto bytes = text ? hex_decode(*text) : std::nullopt;
  Sha256Digest digest{};
  if (!bytes || bytes->size() != digest.size()) return malformed("a subject has no sha256 digest");
  std::ranges::copy(*bytes, reinterpret_cast<char*>(digest.data()));
  return digest;
}

}  // namespace

std::string pre_authentication_encoding(std::string_view payload_type, std::string_view payload) {
  std::string text = "DSSEv1 " + std::to_string(payload_type.size()) + " ";
  text += payload_type;
  text += " " + std::to_string(payload.size()) + " ";
  text += payload;
  return text;
}

std::string Envelope::to_json() const {
  json::array list;
  for (const EnvelopeSignature& signature : signatures) {
    json::object item{{"keyid", signature.key_id}, {"sig", base64_encode(signature.signature)}};
    json::array chain;
    for (const std::string& der : signature.certificates) chain.emplace_back(base64_encode(der));
    if (!chain.empty()) item["x5c"] = std::move(chain);
    list.push_back(std::move(item));
  }
  return json::serialize(json::object{
      {"payloadType", payload_type}, {"payload", base64_encode(payload)}, {"signatures", std::move(list)}});
}

Result<Envelope> parse_envelope(std::string_view text) {
  const auto document = parse_json(text);
  if (!document) return malformed("it is not JSON");
  Envelope envelope;
  const auto type = string_member(*document, "payloadType");
  const auto payload = string_member(*document, "payload");
  if (!type || !payload) return malformed("it lacks payloadType or payload");
  auto bytes = decode_base64(*payload);
  if (!bytes) return malformed("the payload is not base64");
  envelope.payload_type = *type;
  envelope.payload = std::move(*bytes);
  const json::value* signatures = member(*document, "signatures");
  if (signatures == nullptr || !signatures->is_array() || signatures->get_array().empty()) {
    return malformed("it has no signatures");
  }
  if (signatures->get_array().size() > kMaxSignatures) return malformed("it has more than 16 signatures");
  for (const json::value& item : signatures->get_array()) {
    BH_TRY(auto signature, parse_signature(item));
    envelope.signatures.push_back(std::move(signature));
  }
  return envelope;
}

std::string Statement::to_json() const {
  json::array list;
  for (const auto& [name, digest] : subjects) {
    const std::string hex = hex_encode({reinterpret_cast<const char*>(digest.data()), digest.size()});
    list.push_back(json::object{{"name", name}, {"digest", json::object{{"sha256", hex}}}});
  }
  return json::serialize(
      json::object{{"_type", kStatementType},
                   {"subject", std::move(list)},
                   {"predicateType", kPredicateType},
                   {"predicate", json::object{{"name", extension_name}, {"version", extension_version}}}});
}

Result<Statement> parse_statement(std::string_view payload) {
  const auto document = parse_json(payload);
  if (!document) return malformed("its statement is not JSON");
  if (string_member(*document, "_type") != kStatementType)
    return malformed("its payload is not an in-toto Statement v1");
  if (string_member(*document, "predicateType") != kPredicateType)
    return malformed("it attests something else than a bundle");
  Statement statement;
  const json::value* predicate = member(*document, "predicate");
  const auto name = predicate == nullptr ? std::nullopt : string_member(*predicate, "name");
  const auto version = predicate == nullptr ? std::nullopt : string_member(*predicate, "version");
  if (!name || !version) return malformed("its predicate lacks name or version");
  statement.extension_name = *name;
  statement.extension_version = *version;
  const json::value* subjects = member(*document, "subject");
  if (subjects == nullptr || !subjects->is_array() || subjects->get_array().empty() ||
      subjects->get_array().size() > kMaxSubjects) {
    return malformed("it has no subjects, or too many");
  }
  for (const json::value& subject : subjects->get_array()) {
    const auto path = string_member(subject, "name");
    BH_TRY(const Sha256Digest digest, parse_digest(subject));
    if (!path || !statement.subjects.emplace(*path, digest).second)
      return malformed("a subject has no name, or stands twice");
  }
  return statement;
}

}  // namespace bulkhead::bundles
