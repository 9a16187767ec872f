// Memory for secrets: zeroed before it is given back, so that a core dump, a swapped page or a later allocation does
// not show them.
//
// SecretString owns bytes on the heap, can be moved but not copied by accident, and has no operator<< and no JSON form:
// it can't get into a log line. WipingMemory is the same for a JSON document that holds a secret. Plain values; what is
// copied out of them (into a std::string, say) is the copier's to wipe.
#pragma once

#include <boost/json/memory_resource.hpp>
#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <string_view>

namespace bulkhead {

// Overwrites with zeros in a way the compiler can't remove.
void wipe(std::span<char> secret);

class SecretString {
 public:
  SecretString() = default;
  explicit SecretString(std::string_view bytes);
  // `size` zero bytes, to be written through `writable`.
  static SecretString of_size(std::size_t size);
  SecretString(SecretString&& other) noexcept;
  SecretString& operator=(SecretString&& other) noexcept;
  ~SecretString();

  SecretString copy() const { return SecretString(view()); }
  std::string_view view() const { return {bytes_.get(), size_}; }
  std::span<char> writable() { return {bytes_.get(), size_}; }
  std::size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }

 private:
  std::unique_ptr<char[]> bytes_;
  std::size_t size_ = 0;
};

// Wipes a std::string that must hold a secret for a while, whatever way the scope is left.
class WipeAtExit {
 public:
  explicit WipeAtExit(std::string& secret) : secret_(secret) {}
  ~WipeAtExit();
  WipeAtExit(const WipeAtExit&) = delete;
  WipeAtExit& operator=(const WipeAtExit&) = delete;

 private:
  std::string& secret_;
};

// Heap memory of a JSON document, wiped block by block as it is freed. It outlives the document.
class WipingMemory final : public boost::json::memory_resource {
 private:
  void* do_allocate(std::size_t size, std::size_t alignment) override;
  void do_deallocate(void* block, std::size_t size, std::size_t alignment) override;
  bool do_is_equal(const boost::json::memory_resource& other) const noexcept override { return this == &other; }
};

}  // namespace bulkhead
