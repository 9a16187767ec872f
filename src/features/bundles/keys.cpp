#include "features/bundles/keys.h"

#include <fcntl.h>
#include <openssl/bio.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/objects.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "base/bytes.h"
#include "base/sha256.h"

namespace bulkhead::bundles {
namespace {

constexpr std::size_t kMaxPem = 16 * 1024;

using Bio = std::unique_ptr<BIO, decltype(&BIO_free)>;
using DigestContext = std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)>;

Bio read_from(std::string_view text) {
  return {BIO_new_mem_buf(text.data(), static_cast<int>(text.size())), &BIO_free};
}
Bio write_to_memory() { return {BIO_new(BIO_s_mem()), &BIO_free}; }

std::string contents(BIO* bio) {
  char* bytes = nullptr;
  const auto size = BIO_get_mem_data(bio, &bytes);
  return {bytes, static_cast<std::size_t>(size)};
}

// An encrypted key must fail here, not ask on the terminal.
int no_password(char*, int, int, void*) { return -1; }

std::shared_ptr<EVP_PKEY> share(EVP_PKEY* key) { return {key, &EVP_PKEY_free}; }

Result<KeyKind> kind_of(const EVP_PKEY* key) {
  if (EVP_PKEY_is_a(key, "ED25519") == 1) return KeyKind::kEd25519;
  std::array<char, 64> group{};
  std::size_t size = 0;
  if (EVP_PKEY_is_a(key, "EC") == 1 && EVP_PKEY_get_group_name(key, group.data(), group.size(), &size) == 1 &&
      std::string_view(group.data(), size) == SN_X9_62_prime256v1) {
    return KeyKind::kEcdsaP256;
  }
  return fail(ErrorCode::kBadRequest, "The key is of another kind; use Ed25519 or ECDSA P-256.");
}

const EVP_MD* digest_for(KeyKind kind) { return kind == KeyKind::kEcdsaP256 ? EVP_sha256() : nullptr; }

const unsigned char* as_unsigned(std::string_view text) { return reinterpret_cast<const unsigned char*>(text.data()); }

}  // namespace

std::string_view to_string(KeyKind kind) { return kind == KeyKind::kEd25519 ? "ed25519" : "ecdsa-p256"; }

Result<PublicKey> PublicKey::from_handle(std::shared_ptr<EVP_PKEY> key) {
  PublicKey made;
  BH_TRY(made.kind_, kind_of(key.get()));
  unsigned char* der = nullptr;
  const int size = i2d_PUBKEY(key.get(), &der);
  BH_ASSERT(size > 0);
  const Sha256Digest digest = sha256({reinterpret_cast<const char*>(der), static_cast<std::size_t>(size)});
  OPENSSL_free(der);
  made.id_ = hex_encode({reinterpret_cast<const char*>(digest.data()), digest.size()});
  made.key_ = std::move(key);
  return made;
}

Result<PublicKey> PublicKey::from_pem(std::string_view pem) {
  EVP_PKEY* key =
      pem.size() > kMaxPem ? nullptr : PEM_read_bio_PUBKEY(read_from(pem).get(), nullptr, &no_password, nullptr);
  ERR_clear_error();
  if (key == nullptr) return fail(ErrorCode::kBadRequest, "That is not a PEM public key.");
  return from_handle(share(key));
}

std::string PublicKey::to_pem() const {
  const Bio out = write_to_memory();
  BH_ASSERT(PEM_write_bio_PUBKEY(out.get(), key_.get()) == 1);
  return contents(out.get());
}

bool PublicKey::verifies(std::string_view message, std::string_view signature) const {
  const DigestContext context(EVP_MD_CTX_new(), &EVP_MD_CTX_free);
  const bool good = EVP_DigestVerifyInit(context.get(), nullptr, digest_for(kind_), nullptr, key_.get()) == 1 &&
                    EVP_DigestVerify(context.get(), as_unsigned(signature), signature.size(), as_unsigned(message),
                                     message.size()) == 1;
  ERR_clear_error();
  return good;
}

