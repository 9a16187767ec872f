// Finds the endpoint of a version that a method and path mean (contracts/extensions.md §1 `api.endpoints`, §4).
// A literal segment wins over a parameter; the manifest's validator has refused ambiguous sets. Pure.
#pragma once

#include <string>
#include <string_view>

#include "features/extensions/installed.h"
#include "platform/net/http.h"

namespace bulkhead::gateway {

class MethodSet {
 public:
  void add(net::Method method) { bits_ |= bit(method); }
  bool contains(net::Method method) const { return (bits_ & bit(method)) != 0; }
  bool empty() const { return bits_ == 0; }
  // "GET, HEAD, OPTIONS", sorted: for the Allow header.
  std::string to_string() const;

 private:
  static unsigned bit(net::Method method) { return 1U << static_cast<unsigned>(method); }
  unsigned bits_ = 0;
};

struct EndpointMatch {
  const extensions::Endpoint* endpoint = nullptr;  // null: see `allowed`
  protocol::StringPairs params;                    // decoded
  std::string path;                                // decoded, with a leading slash: what the guest is told
  // Methods of the endpoints whose path matches, HEAD beside GET, and OPTIONS; empty = no such path (404).
  MethodSet allowed;
};

// `path` is what follows /api/ext/{extension}, still percent-encoded, with or without its leading slash. HEAD matches
// GET. kInvalidPath: a bad escape, an encoded slash, or a dot segment in a parameter.
Result<EndpointMatch> match_endpoint(const extensions::RunnableVersion& version, net::Method method,
                                     std::string_view path);

}  // namespace bulkhead::gateway
