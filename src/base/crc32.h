// CRC-32 (ISO-HDLC, the polynomial of zip and Ethernet): detects torn records and mistyped keys; no security.
#pragma once

#include <cstdint>
#include <string_view>

namespace bulkhead {

std::uint32_t crc32(std::string_view bytes);

}  // namespace bulkhead