PrivateKey PrivateKey::generate(KeyKind kind) {
  EVP_PKEY* key = kind == KeyKind::kEd25519 ? EVP_PKEY_Q_keygen(nullptr, nullptr, "ED25519")
                                            : EVP_PKEY_Q_keygen(nullptr, nullptr, "EC", "P-256");
  BH_ASSERT(key != nullptr);
  auto shared = share(key);
  auto public_key = PublicKey::from_handle(shared);
  BH_ASSERT(public_key.has_value());
  return {std::move(shared), std::move(*public_key)};
}

Result<PrivateKey> PrivateKey::from_pem(std::string_view pem) {
  EVP_PKEY* key =
      pem.size() > kMaxPem ? nullptr : PEM_read_bio_PrivateKey(read_from(pem).get(), nullptr, &no_password, nullptr);
  ERR_clear_error();
  if (key == nullptr) return fail(ErrorCode::kBadRequest, "That is not an unencrypted PEM private key.");
  auto shared = share(key);
  BH_TRY(auto public_key, PublicKey::from_handle(shared));
  return PrivateKey(std::move(shared), std::move(public_key));
}

std::string PrivateKey::to_pem() const {
  const Bio out = write_to_memory();
  BH_ASSERT(PEM_write_bio_PKCS8PrivateKey(out.get(), key_.get(), nullptr, nullptr, 0, nullptr, nullptr) == 1);
  return contents(out.get());
}

std::string PrivateKey::sign(std::string_view message) const {
  const DigestContext context(EVP_MD_CTX_new(), &EVP_MD_CTX_free);
  BH_ASSERT(EVP_DigestSignInit(context.get(), nullptr, digest_for(public_key_.kind()), nullptr, key_.get()) == 1);
  std::size_t size = 0;
  BH_ASSERT(EVP_DigestSign(context.get(), nullptr, &size, as_unsigned(message), message.size()) == 1);
  std::string signature(size, '\0');
  BH_ASSERT(EVP_DigestSign(context.get(), reinterpret_cast<unsigned char*>(signature.data()), &size,
                           as_unsigned(message), message.size()) == 1);
  signature.resize(size);
  return signature;
}

Status write_private_key(const std::string& path, const PrivateKey& key) {
  const int file = ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (file < 0) {
    return fail(
        errno == EEXIST ? ErrorCode::kAlreadyExists : ErrorCode::kInternal,
        errno == EEXIST ? "The key file exists already; keys are never overwritten." : "The key can't be written.",
        path + ": " + std::strerror(errno));
  }
  std::string pem = key.to_pem();
  const bool written = ::write(file, pem.data(), pem.size()) == static_cast<ssize_t>(pem.size()) && ::fsync(file) == 0;
  wipe(pem);
  ::close(file);
  if (written) return {};
  ::unlink(path.c_str());
  return fail(ErrorCode::kStorageFull, "The key can't be written.", path);
}

Result<PrivateKey> read_private_key(const std::string& path) {
  const int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (file < 0) return fail(ErrorCode::kNotFound, "The key file can't be opened.", path + ": " + std::strerror(errno));
  struct stat info{};
  const bool is_file = ::fstat(file, &info) == 0 && S_ISREG(info.st_mode);
  if (!is_file || (info.st_mode & 077U) != 0) {
    ::close(file);
    return is_file ? fail(ErrorCode::kForbidden, "Others may read the key file; run chmod 600 on it.", path)
                   : fail(ErrorCode::kBadRequest, "The key is not a file.", path);
  }
  std::string pem(kMaxPem, '\0');
  const ssize_t got = ::read(file, pem.data(), pem.size());
  ::close(file);
  auto key = PrivateKey::from_pem(std::string_view(pem).substr(0, got > 0 ? static_cast<std::size_t>(got) : 0));
  wipe(pem);
  return key;
}

}  // namespace bulkhead::bundles
