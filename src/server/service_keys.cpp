#include "server/service_keys.h"

#include <algorithm>

#include "base/bytes.h"
#include "platform/process/file.h"

namespace bulkhead::server {
namespace {

// Hex of the secret key, whose second half is the public key.
Result<ServiceKeys> read_keys(const std::string& path) {
  BH_TRY(std::string text, process::read_file(path, 1_KiB));
  while (text.ends_with('\n')) text.pop_back();
  auto bytes = hex_decode(text);
  wipe(text);
  ServiceKeys keys{};
  if (!bytes || bytes->size() != keys.secret_key.size()) {
    return fail(ErrorCode::kInternal, "The service key file is malformed.", path);
  }
  std::copy(bytes->begin(), bytes->end(), keys.secret_key.begin());
  std::copy(bytes->begin() + 32, bytes->end(), keys.public_key.begin());
  wipe(*bytes);
  return keys;
}

}  // namespace

Result<ServiceKeys> load_or_create_service_keys(const std::string& path) {
  auto keys = read_keys(path);
  if (keys || keys.error().code != ErrorCode::kNotFound) return keys;
  SystemRandom random;
  const ServiceKeys fresh = make_service_keys(random);
  std::string text =
      hex_encode({reinterpret_cast<const char*>(fresh.secret_key.data()), fresh.secret_key.size()}) + "\n";
  const auto written = process::write_file_atomically(path, text, 0600, process::IfExists::kRefuse);
  wipe(text);
  if (!written && written.error().code != ErrorCode::kAlreadyExists) return fail(written.error());
  return read_keys(path);
}

}  // namespace bulkhead::server
