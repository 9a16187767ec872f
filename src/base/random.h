// Randomness as a port: the system's CSPRNG in production, a seeded sequence in tests.
#pragma once

#include <array>
#include <cstdint>
#include <span>

namespace bulkhead {

class Random {
 public:
  virtual ~Random() = default;
  virtual void fill(std::span<std::uint8_t> out) = 0;

  // Uniform in [0, bound). bound > 0.
  std::uint64_t below(std::uint64_t bound);
};

// ChaCha20 keyed from the kernel (libsodium), buffered per instance: ~20 ns an id. One instance per thread.
class SystemRandom final : public Random {
 public:
  SystemRandom();
  void fill(std::span<std::uint8_t> out) override;

 private:
  void refill();
  std::array<std::uint8_t, 1024> buffer_{};
  std::size_t used_ = 1024;
};

// The same bytes for the same seed. For tests.
class SeededRandom final : public Random {
 public:
  explicit SeededRandom(std::uint64_t seed) : state_(seed) {}
  void fill(std::span<std::uint8_t> out) override;

 private:
  std::uint64_t state_;
};

}  // namespace bulkhead
