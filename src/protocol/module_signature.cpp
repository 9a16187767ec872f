#include "protocol/module_signature.h"

#include <sodium.h>

#include "base/byte_codec.h"

namespace bulkhead::protocol {
namespace {

std::string_view hash_bytes(const ContentHash& hash) {
  return {reinterpret_cast<const char*>(hash.bytes().data()), hash.bytes().size()};
}

}  // namespace

std::string module_signing_text(const ModuleOffer& offer) {
  std::string text;
  ByteWriter writer(text);
  writer.text("bulkhead-cwasm-v1");
  writer.raw(hash_bytes(offer.content_hash));
  writer.raw(hash_bytes(offer.wasm_hash));
  writer.raw(hash_bytes(offer.code_hash));
  writer.text(offer.target);
  writer.text(offer.engine_fingerprint);
  writer.number(offer.code_size);
  return text;
}

bool verify_module_offer(const ModuleOffer& offer, const CodePublicKey& key) {
  if (offer.signature.size() != crypto_sign_BYTES) return false;
  const std::string text = module_signing_text(offer);
  return crypto_sign_verify_detached(reinterpret_cast<const unsigned char*>(offer.signature.data()),
                                     reinterpret_cast<const unsigned char*>(text.data()), text.size(), key.data()) == 0;
}

}  // namespace bulkhead::protocol
