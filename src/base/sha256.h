// SHA-256 (FIPS 180-4), one-shot and incremental. Uses the CPU's SHA instructions through OpenSSL.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string_view>

namespace bulkhead {

using Sha256Digest = std::array<std::uint8_t, 32>;

Sha256Digest sha256(std::string_view bytes);
// HMAC-SHA-256 (RFC 2104).
Sha256Digest hmac_sha256(std::string_view key, std::string_view message);

class Sha256 {
 public:
  Sha256();
  ~Sha256();
  Sha256(Sha256&&) noexcept;
  Sha256& operator=(Sha256&&) noexcept;

  void update(std::string_view bytes);
  Sha256Digest finish();  // once

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace bulkhead
