#include "platform/kms/local_kms.h"

#include <cstring>

#include "platform/kms/aes_gcm.h"
#include "platform/kms/cbor.h"

namespace bulkhead::kms {
namespace {

constexpr std::size_t kWrappedSize = kIvSize + kKeySize + kTagSize;

std::string associated_with_key(std::string_view kid, std::string_view binding) {
  std::string out;
  append_cbor_array(out, 3);
  append_cbor_text(out, "bulkhead/local-kms");
  append_cbor_text(out, kid);
  append_cbor_text(out, binding);
  return out;
}

}  // namespace

Task<Result<WrappedKey>> LocalKms::wrap(SecretString data_key, std::string binding) {
  BH_ASSERT(data_key.size() == kKeySize);
  WrappedKey wrapped{.kid = keyring_.current_kid(), .bytes = {}};
  const SecretString* key = keyring_.find(wrapped.kid);
  BH_ASSERT(key != nullptr);
  Iv iv{};
  random_.fill(iv);
  const Sealed sealed = aes_gcm_seal(key->view(), iv, associated_with_key(wrapped.kid, binding), data_key.view());
  wrapped.bytes.append(reinterpret_cast<const char*>(iv.data()), iv.size());
  wrapped.bytes.append(sealed.ciphertext);
  wrapped.bytes.append(reinterpret_cast<const char*>(sealed.tag.data()), sealed.tag.size());
  co_return wrapped;
}

Task<Result<SecretString>> LocalKms::unwrap(WrappedKey wrapped, std::string binding) {
  const SecretString* key = keyring_.find(wrapped.kid);
  if (key == nullptr) co_return fail(ErrorCode::kKeyUnavailable, {}, "the keyring has no key " + wrapped.kid);
  if (wrapped.bytes.size() != kWrappedSize) co_return fail(ErrorCode::kEnvelopeInvalid, {}, "wrapped key: length");
  const std::string_view bytes = wrapped.bytes;
  Iv iv{};
  Tag tag{};
  std::memcpy(iv.data(), bytes.data(), kIvSize);
  std::memcpy(tag.data(), bytes.data() + kIvSize + kKeySize, kTagSize);
  auto data_key =
      aes_gcm_open(key->view(), iv, associated_with_key(wrapped.kid, binding), bytes.substr(kIvSize, kKeySize), tag);
  if (!data_key) co_return fail(ErrorCode::kEnvelopeInvalid, {}, "wrapped key: not made by " + wrapped.kid);
  co_return std::move(*data_key);
}

}  // namespace bulkhead::kms
