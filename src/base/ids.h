// Strong ids. Each kind of id is its own type, so a tenant id can't be passed for an install id.
//
// Organization, extension (registry) and install ids are UUIDv4, because their first hex digits name domains
// (extensions.md §1); all other ids are UUIDv7, which sort by creation time. Text form: lower-case 8-4-4-4-12.
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "base/random.h"
#include "base/time.h"

namespace bulkhead {

class Uuid {
 public:
  constexpr Uuid() = default;
  static Uuid v4(Random& random);
  // RFC 9562 §5.7: 48-bit Unix milliseconds, then random bits.
  static Uuid v7(UtcMicros now, Random& random);
  // Accepts exactly the 36-character form, either case.
  static std::optional<Uuid> parse(std::string_view text);

  std::string to_string() const;
  const std::array<std::uint8_t, 16>& bytes() const { return bytes_; }
  static Uuid from_bytes(const std::array<std::uint8_t, 16>& bytes) {
    Uuid id;
    id.bytes_ = bytes;
    return id;
  }
  bool is_nil() const { return bytes_ == std::array<std::uint8_t, 16>{}; }
  constexpr auto operator<=>(const Uuid&) const = default;

 private:
  std::array<std::uint8_t, 16> bytes_{};
};

// A Uuid of one kind. `Tag` is only a name.
template <typename Tag>
class Id {
 public:
  constexpr Id() = default;
  constexpr explicit Id(Uuid uuid) : uuid_(uuid) {}
  static std::optional<Id> parse(std::string_view text) {
    const auto uuid = Uuid::parse(text);
    if (!uuid) return std::nullopt;
    return Id(*uuid);
  }
  static Id v4(Random& random) { return Id(Uuid::v4(random)); }
  static Id v7(UtcMicros now, Random& random) { return Id(Uuid::v7(now, random)); }

  const Uuid& uuid() const { return uuid_; }
  std::string to_string() const { return uuid_.to_string(); }
  bool is_nil() const { return uuid_.is_nil(); }
  constexpr auto operator<=>(const Id&) const = default;

 private:
  Uuid uuid_;
};

using TenantId = Id<struct TenantTag>;        // an organization's id
using ExtensionId = Id<struct ExtensionTag>;  // extension_registry.id
using VersionId = Id<struct VersionTag>;      // extension_version.id
using InstallId = Id<struct InstallTag>;      // tenant_extension_install.id
using ApiKeyId = Id<struct ApiKeyTag>;
using ExecutionId = Id<struct ExecutionTag>;  // one run of a guest; extension_execution_log.id
using EventId = Id<struct EventTag>;          // an outbox row
using AuditId = Id<struct AuditTag>;
using TrustEntryId = Id<struct TrustEntryTag>;

// 128 random bits that name one execution to the broker and nothing else (extensions.md §3). Never logged.
class ExecutionHandle {
 public:
  constexpr ExecutionHandle() = default;
  static ExecutionHandle random(Random& random);
  static ExecutionHandle from_bytes(const std::array<std::uint8_t, 16>& bytes) {
    ExecutionHandle handle;
    handle.bytes_ = bytes;
    return handle;
  }
  const std::array<std::uint8_t, 16>& bytes() const { return bytes_; }
  constexpr auto operator<=>(const ExecutionHandle&) const = default;

 private:
  std::array<std::uint8_t, 16> bytes_{};
};

// SHA-256 of a bundle (or of any content): "sha256:<64 hex>" (extensions.md §1).
class ContentHash {
 public:
  constexpr ContentHash() = default;
  static ContentHash of(std::string_view bytes);
  static ContentHash from_bytes(const std::array<std::uint8_t, 32>& bytes) {
    ContentHash hash;
    hash.bytes_ = bytes;
    return hash;
  }
  // Accepts "sha256:<64 hex>" and the bare 64 hex digits.
  static std::optional<ContentHash> parse(std::string_view text);
  std::string to_string() const;  // "sha256:<64 hex>"
  std::string hex() const;        // the bare hex
  const std::array<std::uint8_t, 32>& bytes() const { return bytes_; }
  constexpr auto operator<=>(const ContentHash&) const = default;

 private:
  std::array<std::uint8_t, 32> bytes_{};
};

}  // namespace bulkhead

template <>
struct std::hash<bulkhead::Uuid> {
  std::size_t operator()(const bulkhead::Uuid& id) const noexcept {
    return std::hash<std::string_view>{}({reinterpret_cast<const char*>(id.bytes().data()), 16});
  }
};
template <typename Tag>
struct std::hash<bulkhead::Id<Tag>> {
  std::size_t operator()(const bulkhead::Id<Tag>& id) const noexcept { return std::hash<bulkhead::Uuid>{}(id.uuid()); }
};
template <>
struct std::hash<bulkhead::ExecutionHandle> {
  std::size_t operator()(const bulkhead::ExecutionHandle& handle) const noexcept {
    return std::hash<std::string_view>{}({reinterpret_cast<const char*>(handle.bytes().data()), 16});
  }
};
template <>
struct std::hash<bulkhead::ContentHash> {
  std::size_t operator()(const bulkhead::ContentHash& hash) const noexcept {
    return std::hash<std::string_view>{}({reinterpret_cast<const char*>(hash.bytes().data()), 32});
  }
};
