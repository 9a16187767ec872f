#include "features/runners/code_file.h"

#include "base/byte_codec.h"
#include "base/bytes.h"
#include "base/sha256.h"

namespace bulkhead::runners {
namespace {

constexpr std::string_view kMagic = "BHCODE01";

}  // namespace

std::string code_blob_key(const ContentHash& bundle, std::string_view target, std::string_view engine_fingerprint) {
  const std::string fingerprint = ContentHash::of(engine_fingerprint).hex().substr(0, 24);
  return "sha256/" + bundle.hex() + "/cwasm/" + std::string(target) + "-" + fingerprint;
}

std::string encode_code_file(const protocol::ModuleOffer& offer, std::string_view code) {
  std::string frame;
  protocol::append_module(frame, offer);
  std::string file;
  file.reserve(kMagic.size() + 4 + frame.size() + code.size());
  ByteWriter writer(file);
  writer.raw(kMagic);
  writer.text(std::string_view(frame).substr(protocol::kFrameHeaderSize));
  writer.raw(code);
  return file;
}

Result<CodeFile> decode_code_file(std::string_view bytes, const CodeIdentity& expected,
                                  const protocol::CodePublicKey& key) {
  const auto refuse = [](std::string why) { return fail(ErrorCode::kModuleInvalid, "", std::move(why)); };
  ByteReader reader(bytes);
  if (reader.raw(kMagic.size()) != kMagic) return refuse("not a code file");
  const std::string_view header = reader.text();
  if (!reader.ok()) return refuse("truncated code file");
  BH_TRY(protocol::ModuleOffer offer, protocol::parse_module(header));
  const std::string_view code = bytes.substr(bytes.size() - reader.left());
  if (offer.content_hash != expected.content_hash || offer.target != expected.target ||
      offer.engine_fingerprint != expected.engine_fingerprint) {
    return refuse("code made for something else");
  }
  if (!protocol::verify_module_offer(offer, key)) return refuse("code is not signed by this installation");
  if (offer.code_size != code.size() || ContentHash::of(code) != offer.code_hash) return refuse("code was changed");
  return CodeFile{std::move(offer), code};
}

}  // namespace bulkhead::runners
