#include "base/random.h"

#include <sodium.h>

#include <cstring>

#include "base/error.h"

namespace bulkhead {

std::uint64_t Random::below(std::uint64_t bound) {
  BH_ASSERT(bound > 0);
  const std::uint64_t limit = UINT64_MAX - UINT64_MAX % bound;
  std::uint64_t value = 0;
  do {
    fill({reinterpret_cast<std::uint8_t*>(&value), sizeof value});
  } while (value >= limit);
  return value % bound;
}

SystemRandom::SystemRandom() { BH_ASSERT(sodium_init() >= 0); }

void SystemRandom::fill(std::span<std::uint8_t> out) {
  if (out.size() > buffer_.size()) {
    randombytes_buf(out.data(), out.size());
    return;
  }
  if (buffer_.size() - used_ < out.size()) refill();
  std::memcpy(out.data(), buffer_.data() + used_, out.size());
  sodium_memzero(buffer_.data() + used_, out.size());
  used_ += out.size();
}

void SystemRandom::refill() {
  randombytes_buf(buffer_.data(), buffer_.size());
  used_ = 0;
}

void SeededRandom::fill(std::span<std::uint8_t> out) {
  for (auto& byte : out) {  // SplitMix64
    std::uint64_t z = (state_ += 0x9e3779b97f4a7c15ULL);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
    byte = static_cast<std::uint8_t>((z ^ (z >> 31)) & 0xff);
  }
}

}  // namespace bulkhead
