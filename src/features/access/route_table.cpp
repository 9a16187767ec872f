#include "features/access/route_table.h"

#include <algorithm>

namespace bulkhead::access {
namespace {

std::size_t slot(net::Method method) { return static_cast<std::size_t>(method); }

bool is_param_name(std::string_view name) {
  return !name.empty() &&
         std::ranges::all_of(name, [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_'; });
}

std::unexpected<Error> malformed(const Route& route, std::string_view why) {
  return fail(ErrorCode::kConflict,
              "The route " + std::string(net::to_string(route.method)) + " " + route.pattern + " " + std::string(why));
}

}  // namespace

Result<RouteTable> RouteTable::build(Routes routes) {
  RouteTable table;
  table.routes_ = std::move(routes);
  table.params_.resize(table.routes_.size());
  table.nodes_.emplace_back();
  for (std::uint32_t i = 0; i < table.routes_.size(); ++i) BH_TRY_VOID(table.add(i));
  table.write_allow_texts();
  return table;
}

Status RouteTable::add(std::uint32_t index) {
  const Route& route = routes_[index];
  if (!route.handler) return malformed(route, "has no handler.");
  if (route.method == net::Method::kOther) return malformed(route, "has no known method.");
  if (const auto* reason = std::get_if<Route::Public>(&route.access); reason != nullptr && reason->why.empty()) {
    return malformed(route, "is public without a reason.");
  }
  if (const auto* permission = std::get_if<Route::Permission>(&route.access);
      permission != nullptr && permission->name.empty()) {
    return malformed(route, "names no permission.");
  }
  BH_TRY(const std::uint32_t leaf, leaf_for(route, params_[index]));
  std::uint32_t& place = leaves_[leaf].route_of_method[slot(route.method)];
  if (place != kNone) return malformed(route, "means the same requests as " + routes_[place].pattern + ".");
  place = index;
  return {};
}

Result<std::uint32_t> RouteTable::leaf_for(const Route& route, std::vector<Param>& params) {
  std::string_view rest = route.pattern;
  if (!rest.starts_with('/')) return malformed(route, "must begin with '/'.");
  const auto leaf_at = [this](std::uint32_t Node::* which, std::uint32_t node) {
    if (nodes_[node].*which == kNone) {
      nodes_[node].*which = static_cast<std::uint32_t>(leaves_.size());
      leaves_.emplace_back().route_of_method.fill(kNone);
    }
    return nodes_[node].*which;
  };
  std::uint32_t node = 0;
  while (!rest.empty()) {
    rest.remove_prefix(1);
    const std::string_view segment = rest.substr(0, rest.find('/'));
    rest.remove_prefix(segment.size());
    if (segment.empty()) {
      if (rest.empty() && route.pattern == "/") break;
      return malformed(route, "has an empty segment.");
    }
    const bool is_rest = segment.front() == '*';
    if (is_rest || segment.front() == ':') {
      const std::string name(segment.substr(1));
      if (!is_param_name(name)) return malformed(route, "has a parameter without a proper name.");
      if (std::ranges::find(params, name, &Param::name) != params.end()) {
        return malformed(route, "names a parameter twice.");
      }
      params.push_back({name, is_rest});
      if (params.size() > kMaxParams) return malformed(route, "has more than 8 parameters.");
      if (is_rest && !rest.empty()) return malformed(route, "goes on after its '*'.");
      if (is_rest) return leaf_at(&Node::rest, node);
      if (nodes_[node].param == kNone) {
        nodes_[node].param = static_cast<std::uint32_t>(nodes_.size());
        nodes_.emplace_back();
      }
      node = nodes_[node].param;
      continue;
    }
    const auto& literals = nodes_[node].literals;
    const auto known = std::ranges::find(literals, segment, &std::pair<std::string, std::uint32_t>::first);
    if (known != literals.end()) {
      node = known->second;
      continue;
    }
    const auto made = static_cast<std::uint32_t>(nodes_.size());
    nodes_[node].literals.emplace_back(segment, made);
    nodes_.emplace_back();
    node = made;
  }
  return leaf_at(&Node::end, node);
}

void RouteTable::write_allow_texts() {
  using enum net::Method;
  for (Leaf& leaf : leaves_) {
    for (const net::Method method : {kGet, kHead, kPost, kPut, kPatch, kDelete}) {
      const bool by_get = method == kHead && leaf.route_of_method[slot(kGet)] != kNone;
      if (!by_get && leaf.route_of_method[slot(method)] == kNone) continue;
      leaf.allow += std::string(net::to_string(method)) + ", ";
    }
    leaf.allow += "OPTIONS";
  }
}

// `rest` is empty or begins with '/'. Every pattern's path is a chain of nodes, so the depth of the recursion is
// bounded by the longest pattern, and the choices by the few literals that a `:name` stands beside.
std::uint32_t RouteTable::find(std::uint32_t at, std::string_view rest, Captured& captured, std::size_t depth) const {
  const Node& node = nodes_[at];
  if (rest.empty()) {
    if (node.end != kNone) return node.end;
    if (node.rest != kNone) captured[depth] = {};
    return node.rest;
  }
  const std::string_view tail = rest.substr(1);
  const std::string_view segment = tail.substr(0, tail.find('/'));
  const std::string_view after = tail.substr(segment.size());
  for (const auto& [literal, child] : node.literals) {
    if (literal != segment) continue;
    if (const std::uint32_t leaf = find(child, after, captured, depth); leaf != kNone) return leaf;
    break;
  }
  if (node.param != kNone && !segment.empty()) {
    captured[depth] = segment;
    if (const std::uint32_t leaf = find(node.param, after, captured, depth + 1); leaf != kNone) return leaf;
  }
  if (node.rest != kNone) captured[depth] = tail;
  return node.rest;
}

RouteTable::Match RouteTable::match(net::Method method, std::string_view path) const {
  Match match;
  if (!path.starts_with('/')) return match;
  const std::uint32_t found = find(0, path == "/" ? std::string_view() : path, match.captured, 0);
  if (found == kNone) return match;
  const Leaf& leaf = leaves_[found];
  match.allow = leaf.allow;
  std::uint32_t index = leaf.route_of_method[slot(method)];
  if (index == kNone && method == net::Method::kHead) index = leaf.route_of_method[slot(net::Method::kGet)];
  if (index == kNone) return match;
  match.index = index;
  match.route = &routes_[index];
  return match;
}

Result<std::vector<std::pair<std::string, std::string>>> RouteTable::params(const Match& match) const {
  std::vector<std::pair<std::string, std::string>> result;
  const auto& names = params_[match.index];
  result.reserve(names.size());
  for (std::size_t i = 0; i < names.size(); ++i) {
    const std::string_view raw = match.captured[i];
    if (names[i].rest || raw.find('%') == std::string_view::npos) {
      result.emplace_back(names[i].name, raw);
      continue;
    }
    auto decoded = net::percent_decode(raw);
    if (!decoded) return fail(ErrorCode::kBadRequest, "The path has a bad percent escape.");
    result.emplace_back(names[i].name, std::move(*decoded));
  }
  return result;
}

}  // namespace bulkhead::access
