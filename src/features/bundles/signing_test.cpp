#include "features/bundles/signing.h"

#include <gtest/gtest.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <sys/stat.h>

#include "base/bytes.h"
#include "base/json.h"
#include "features/bundles/archive_writer.h"
#include "features/bundles/dsse.h"
#include "features/bundles/scratch_folder.h"
#include "features/bundles/tar_forge.h"

namespace bulkhead::bundles {
namespace {

constexpr UtcMicros kNow{1'750'000'000'000'000};
constexpr long kDay = 86'400;

// --- certificates, made here ---------------------------------------------------------------------------------------

struct Issued {
  std::shared_ptr<X509> certificate;
  std::string pem;
};

std::shared_ptr<EVP_PKEY> handle_of(const PrivateKey& key) {
  const std::string pem = key.to_pem();
  BIO* bio = BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size()));
  EVP_PKEY* handle = PEM_read_bio_PrivateKey(bio, nullptr, nullptr, nullptr);
  BIO_free(bio);
  return {handle, &EVP_PKEY_free};
}

struct CertificateRequest {
  const char* name;
  const PrivateKey& key;
  bool authority = false;
  long valid_from = -kDay;  // seconds from kNow
  long valid_until = kDay;
  const char* extended_usage = nullptr;
};

// Self-signed without an issuer.
Issued issue(const CertificateRequest& request, const Issued* issuer = nullptr,
             const PrivateKey* issuer_key = nullptr) {
  X509* certificate = X509_new();
  X509_set_version(certificate, 2);
  static long serial = 1;
  ASN1_INTEGER_set(X509_get_serialNumber(certificate), serial++);
  const time_t now = kNow.value / 1'000'000;
  ASN1_TIME_set(X509_getm_notBefore(certificate), now + request.valid_from);
  ASN1_TIME_set(X509_getm_notAfter(certificate), now + request.valid_until);
  X509_NAME_add_entry_by_txt(X509_get_subject_name(certificate), "CN", MBSTRING_UTF8,
                             reinterpret_cast<const unsigned char*>(request.name), -1, -1, 0);
  const auto key = handle_of(request.key);
  X509_set_pubkey(certificate, key.get());
  X509* parent = issuer == nullptr ? certificate : issuer->certificate.get();
  X509_set_issuer_name(certificate, X509_get_subject_name(parent));
  X509V3_CTX context;
  X509V3_set_ctx_nodb(&context);
  X509V3_set_ctx(&context, parent, certificate, nullptr, nullptr, 0);
  const auto add = [&](int kind, const char* value) {
    X509_EXTENSION* extension = X509V3_EXT_conf_nid(nullptr, &context, kind, value);
    EXPECT_NE(extension, nullptr);
    X509_add_ext(certificate, extension, -1);
    X509_EXTENSION_free(extension);
  };
  add(NID_basic_constraints, request.authority ? "critical,CA:TRUE" : "critical,CA:FALSE");
  add(NID_key_usage, request.authority ? "critical,keyCertSign,cRLSign" : "critical,digitalSignature");
  add(NID_subject_key_identifier, "hash");
  add(NID_authority_key_identifier, "keyid");
  if (request.extended_usage != nullptr) add(NID_ext_key_usage, request.extended_usage);
  const auto signing_key = handle_of(issuer_key == nullptr ? request.key : *issuer_key);
  const EVP_MD* digest = EVP_PKEY_is_a(signing_key.get(), "ED25519") == 1 ? nullptr : EVP_sha256();
  EXPECT_GT(X509_sign(certificate, signing_key.get(), digest), 0);
  BIO* bio = BIO_new(BIO_s_mem());
  PEM_write_bio_X509(bio, certificate);
  char* text = nullptr;
  const long size = BIO_get_mem_data(bio, &text);
  Issued issued{{certificate, &X509_free}, std::string(text, static_cast<std::size_t>(size))};
  BIO_free(bio);
  return issued;
}

// --- bundles -------------------------------------------------------------------------------------------------------

class Signing : public testing::Test {
 protected:
  Signing() {
    EXPECT_TRUE(write_archive({{"manifest.json", std::string(forge::kManifest)},
                               {"dist/main.wasm", std::string(forge::kModule)},
                               {"ui/index.html", std::string("<p>hello")}},
                              folder_.path("plain")));
  }
  Bundle read(std::string_view name) const {
    auto bundle = read_bundle_file(folder_.path(name));
    EXPECT_TRUE(bundle) << bundle.error().to_log_string();
    return std::move(*bundle);
  }
  Bundle sign_embedded(const SigningIdentity& identity) const {
    const auto written = sign_bundle_file(folder_.path("plain"), folder_.path("signed"), identity);
    EXPECT_TRUE(written) << written.error().to_log_string();
    return read("signed");
  }
  std::string sign_detached(const PrivateKey& key) const {
    const Bundle bundle = read("plain");
    return *sign_content_hash(bundle.archive.content_hash, "com.example.hello", "1.0.0", {key, {}});
  }
  static TrustBundle trust(const PrivateKey& key, std::vector<std::string> prefixes = {"com.example"},
                           std::vector<std::string> revoked = {}) {
    return *TrustBundle::make({{"entry-1", key.public_key().to_pem(), std::move(prefixes)}}, std::move(revoked));
  }
  // "ok" or the wire code.
  static std::string judge(const Bundle& bundle, const TrustBundle& trust,
                           std::optional<std::string_view> detached = std::nullopt,
                           std::optional<UtcMicros> at = kNow) {
    const auto signer = verify_bundle(bundle, detached, trust, at);
    return signer ? "ok" : std::string(signer.error().wire_code());
  }

