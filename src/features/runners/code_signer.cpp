#include "features/runners/code_signer.h"

#include <sodium.h>
#include <sys/stat.h>

#include <algorithm>

#include "base/bytes.h"
#include "platform/process/file.h"

namespace bulkhead::runners {
namespace {

constexpr std::size_t kSeedSize = 32;

Result<std::string> read_seed(const std::string& path) {
  BH_TRY(const process::UniqueFd file, process::open_for_reading(path));
  struct stat info{};
  if (::fstat(file.get(), &info) != 0 || (info.st_mode & 077) != 0) {
    return fail(ErrorCode::kInternal, "The code signing key must be readable by its owner only.", path);
  }
  BH_TRY(std::string text, process::read_all(file.get(), 256_B));
  while (!text.empty() && text.back() == '\n') text.pop_back();
  auto seed = hex_decode(text);
  wipe(text);
  if (!seed || seed->size() != kSeedSize) {
    return fail(ErrorCode::kInternal, "The code signing key is not 64 hex digits.", path);
  }
  return std::move(*seed);
}

}  // namespace

Result<CodeSigner> CodeSigner::load_or_create(const std::string& path) {
  BH_ASSERT(sodium_init() >= 0);
  auto seed = read_seed(path);
  if (!seed && seed.error().code == ErrorCode::kNotFound) {
    std::string fresh(kSeedSize, '\0');
    randombytes_buf(fresh.data(), fresh.size());
    // Two nodes may start at once on a shared disk: whoever comes second uses the first one's key.
    const auto written =
        process::write_file_atomically(path, hex_encode(fresh) + "\n", 0600, process::IfExists::kRefuse);
    wipe(fresh);
    if (!written && written.error().code != ErrorCode::kAlreadyExists) return fail(written.error());
    seed = read_seed(path);
  }
  if (!seed) return fail(std::move(seed.error()));
  CodeSigner signer;
  crypto_sign_seed_keypair(signer.public_key_.data(), signer.secret_key_.data(),
                           reinterpret_cast<const unsigned char*>(seed->data()));
  wipe(*seed);
  return signer;
}

CodeSigner::CodeSigner(CodeSigner&& other) noexcept : public_key_(other.public_key_), secret_key_(other.secret_key_) {
  sodium_memzero(other.secret_key_.data(), other.secret_key_.size());
}

CodeSigner::~CodeSigner() { sodium_memzero(secret_key_.data(), secret_key_.size()); }

void CodeSigner::sign(protocol::ModuleOffer& offer) const {
  const std::string text = protocol::module_signing_text(offer);
  offer.signature.assign(crypto_sign_BYTES, '\0');
  crypto_sign_detached(reinterpret_cast<unsigned char*>(offer.signature.data()), nullptr,
                       reinterpret_cast<const unsigned char*>(text.data()), text.size(), secret_key_.data());
}

}  // namespace bulkhead::runners
