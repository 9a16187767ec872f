#include "base/secret_string.h"

#include <sodium.h>

#include <cstring>
#include <new>
#include <utility>

#include "base/bytes.h"

namespace bulkhead {

void wipe(std::span<char> secret) { sodium_memzero(secret.data(), secret.size()); }

SecretString::SecretString(std::string_view bytes) : SecretString(of_size(bytes.size())) {
  if (!bytes.empty()) std::memcpy(bytes_.get(), bytes.data(), bytes.size());
}

SecretString SecretString::of_size(std::size_t size) {
  SecretString made;
  if (size > 0) made.bytes_ = std::make_unique<char[]>(size);
  made.size_ = size;
  return made;
}

SecretString::SecretString(SecretString&& other) noexcept
    : bytes_(std::move(other.bytes_)), size_(std::exchange(other.size_, 0)) {}

SecretString& SecretString::operator=(SecretString&& other) noexcept {
  if (this == &other) return *this;
  wipe(writable());
  bytes_ = std::move(other.bytes_);
  size_ = std::exchange(other.size_, 0);
  return *this;
}

SecretString::~SecretString() { wipe(writable()); }

WipeAtExit::~WipeAtExit() { wipe(secret_); }

void* WipingMemory::do_allocate(std::size_t size, std::size_t alignment) {
  return ::operator new(size, std::align_val_t{alignment});
}

void WipingMemory::do_deallocate(void* block, std::size_t size, std::size_t alignment) {
  sodium_memzero(block, size);
  ::operator delete(block, std::align_val_t{alignment});
}

}  // namespace bulkhead