  ScratchFolder folder_;
  PrivateKey key_ = PrivateKey::generate(KeyKind::kEd25519);
};

TEST_F(Signing, BothKindsOfKeySignEmbeddedAndDetached) {
  for (const KeyKind kind : {KeyKind::kEd25519, KeyKind::kEcdsaP256}) {
    const PrivateKey key = PrivateKey::generate(kind);
    const auto signer = verify_bundle(sign_embedded({key, {}}), std::nullopt, trust(key), kNow);
    ASSERT_TRUE(signer) << signer.error().to_log_string();
    EXPECT_EQ(signer->key_id, key.public_key().id());
    EXPECT_EQ(signer->trust_id, "entry-1");
    EXPECT_EQ(judge(read("plain"), trust(key), sign_detached(key)), "ok");
  }
}

TEST_F(Signing, SigningAgainGivesTheSameBytesAndReplacesTheOldSignature) {
  const Bundle once = sign_embedded({key_, {}});
  const auto again = sign_bundle_file(folder_.path("signed"), folder_.path("again"), {key_, {}});
  ASSERT_TRUE(again);
  EXPECT_EQ(again->content_hash, once.archive.content_hash);  // Ed25519 is deterministic
  const PrivateKey other = PrivateKey::generate(KeyKind::kEd25519);
  ASSERT_TRUE(sign_bundle_file(folder_.path("signed"), folder_.path("again"), {other, {}}));
  EXPECT_EQ(judge(read("again"), trust(other)), "ok");
  EXPECT_EQ(judge(read("again"), trust(key_)), "signer_untrusted");
}

TEST_F(Signing, UnsignedIsRefusedUnlessTheServerRunsInDevMode) {
  EXPECT_EQ(judge(read("plain"), trust(key_)), "signature_required");
  EXPECT_EQ(judge(read("plain"), TrustBundle()), "signature_required");
  EXPECT_EQ(judge(read("plain"), TrustBundle::accepting_unsigned(trust(key_))), "ok");
  // Dev mode takes unsigned bundles, not wrongly signed ones.
  const PrivateKey other = PrivateKey::generate(KeyKind::kEd25519);
  EXPECT_EQ(judge(sign_embedded({other, {}}), TrustBundle::accepting_unsigned(trust(key_))), "signer_untrusted");
}

TEST_F(Signing, AnUnknownRevokedOrOtherwiseBoundKeyIsUntrusted) {
  const Bundle bundle = sign_embedded({key_, {}});
  EXPECT_EQ(judge(bundle, TrustBundle()), "signer_untrusted");
  EXPECT_EQ(judge(bundle, trust(PrivateKey::generate(KeyKind::kEd25519))), "signer_untrusted");
  EXPECT_EQ(judge(bundle, trust(key_, {"com.example"}, {key_.public_key().id()})), "signer_untrusted");
  EXPECT_EQ(judge(bundle, trust(key_, {"com.example.other", "com.exam"})), "signer_untrusted");
  EXPECT_EQ(judge(bundle, trust(key_, {"org.other", "com.example.hello"})), "ok");
  EXPECT_EQ(judge(bundle, trust(key_, {"*"})), "ok");
}

// Takes the signed bundle apart, changes one thing, and puts it together again.
TEST_F(Signing, EveryOtherEntryIsCovered) {
  const Bundle bundle = sign_embedded({key_, {}});
  const std::string envelope = *bundle.signature;
  const std::vector<PackedFile> fine{{"manifest.json", std::string(forge::kManifest)},
                                     {"dist/main.wasm", std::string(forge::kModule)},
                                     {"ui/index.html", std::string("<p>hello")},
                                     {"SIGNATURE", envelope}};
  const auto judge_files = [&](const std::vector<PackedFile>& files) {
    EXPECT_TRUE(write_archive(files, folder_.path("forged")));
    return judge(read("forged"), trust(key_));
  };
  EXPECT_EQ(judge_files(fine), "ok");
  auto changed = fine;
  changed[1].content = std::string(forge::kModule) + "x";
  EXPECT_EQ(judge_files(changed), "signature_invalid");
  auto added = fine;
  added.push_back({"ui/extra.js", std::string("evil()")});
  EXPECT_EQ(judge_files(added), "signature_invalid");
  auto removed = fine;
  removed.erase(removed.begin() + 2);
  EXPECT_EQ(judge_files(removed), "signature_invalid");
  auto renamed = fine;
  renamed[2].path = "ui/main.html";
  EXPECT_EQ(judge_files(renamed), "signature_invalid");
}

TEST_F(Signing, ADetachedSignatureCoversExactlyOneBundle) {
  const std::string envelope = sign_detached(key_);
  ASSERT_TRUE(
      write_archive({{"manifest.json", std::string(forge::kManifest)}, {"dist/main.wasm", std::string(forge::kModule)}},
                    folder_.path("other")));
  EXPECT_EQ(judge(read("other"), trust(key_), envelope), "signature_invalid");
  // An embedded envelope is no detached one, nor the other way round.
  const Bundle bundle = sign_embedded({key_, {}});
  EXPECT_EQ(judge(bundle, trust(key_), *bundle.signature), "signature_invalid");
  EXPECT_EQ(judge(bundle, trust(key_), envelope), "signature_invalid");
}

TEST_F(Signing, AnEnvelopeOfAnotherNameOrVersionIsRefused) {
  const Bundle bundle = read("plain");
  const auto other_name = *sign_content_hash(bundle.archive.content_hash, "com.example.other", "1.0.0", {key_, {}});
  const auto other_version = *sign_content_hash(bundle.archive.content_hash, "com.example.hello", "1.0.1", {key_, {}});
  EXPECT_EQ(judge(bundle, trust(key_), other_name), "signature_invalid");
  EXPECT_EQ(judge(bundle, trust(key_), other_version), "signature_invalid");
}

TEST_F(Signing, EveryChangedByteOfAnEnvelopeIsNoticed) {
  const Bundle bundle = read("plain");
  const std::string envelope = sign_detached(key_);
  for (std::size_t at = 0; at < envelope.size(); ++at) {
    std::string changed = envelope;
    changed[at] = changed[at] == 'A' ? 'B' : 'A';
    if (judge(bundle, trust(key_), changed) != "ok") continue;
    // Only the key id is a mere hint: payload and signature must then be the very same.
    const auto original = parse_envelope(envelope), other = parse_envelope(changed);
    EXPECT_EQ(other->payload, original->payload) << "at " << at;
    EXPECT_EQ(other->signatures.at(0).signature, original->signatures.at(0).signature) << "at " << at;
  }
}

TEST_F(Signing, APlaceholderIsNoSignature) {
  ASSERT_TRUE(write_archive({{"manifest.json", std::string(forge::kManifest)},
                             {"dist/main.wasm", std::string(forge::kModule)},
                             {"SIGNATURE", std::string("signed by dev\n")}},
                            folder_.path("placeholder")));
  EXPECT_EQ(judge(read("placeholder"), trust(key_)), "signature_required");
}

TEST_F(Signing, MalformedEnvelopesAreRefused) {
  const Bundle bundle = read("plain");
  for (const char* text :
       {"", "placeholder", "{}", "[]", R"({"payloadType":"x","payload":"","signatures":[]})",
        R"({"payloadType":"application/vnd.in-toto+json","payload":"e30=","signatures":[{}]})",
        R"({"payloadType":"application/vnd.in-toto+json","payload":"?","signatures":[{"sig":"AA=="}]})",
        R"({"payloadType":"text/plain","payload":"e30=","signatures":[{"sig":"AA=="}]})"}) {
    EXPECT_EQ(judge(bundle, trust(key_), text), "signature_invalid") << text;
  }
}

// A trusted key that signed something else must not become a signature of a bundle.
TEST_F(Signing, OtherStatementsByATrustedKeyAreRefused) {
  const Bundle bundle = read("plain");
  const std::string digest = bundle.archive.content_hash.hex();
  const auto sign = [&](std::string_view type, const std::string& payload) {
    Envelope envelope{.payload_type = std::string(type), .payload = payload, .signatures = {}};
    envelope.signatures.push_back({key_.public_key().id(), key_.sign(pre_authentication_encoding(type, payload)), {}});
    return envelope.to_json();
  };
  const std::string subject = R"("subject":[{"name":"b","digest":{"sha256":")" + digest + R"("}}],)";
  const std::string predicate = R"("predicate":{"name":"com.example.hello","version":"1.0.0"})";
  const std::string type = R"("_type":"https://in-toto.io/Statement/v1",)";
  const std::string kind = R"("predicateType":"urn:bulkhead:attestation:bundle:v1",)";
  EXPECT_EQ(judge(bundle, trust(key_), sign(kPayloadType, "{" + type + kind + subject + predicate + "}")), "ok");
  for (const std::string& payload :
       {"{" + kind + subject + predicate + "}", "{" + type + subject + predicate + "}",
        "{" + type + kind + predicate + "}", "{" + type + kind + subject + R"("predicate":{}})",
        "{" + type + R"("predicateType":"https://slsa.dev/provenance/v1",)" + subject + predicate + "}",
        "{" + type + kind + R"("subject":[{"name":"b","digest":{"sha512":"00"}}],)" + predicate + "}",
        std::string("{}")}) {
    EXPECT_EQ(judge(bundle, trust(key_), sign(kPayloadType, payload)), "signature_invalid") << payload;
  }
  EXPECT_EQ(judge(bundle, trust(key_), sign("text/plain", "{" + type + kind + subject + predicate + "}")),
            "signature_invalid");
}

TEST_F(Signing, OneTrustedSignatureAmongSeveralIsEnough) {
  const PrivateKey other = PrivateKey::generate(KeyKind::kEcdsaP256);
  auto mine = *parse_envelope(sign_detached(key_));
  const auto theirs = *parse_envelope(sign_detached(other));
  mine.signatures.insert(mine.signatures.begin(), theirs.signatures.front());
  EXPECT_EQ(judge(read("plain"), trust(key_), mine.to_json()), "ok");
  mine.signatures.back().key_id.clear();  // the key id is only a hint
  EXPECT_EQ(judge(read("plain"), trust(key_), mine.to_json()), "ok");
}

class CertificateSigning : public Signing {
 protected:
  TrustBundle trust_ca(const Issued& ca, std::vector<std::string> revoked = {}) const {
    return *TrustBundle::make({{"ca-1", ca.pem, {"com.example"}}}, std::move(revoked));
  }
  PrivateKey root_key_ = PrivateKey::generate(KeyKind::kEcdsaP256);
  PrivateKey middle_key_ = PrivateKey::generate(KeyKind::kEd25519);
  Issued root_ = issue({.name = "root", .key = root_key_, .authority = true});
  Issued middle_ = issue({.name = "middle", .key = middle_key_, .authority = true}, &root_, &root_key_);
  Issued leaf_ = issue({.name = "leaf", .key = key_, .extended_usage = "codeSigning"}, &middle_, &middle_key_);
};

TEST_F(CertificateSigning, AChainToATrustedCaCounts) {
  const auto signer =
      verify_bundle(sign_embedded({key_, leaf_.pem + middle_.pem}), std::nullopt, trust_ca(root_), kNow);
  ASSERT_TRUE(signer) << signer.error().to_log_string();
  EXPECT_EQ(signer->certificate_subject, "CN=leaf");
  EXPECT_EQ(signer->trust_id, "ca-1");
  EXPECT_EQ(signer->key_id, key_.public_key().id());
  // The operator may trust an issuing CA alone.
  EXPECT_EQ(judge(sign_embedded({key_, leaf_.pem}), trust_ca(middle_)), "ok");
}

TEST_F(CertificateSigning, ExpiryIsJudgedAtPublishAndNeverLater) {
  const Issued expired =
      issue({.name = "leaf", .key = key_, .valid_from = -2 * kDay, .valid_until = -kDay}, &root_, &root_key_);
  const Issued early =
      issue({.name = "leaf", .key = key_, .valid_from = kDay, .valid_until = 2 * kDay}, &root_, &root_key_);
  for (const Issued& leaf : {expired, early}) {
    const Bundle bundle = sign_embedded({key_, leaf.pem});
    EXPECT_EQ(judge(bundle, trust_ca(root_), std::nullopt, kNow), "signer_untrusted");
    EXPECT_EQ(judge(bundle, trust_ca(root_), std::nullopt, std::nullopt), "ok");
  }
}

TEST_F(CertificateSigning, RevocationIsJudgedAlways) {
  const Bundle bundle = sign_embedded({key_, leaf_.pem + middle_.pem});
  for (const PrivateKey* key : {&key_, &middle_key_, &root_key_}) {
    EXPECT_EQ(judge(bundle, trust_ca(root_, {key->public_key().id()}), std::nullopt, std::nullopt), "signer_untrusted");
  }
}

TEST_F(CertificateSigning, BrokenOrForeignChainsAreUntrusted) {
  EXPECT_EQ(judge(sign_embedded({key_, leaf_.pem}), trust_ca(root_)), "signer_untrusted");  // the middle is missing
  const PrivateKey other_key = PrivateKey::generate(KeyKind::kEcdsaP256);
  const Issued other = issue({.name = "root", .key = other_key, .authority = true});
  EXPECT_EQ(judge(sign_embedded({key_, leaf_.pem + middle_.pem}), trust_ca(other)), "signer_untrusted");
  const Issued self_signed = issue({.name = "leaf", .key = key_});
  EXPECT_EQ(judge(sign_embedded({key_, self_signed.pem}), trust_ca(root_)), "signer_untrusted");
  // Issued by a certificate that is no CA.
  const PrivateKey below_key = PrivateKey::generate(KeyKind::kEd25519);
  const Issued below = issue({.name = "below", .key = below_key}, &leaf_, &key_);
  EXPECT_EQ(judge(sign_embedded({below_key, below.pem + leaf_.pem + middle_.pem}), trust_ca(root_)),
            "signer_untrusted");
  // A web server's certificate signs no code.
  const Issued web = issue({.name = "web", .key = key_, .extended_usage = "serverAuth"}, &root_, &root_key_);
  EXPECT_EQ(judge(sign_embedded({key_, web.pem}), trust_ca(root_)), "signer_untrusted");
}

TEST_F(CertificateSigning, ACaIsBoundToItsPrefixes) {
  const auto elsewhere = *TrustBundle::make({{"ca-1", root_.pem, {"org.other"}}});
  EXPECT_EQ(judge(sign_embedded({key_, leaf_.pem + middle_.pem}), elsewhere), "signer_untrusted");
}

TEST_F(CertificateSigning, TheChainMustBelongToTheKey) {
  EXPECT_FALSE(sign_content_hash(ContentHash(), "com.example.hello", "1.0.0", {middle_key_, leaf_.pem}));
}

TEST_F(CertificateSigning, TrustEntriesAreCheckedWhenTheyAreMade) {
  const auto refused = [](const TrustEntry& entry) { return !TrustBundle::make({entry}).has_value(); };
  EXPECT_TRUE(refused({"x", leaf_.pem, {"com"}}));  // not a CA
  EXPECT_TRUE(refused({"x", "nonsense", {"com"}}));
  EXPECT_TRUE(refused({"x", key_.to_pem(), {"com"}}));  // a private key
  EXPECT_TRUE(refused({"x", root_.pem, {}}));
  EXPECT_TRUE(refused({"x", root_.pem, {"Com.Example"}}));
  EXPECT_TRUE(refused({"x", root_.pem + middle_.pem, {"com"}}));
  EXPECT_EQ(*trust_entry_key_id({"x", root_.pem, {"com"}}), root_key_.public_key().id());
  EXPECT_EQ(*trust_entry_key_id({"x", key_.public_key().to_pem(), {"com"}}), key_.public_key().id());
}

// --- keys and formats ----------------------------------------------------------------------------------------------

TEST(Keys, RoundTripThroughPem) {
  for (const KeyKind kind : {KeyKind::kEd25519, KeyKind::kEcdsaP256}) {
    const PrivateKey key = PrivateKey::generate(kind);
    const auto again = PrivateKey::from_pem(key.to_pem());
    ASSERT_TRUE(again);
    EXPECT_EQ(again->public_key().id(), key.public_key().id());
    EXPECT_EQ(key.public_key().id().size(), 64U);
    EXPECT_EQ(key.public_key().kind(), kind);
    const auto public_key = PublicKey::from_pem(key.public_key().to_pem());
    ASSERT_TRUE(public_key);
    EXPECT_TRUE(public_key->verifies("text", again->sign("text")));
    EXPECT_FALSE(public_key->verifies("texts", again->sign("text")));
    EXPECT_FALSE(public_key->verifies("text", ""));
  }
  EXPECT_FALSE(PublicKey::from_pem("x"));
  EXPECT_FALSE(PrivateKey::from_pem(""));
}

TEST(Keys, FilesAreForTheirOwnerOnly) {
  const ScratchFolder folder;
  const PrivateKey key = PrivateKey::generate(KeyKind::kEd25519);
  ASSERT_TRUE(write_private_key(folder.path("key"), key));
  struct stat info{};
  ASSERT_EQ(::stat(folder.path("key").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777U, 0600U);
  EXPECT_EQ(read_private_key(folder.path("key"))->public_key().id(), key.public_key().id());
  EXPECT_EQ(write_private_key(folder.path("key"), key).error().code, ErrorCode::kAlreadyExists);
  ASSERT_EQ(::chmod(folder.path("key").c_str(), 0644), 0);
  EXPECT_EQ(read_private_key(folder.path("key")).error().code, ErrorCode::kForbidden);
  EXPECT_EQ(read_private_key(folder.path("none")).error().code, ErrorCode::kNotFound);
}

// The vector of the DSSE specification, protocol.md.
TEST(Dsse, EncodesAsTheSpecificationShows) {
  EXPECT_EQ(pre_authentication_encoding("http://example.com/HelloWorld", "hello world"),
            "DSSEv1 29 http://example.com/HelloWorld 11 hello world");
}

TEST(Dsse, IgnoresUnknownMembersAndTakesBothBase64Alphabets) {
  const auto envelope = parse_envelope(
      R"({"payloadType":"t","payload":"-_8","extra":1,"signatures":[{"keyid":"k","sig":"+/8=","more":[]}]})");
  ASSERT_TRUE(envelope) << envelope.error().to_log_string();
  EXPECT_EQ(envelope->payload, "\xFB\xFF");
  EXPECT_EQ(envelope->signatures.at(0).signature, "\xFB\xFF");
}

}  // namespace
}  // namespace bulkhead::bundles
