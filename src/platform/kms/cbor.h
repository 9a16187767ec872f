// The few CBOR items that associated data is made of, in their shortest form (RFC 8949 §4.2.1, deterministic encoding).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace bulkhead::kms {

void append_cbor_array(std::string& out, std::uint64_t items);  // its items follow
void append_cbor_unsigned(std::string& out, std::uint64_t value);
void append_cbor_text(std::string& out, std::string_view utf8);

}  // namespace bulkhead::kms
