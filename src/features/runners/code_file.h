// The cached form of compiled code: a signed ModuleOffer in front of Wasmtime's serialized module. Kept in the blob
// store beside the bundle (contracts/extensions.md §1, `sha256/<hex>/cwasm/…`), where anybody with access to the store
// could swap it: nothing of it is believed before the signature and the code's hash have been checked.
#pragma once

#include <string>
#include <string_view>

#include "base/error.h"
#include "protocol/frames.h"
#include "protocol/module_signature.h"

namespace bulkhead::runners {

// Blob key of the code of `bundle` for an engine. The fingerprint is hashed into a file name.
std::string code_blob_key(const ContentHash& bundle, std::string_view target, std::string_view engine_fingerprint);

std::string encode_code_file(const protocol::ModuleOffer& offer, std::string_view code);

struct CodeFile {
  protocol::ModuleOffer offer;
  std::string_view code;  // into the bytes that were decoded
};
// kModuleInvalid: malformed, made for another bundle, target or engine, changed, or not signed by `key`. Whether
// offer.wasm_hash is the bundle's module is for the caller to compare.
struct CodeIdentity {
  ContentHash content_hash;
  std::string target;
  std::string engine_fingerprint;
};
Result<CodeFile> decode_code_file(std::string_view bytes, const CodeIdentity& expected,
                                  const protocol::CodePublicKey& key);

}  // namespace bulkhead::runners
