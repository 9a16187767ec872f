#include "features/bundles/trust_bundle.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509_vfy.h>
#include <openssl/x509v3.h>

#include <algorithm>

#include "base/bytes.h"
#include "features/bundles/name.h"

namespace bulkhead::bundles {
namespace {

constexpr std::size_t kMaxPem = 64 * 1024;
constexpr std::size_t kMaxPemCertificates = 8;
constexpr int kSecurityLevel = 2;  // SSL_CTX_set_security_level(3): RSA ≥ 2048, no SHA-1

Certificate share(X509* certificate) { return {certificate, &X509_free}; }

std::string spki_id(X509& certificate) {
  // The same id as PublicKey::id, for keys of any kind (a CA's may be RSA).
  unsigned char* der = nullptr;
  const int size = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(&certificate), &der);
  if (size <= 0) return {};
  const Sha256Digest digest = sha256({reinterpret_cast<const char*>(der), static_cast<std::size_t>(size)});
  OPENSSL_free(der);
  return hex_encode({reinterpret_cast<const char*>(digest.data()), digest.size()});
}

Status check_prefixes(const TrustEntry& entry) {
  if (entry.prefixes.empty()) return fail(ErrorCode::kBadRequest, "A trust entry needs at least one name prefix.");
  for (const std::string& prefix : entry.prefixes) {
    if (const auto problem = prefix_problem(prefix)) {
      return fail(ErrorCode::kBadRequest, "The name prefix " + prefix + " " + *problem + ".");
    }
  }
  return {};
}

Result<Certificate> authority_from_pem(std::string_view pem) {
  BH_TRY(auto certificates, certificates_from_pem(pem));
  if (certificates.size() != 1) return fail(ErrorCode::kBadRequest, "A trust entry holds exactly one CA certificate.");
  if (X509_check_ca(certificates.front().get()) != 1) {
    return fail(ErrorCode::kBadRequest, "The certificate is not a CA's (basicConstraints CA:TRUE).");
  }
  return certificates.front();
}

Status add_entry(const TrustEntry& entry, TrustBundle::Parsed& parsed) {
  BH_TRY_VOID(check_prefixes(entry));
  if (entry.pem.contains("BEGIN CERTIFICATE")) {
    BH_TRY(auto certificate, authority_from_pem(entry.pem));
    parsed.authorities.push_back({entry.id, entry.prefixes, std::move(certificate)});
    return {};
  }
  BH_TRY(auto key, PublicKey::from_pem(entry.pem));
  parsed.keys.push_back({entry.id, entry.prefixes, std::move(key)});
  return {};
}

// Only what may sign code: digitalSignature where key usages are listed, codeSigning where extended ones are.
bool may_sign_code(X509& leaf) {
  const auto usage = X509_get_key_usage(&leaf);
  const auto extended = X509_get_extended_key_usage(&leaf);
  return (usage & KU_DIGITAL_SIGNATURE) != 0 && (extended & (XKU_CODE_SIGN | XKU_ANYEKU)) != 0;
}

std::unexpected<Error> untrusted(std::string why) {
  return fail(ErrorCode::kSignerUntrusted, "The signer's certificate is not trusted: " + std::move(why) + ".");
}

using Store = std::unique_ptr<X509_STORE, decltype(&X509_STORE_free)>;
using StoreContext = std::unique_ptr<X509_STORE_CTX, decltype(&X509_STORE_CTX_free)>;
struct FreeStack {
  void operator()(STACK_OF(X509) * stack) const { sk_X509_free(stack); }
};

Store make_store(const TrustBundle::Parsed& trust) {
  Store store(X509_STORE_new(), &X509_STORE_free);
  for (const auto& authority : trust.authorities) X509_STORE_add_cert(store.get(), authority.certificate.get());
  return store;
}

void set_parameters(X509_STORE_CTX& context, std::optional<UtcMicros> at) {
  X509_VERIFY_PARAM* parameters = X509_STORE_CTX_get0_param(&context);
  // Whatever CA the operator trusts ends a chain, self-signed or not.
  X509_VERIFY_PARAM_set_flags(parameters, X509_V_FLAG_PARTIAL_CHAIN | X509_V_FLAG_X509_STRICT);
  X509_VERIFY_PARAM_set_auth_level(parameters, kSecurityLevel);
  X509_VERIFY_PARAM_set_depth(parameters, static_cast<int>(kMaxPemCertificates));
  if (at) {
    X509_VERIFY_PARAM_set_time(parameters, static_cast<time_t>(at->value / 1'000'000));
  } else {
    X509_VERIFY_PARAM_set_flags(parameters, X509_V_FLAG_NO_CHECK_TIME);
  }
}

const TrustBundle::Parsed::Authority* authority_of(const TrustBundle::Parsed& trust, STACK_OF(X509) * chain) {
  X509* top = sk_X509_value(chain, sk_X509_num(chain) - 1);
  const auto at = std::ranges::find_if(
      trust.authorities, [top](const auto& authority) { return X509_cmp(authority.certificate.get(), top) == 0; });
  return at == trust.authorities.end() ? nullptr : &*at;
}

}  // namespace

TrustBundle::TrustBundle() : parsed_(std::make_shared<const Parsed>()) {}

