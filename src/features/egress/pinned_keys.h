// PinnedKeys: the public keys that the operator expects of some hosts (contracts/extensions.md §3, Host HTTP). A pinned
// host is reached by https only, and only while it shows one of its keys, whoever signed its certificate. Immutable
// once made; safe to share between threads.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace bulkhead::egress {

class PinnedKeys {
 public:
  // "api.example.com=sha256//BASE64" (of the SHA-256 of the key's SubjectPublicKeyInfo, RFC 7469 §2.4), several pins
  // separated by ";". kUnprocessable: not of that form, or a host twice.
  static Result<PinnedKeys> parse(const std::vector<std::string>& lines);

  // As the HTTP client wants it; empty for a host without pins. `host` in lower case.
  std::string_view of(const std::string& host) const;

 private:
  std::map<std::string, std::string> pins_;  // by host
};

}  // namespace bulkhead::egress
