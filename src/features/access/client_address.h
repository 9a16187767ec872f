// Who the client is behind proxies (contracts/access.md, Edge): the socket's peer, unless the peer is a trusted proxy;
// then the rightmost hop of `Forwarded` (RFC 7239), or else `X-Forwarded-For`, that is not itself a trusted proxy.
//
// The headers are the client's own text up to the first trusted proxy, so reading stops at the first hop that is not an
// address ("unknown", "_hidden", garbage): the answer is then the last hop that a trusted proxy vouched for.
#pragma once

#include <vector>

#include "features/access/address_range.h"
#include "platform/net/http.h"

namespace bulkhead::access {

// A Unix socket's peer counts as a trusted proxy exactly when `trusted` is not empty.
boost::asio::ip::address client_address(const net::RequestHead& head, const std::vector<AddressRange>& trusted);

// The `for=` nodes of one Forwarded field value, left to right, quotes taken off ("" where an element has none);
// nullopt when the field is malformed or has over 64 elements.
std::optional<std::vector<std::string_view>> forwarded_for(std::string_view field);
// The address of a node: "192.0.2.1", "192.0.2.1:80", "[2001:db8::1]", "[2001:db8::1]:80", "2001:db8::1".
std::optional<boost::asio::ip::address> node_address(std::string_view node);

}  // namespace bulkhead::access
