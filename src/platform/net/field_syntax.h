// Characters of HTTP fields (RFC 9110 §5.5, §5.6.2). Plain functions.
#pragma once

#include <string_view>

namespace bulkhead::net {

// tchar: what methods and field names are made of.
constexpr bool is_token_character(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
         std::string_view("!#$%&'*+-.^_`|~").find(c) != std::string_view::npos;
}

// What must not stand in a field's value: all control characters but the tab.
constexpr bool is_forbidden_control(char c) { return (static_cast<unsigned char>(c) < 0x20 && c != '\t') || c == 0x7F; }

}  // namespace bulkhead::net