Result<TrustBundle> TrustBundle::make(const std::vector<TrustEntry>& entries, std::vector<std::string> revoked) {
  auto parsed = std::make_shared<Parsed>();
  for (const TrustEntry& entry : entries) BH_TRY_VOID(add_entry(entry, *parsed));
  parsed->revoked.insert(revoked.begin(), revoked.end());
  TrustBundle bundle;
  bundle.parsed_ = std::move(parsed);
  return bundle;
}

TrustBundle TrustBundle::accepting_unsigned(TrustBundle base) {
  auto parsed = std::make_shared<Parsed>(*base.parsed_);
  parsed->unsigned_accepted = true;
  base.parsed_ = std::move(parsed);
  return base;
}

Result<std::string> trust_entry_key_id(const TrustEntry& entry) {
  TrustBundle::Parsed parsed;
  BH_TRY_VOID(add_entry(entry, parsed));
  if (!parsed.keys.empty()) return parsed.keys.front().key.id();
  return spki_id(*parsed.authorities.front().certificate);
}

Result<Certificate> certificate_from_der(std::string_view der) {
  const auto* bytes = reinterpret_cast<const unsigned char*>(der.data());
  const auto* end = bytes;
  X509* certificate = d2i_X509(nullptr, &end, static_cast<long>(der.size()));
  ERR_clear_error();
  if (certificate == nullptr) return fail(ErrorCode::kSignatureInvalid, "A certificate in the envelope can't be read.");
  auto shared = share(certificate);
  if (end != bytes + der.size()) return fail(ErrorCode::kSignatureInvalid, "A certificate has data behind its end.");
  return shared;
}

Result<std::vector<Certificate>> certificates_from_pem(std::string_view pem) {
  std::vector<Certificate> certificates;
  if (pem.size() <= kMaxPem) {
    const std::unique_ptr<BIO, decltype(&BIO_free)> bio(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())),
                                                        &BIO_free);
    while (certificates.size() <= kMaxPemCertificates) {
      X509* certificate = PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr);
      if (certificate == nullptr) break;
      certificates.push_back(share(certificate));
    }
  }
  ERR_clear_error();
  if (certificates.empty() || certificates.size() > kMaxPemCertificates) {
    return fail(ErrorCode::kBadRequest, "That is not a PEM file of one to eight certificates.");
  }
  return certificates;
}

std::string certificate_to_der(X509& certificate) {
  unsigned char* der = nullptr;
  const int size = i2d_X509(&certificate, &der);
  BH_ASSERT(size > 0);
  std::string bytes(reinterpret_cast<const char*>(der), static_cast<std::size_t>(size));
  OPENSSL_free(der);
  return bytes;
}

std::string subject_of(X509& certificate) {
  const std::unique_ptr<BIO, decltype(&BIO_free)> bio(BIO_new(BIO_s_mem()), &BIO_free);
  X509_NAME_print_ex(bio.get(), X509_get_subject_name(&certificate), 0, XN_FLAG_RFC2253);
  char* text = nullptr;
  const auto size = BIO_get_mem_data(bio.get(), &text);
  return {text, static_cast<std::size_t>(size)};
}

Result<ChainSigner> verify_chain(const std::vector<std::string>& certificates, const TrustBundle::Parsed& trust,
                                 std::optional<UtcMicros> at) {
  std::vector<Certificate> given;
  for (const std::string& der : certificates) {
    BH_TRY(auto certificate, certificate_from_der(der));
    given.push_back(std::move(certificate));
  }
  if (given.empty()) return untrusted("there is none");
  const std::unique_ptr<STACK_OF(X509), FreeStack> intermediates(sk_X509_new_null());
  for (std::size_t i = 1; i < given.size(); ++i) sk_X509_push(intermediates.get(), given[i].get());
  const Store store = make_store(trust);
  const StoreContext context(X509_STORE_CTX_new(), &X509_STORE_CTX_free);
  BH_ASSERT(X509_STORE_CTX_init(context.get(), store.get(), given.front().get(), intermediates.get()) == 1);
  set_parameters(*context, at);
  const int outcome = X509_verify_cert(context.get());
  ERR_clear_error();
  if (outcome != 1) return untrusted(X509_verify_cert_error_string(X509_STORE_CTX_get_error(context.get())));
  if (!may_sign_code(*given.front())) return untrusted("it may not sign code");

  STACK_OF(X509)* chain = X509_STORE_CTX_get0_chain(context.get());
  for (int i = 0; i < sk_X509_num(chain); ++i) {
    if (trust.revoked.contains(spki_id(*sk_X509_value(chain, i)))) return untrusted("a key of its chain is revoked");
  }
  const auto* authority = authority_of(trust, chain);
  if (authority == nullptr) return untrusted("its chain ends elsewhere");
  EVP_PKEY* key = X509_get_pubkey(given.front().get());
  ERR_clear_error();
  if (key == nullptr) return untrusted("its key can't be read");
  auto leaf_key = PublicKey::from_handle(std::shared_ptr<EVP_PKEY>(key, &EVP_PKEY_free));
  if (!leaf_key) return untrusted("its key is neither Ed25519 nor ECDSA P-256");
  return ChainSigner{std::move(*leaf_key), subject_of(*given.front()), authority};
}

}  // namespace bulkhead::bundles
