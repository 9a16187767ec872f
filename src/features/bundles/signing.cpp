#include "features/bundles/signing.h"

#include <algorithm>

#include "features/bundles/archive_writer.h"
#include "features/bundles/dsse.h"
#include "features/bundles/name.h"
#include "features/bundles/trust_bundle.h"

namespace bulkhead::bundles {
namespace {

constexpr std::string_view kArchiveName = "bundle.tar.zst";

bool covers(const std::vector<std::string>& prefixes, std::string_view name) {
  return std::ranges::any_of(prefixes, [name](const std::string& prefix) { return prefix_covers(prefix, name); });
}

Status check_subjects(const Statement& statement, const SignatureQuestion& question) {
  if (question.detached) {
    if (statement.subjects.size() == 1 &&
        ContentHash::from_bytes(statement.subjects.begin()->second) == question.archive.content_hash) {
      return {};
    }
    return fail(ErrorCode::kSignatureInvalid, "The detached signature is of another bundle.");
  }
  std::size_t covered = 0;
  for (const Entry& entry : question.archive.entries) {
    if (entry.path == kSignaturePath) continue;
    const auto subject = statement.subjects.find(entry.path);
    if (subject == statement.subjects.end()) {
      return fail(ErrorCode::kSignatureInvalid, entry.path + " is not covered by the signature.");
    }
    if (subject->second != entry.sha256) {
      return fail(ErrorCode::kSignatureInvalid, entry.path + " was changed after signing.");
    }
    ++covered;
  }
  if (covered != statement.subjects.size()) {
    return fail(ErrorCode::kSignatureInvalid, "The signature covers files that are not in the bundle.");
  }
  return {};
}

// What one signature of an envelope came to. The best of them decides the answer.
struct Judgement {
  enum class Kind : std::uint8_t { kUnknown, kUntrusted, kBroken, kGood } kind = Kind::kUnknown;
  Signer signer;
  std::string why;
};

Judgement judge_key(const EnvelopeSignature& signature, const std::string& message, std::string_view name,
                    const TrustBundle::Parsed& trust) {
  Judgement judgement;
  for (const auto& entry : trust.keys) {
    if (!signature.key_id.empty() && signature.key_id != entry.key.id()) continue;
    if (!entry.key.verifies(message, signature.signature)) {
      // Without a key id any key may be meant, so a mismatch says nothing.
      if (!signature.key_id.empty()) return {Judgement::Kind::kBroken, {}, "it was changed after signing"};
      continue;
    }
    if (trust.revoked.contains(entry.key.id())) {
      return {Judgement::Kind::kUntrusted, {}, "the key " + entry.key.id() + " is revoked"};
    }
    if (covers(entry.prefixes, name)) return {Judgement::Kind::kGood, {entry.key.id(), entry.id, {}}, {}};
    judgement = {Judgement::Kind::kUntrusted, {}, "the key " + entry.key.id() + " may not sign this name"};
  }
  return judgement;
}

Judgement judge_chain(const EnvelopeSignature& signature, const std::string& message, std::string_view name,
                      const TrustBundle::Parsed& trust, std::optional<UtcMicros> at) {
  auto chain = verify_chain(signature.certificates, trust, at);
  if (!chain) return {Judgement::Kind::kUntrusted, {}, chain.error().message};
  if (!chain->key.verifies(message, signature.signature)) {
    return {Judgement::Kind::kBroken, {}, "it was changed after signing"};
  }
  // One CA may stand in several entries; any of them may bring the prefix.
  for (const auto& authority : trust.authorities) {
    const bool same = X509_cmp(authority.certificate.get(), chain->authority->certificate.get()) == 0;
    if (same && covers(authority.prefixes, name)) {
      return {Judgement::Kind::kGood, {chain->key.id(), authority.id, chain->subject}, {}};
    }
  }
  return {Judgement::Kind::kUntrusted, {}, "its CA may not vouch for this name"};
}

Result<Signer> judge(const Envelope& envelope, const SignatureQuestion& question, const TrustBundle::Parsed& trust) {
  const std::string message = pre_authentication_encoding(envelope.payload_type, envelope.payload);
  Judgement best;
  for (const EnvelopeSignature& signature : envelope.signatures) {
    Judgement judgement = signature.certificates.empty()
                              ? judge_key(signature, message, question.extension_name, trust)
                              : judge_chain(signature, message, question.extension_name, trust, question.published_at);
    if (judgement.kind == Judgement::Kind::kGood) return std::move(judgement.signer);
    if (judgement.kind >= best.kind) best = std::move(judgement);
  }
  if (best.kind == Judgement::Kind::kBroken) {
    return fail(ErrorCode::kSignatureInvalid, "The signature does not verify: " + best.why + ".");
  }
  return fail(ErrorCode::kSignerUntrusted,
              best.kind == Judgement::Kind::kUntrusted
                  ? "The signer is not trusted for " + std::string(question.extension_name) + ": " + best.why + "."
                  : "The bundle is signed by a key that is not in the trust bundle.");
}

// Other tools pack a placeholder text as SIGNATURE: that is no signature, rather than a wrong one.
std::optional<std::string_view> envelope_in(std::optional<std::string_view> entry) {
  const std::size_t start = entry ? entry->find_first_not_of(" \t\r\n") : std::string_view::npos;
  if (start == std::string_view::npos || (*entry)[start] != '{') return std::nullopt;
  return entry;
}

Result<std::string> sign_statement(const Statement& statement, const SigningIdentity& identity) {
  Envelope envelope{.payload_type = std::string(kPayloadType), .payload = statement.to_json(), .signatures = {}};
  EnvelopeSignature signature{.key_id = identity.key.public_key().id(), .signature = {}, .certificates = {}};
  if (!identity.chain_pem.empty()) {
    BH_TRY(const auto chain, certificates_from_pem(identity.chain_pem));
    auto leaf = PublicKey::from_handle({X509_get_pubkey(chain.front().get()), &EVP_PKEY_free});
    if (!leaf || leaf->id() != identity.key.public_key().id()) {
      return fail(ErrorCode::kBadRequest, "The first certificate of the chain is not the key's.");
    }
    for (const Certificate& certificate : chain) signature.certificates.push_back(certificate_to_der(*certificate));
  }
  signature.signature = identity.key.sign(pre_authentication_encoding(envelope.payload_type, envelope.payload));
  envelope.signatures.push_back(std::move(signature));
  return envelope.to_json();
}

}  // namespace

Result<Signer> verify_signature(const SignatureQuestion& question, const TrustBundle& trust) {
  const auto text = question.detached ? question.detached : envelope_in(question.embedded);
  if (!text) {
    if (trust.parsed().unsigned_accepted) return Signer{};
    return fail(ErrorCode::kSignatureRequired, "The bundle has no signature.");
  }
  BH_TRY(const Envelope envelope, parse_envelope(*text));
  if (envelope.payload_type != kPayloadType) {
    return fail(ErrorCode::kSignatureInvalid,
                "The signature envelope is malformed: its payload is not an in-toto statement.");
  }
  // Nothing of the payload is read before somebody trusted has vouched for it.
  BH_TRY(Signer signer, judge(envelope, question, trust.parsed()));
  BH_TRY(const Statement statement, parse_statement(envelope.payload));
  if (statement.extension_name != question.extension_name ||
      statement.extension_version != question.extension_version) {
    return fail(ErrorCode::kSignatureInvalid, "The signature is of another extension or version.");
  }
  BH_TRY_VOID(check_subjects(statement, question));
  return signer;
}

Result<Signer> verify_bundle(const Bundle& bundle, std::optional<std::string_view> detached, const TrustBundle& trust,
                             std::optional<UtcMicros> published_at) {
  return verify_signature(
      {.archive = bundle.archive,
       .extension_name = bundle.manifest.name,
       .extension_version = bundle.manifest.version.text(),
       .embedded = bundle.signature ? std::optional<std::string_view>(*bundle.signature) : std::nullopt,
       .detached = detached,
       .published_at = published_at},
      trust);
}

Result<std::string> sign_entries(const ArchiveSummary& archive, std::string_view name, std::string_view version,
                                 const SigningIdentity& identity) {
  Statement statement{.subjects = {}, .extension_name = std::string(name), .extension_version = std::string(version)};
  for (const Entry& entry : archive.entries) {
    if (entry.path != kSignaturePath) statement.subjects.emplace(entry.path, entry.sha256);
  }
  return sign_statement(statement, identity);
}

Result<std::string> sign_content_hash(const ContentHash& hash, std::string_view name, std::string_view version,
                                      const SigningIdentity& identity) {
  Statement statement{.subjects = {}, .extension_name = std::string(name), .extension_version = std::string(version)};
  statement.subjects.emplace(kArchiveName, hash.bytes());
  return sign_statement(statement, identity);
}

Result<SignedArchive> sign_bundle_file(const std::string& in_path, const std::string& out_path,
                                       const SigningIdentity& identity) {
  BH_TRY(const Bundle bundle, read_bundle_file(in_path));
  std::map<std::string, std::string> contents;
  const ArchiveVisitor collect{
      .wants = [](const std::string& path, Bytes) { return Result<bool>(path != kSignaturePath); },
      .data =
          [&contents](const std::string& path, std::string_view piece) {
            contents[path].append(piece);
            return Status();
          }};
  BH_TRY(auto source, open_file_source(in_path));
  BH_TRY(const ArchiveSummary archive, read_archive(*source, {}, collect));
  if (archive.content_hash != bundle.archive.content_hash) {
    return fail(ErrorCode::kBundleInvalid, "The bundle changed while it was read.");
  }
  BH_TRY(std::string envelope, sign_entries(archive, bundle.manifest.name, bundle.manifest.version.text(), identity));
  std::vector<PackedFile> files;
  for (auto& [path, bytes] : contents) files.push_back({path, std::move(bytes)});
  files.push_back({std::string(kSignaturePath), std::move(envelope)});
  BH_TRY(const WrittenArchive written, write_archive(std::move(files), out_path));
  return SignedArchive{written.content_hash, written.size};
}

}  // namespace bulkhead::bundles
