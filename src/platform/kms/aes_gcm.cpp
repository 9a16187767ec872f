#include "platform/kms/aes_gcm.h"

#include <openssl/evp.h>

#include <climits>
#include <memory>

#include "base/error.h"

namespace bulkhead::kms {
namespace {

// Looked up once: an implicit fetch at every call costs more than the encryption of a short value.
const EVP_CIPHER* cipher() {
  static const EVP_CIPHER* const the_cipher = EVP_CIPHER_fetch(nullptr, "AES-256-GCM", nullptr);
  BH_ASSERT(the_cipher != nullptr);
  return the_cipher;
}

struct FreeContext {
  void operator()(EVP_CIPHER_CTX* context) const { EVP_CIPHER_CTX_free(context); }  // wipes the key schedule
};
using Context = std::unique_ptr<EVP_CIPHER_CTX, FreeContext>;

const unsigned char* in(std::string_view bytes) { return reinterpret_cast<const unsigned char*>(bytes.data()); }

int size_of(std::string_view bytes) {
  BH_ASSERT(bytes.size() <= INT_MAX);
  return static_cast<int>(bytes.size());
}

}  // namespace

Sealed aes_gcm_seal(std::string_view key, const Iv& iv, std::string_view associated, std::string_view plaintext) {
  BH_ASSERT(key.size() == kKeySize);
  const Context context(EVP_CIPHER_CTX_new());
  Sealed sealed;
  sealed.ciphertext.resize(plaintext.size());
  auto* out = reinterpret_cast<unsigned char*>(sealed.ciphertext.data());
  int size = 0;
  // With a valid key and context these fail only when memory is out.
  BH_ASSERT(context != nullptr);
  BH_ASSERT(EVP_EncryptInit_ex2(context.get(), cipher(), in(key), iv.data(), nullptr) == 1);
  BH_ASSERT(EVP_EncryptUpdate(context.get(), nullptr, &size, in(associated), size_of(associated)) == 1);
  BH_ASSERT(EVP_EncryptUpdate(context.get(), out, &size, in(plaintext), size_of(plaintext)) == 1);
  BH_ASSERT(EVP_EncryptFinal_ex(context.get(), out + size, &size) == 1);
  BH_ASSERT(EVP_CIPHER_CTX_ctrl(context.get(), EVP_CTRL_AEAD_GET_TAG, kTagSize, sealed.tag.data()) == 1);
  return sealed;
}

std::optional<SecretString> aes_gcm_open(std::string_view key, const Iv& iv, std::string_view associated,
                                         std::string_view ciphertext, const Tag& tag) {
  BH_ASSERT(key.size() == kKeySize);
  const Context context(EVP_CIPHER_CTX_new());
  SecretString plaintext = SecretString::of_size(ciphertext.size());
  auto* out = reinterpret_cast<unsigned char*>(plaintext.writable().data());
  Tag expected = tag;
  int size = 0;
  BH_ASSERT(context != nullptr);
  BH_ASSERT(EVP_DecryptInit_ex2(context.get(), cipher(), in(key), iv.data(), nullptr) == 1);
  BH_ASSERT(EVP_DecryptUpdate(context.get(), nullptr, &size, in(associated), size_of(associated)) == 1);
  BH_ASSERT(EVP_DecryptUpdate(context.get(), out, &size, in(ciphertext), size_of(ciphertext)) == 1);
  BH_ASSERT(EVP_CIPHER_CTX_ctrl(context.get(), EVP_CTRL_AEAD_SET_TAG, kTagSize, expected.data()) == 1);
  if (EVP_DecryptFinal_ex(context.get(), out + size, &size) != 1) return std::nullopt;
  return plaintext;
}

}  // namespace bulkhead::kms
