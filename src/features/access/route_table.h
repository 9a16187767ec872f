// The joined route table: all rooms' routes compiled into a segment trie. Built once at start, then read by every core.
//
// A path is matched segment by segment: a literal wins over `:name`, `:name` over `*name`, and where a choice leads
// nowhere the next one is tried. The most specific path that exists decides; if it lacks the method, the answer is 405.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "features/access/route.h"

namespace bulkhead::access {

class RouteTable {
 public:
  static constexpr std::size_t kMaxParams = 8;
  // kConflict names the problem: two routes for one method and path shape, a malformed pattern, a missing handler, a
  // public route without a reason.
  static Result<RouteTable> build(Routes routes);

  struct Match {
    // Null when there is none; then `allow` tells a known path (405, or OPTIONS) from an unknown one ("").
    const Route* route = nullptr;
    std::size_t index = 0;                                // into routes()
    std::string_view allow;                               // "GET, HEAD, POST, OPTIONS"
    std::array<std::string_view, kMaxParams> captured{};  // raw, in the pattern's order
  };
  // `path` without the query. HEAD falls back to GET.
  Match match(net::Method method, std::string_view path) const;
  // Names and values of the captures, `:name` decoded. kBadRequest for a bad escape.
  Result<std::vector<std::pair<std::string, std::string>>> params(const Match& match) const;

  const Routes& routes() const { return routes_; }

 private:
  static constexpr std::uint32_t kNone = UINT32_MAX;
  static constexpr std::size_t kMethods = 8;
  struct Leaf {
    std::array<std::uint32_t, kMethods> route_of_method;
    std::string allow;
  };
  struct Node {
    std::vector<std::pair<std::string, std::uint32_t>> literals;  // segment → node
    std::uint32_t param = kNone;                                  // node
    std::uint32_t end = kNone;                                    // leaf of patterns that end here
    std::uint32_t rest = kNone;                                   // leaf of patterns that end in `*name` here
  };
  struct Param {
    std::string name;
    bool rest = false;
  };
  using Captured = std::array<std::string_view, kMaxParams>;
  Status add(std::uint32_t index);
  Result<std::uint32_t> leaf_for(const Route& route, std::vector<Param>& params);
  void write_allow_texts();
  std::uint32_t find(std::uint32_t node, std::string_view rest, Captured& captured, std::size_t depth) const;

  Routes routes_;
  std::vector<std::vector<Param>> params_;  // by route
  std::vector<Node> nodes_;
  std::vector<Leaf> leaves_;
};

}  // namespace bulkhead::access
