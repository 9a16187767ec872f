// Forges tar archives for tests and fuzz seeds, field by field, so that they can be wrong in ways no tar program
// allows.
#pragma once

#include <zstd.h>

#include <cstdint>
#include <cstdio>
#include <string>
#include <string_view>

#include "base/error.h"

namespace bulkhead::bundles::forge {

struct Member {
  std::string_view name;
  std::string_view content;
  char type = '0';  // POSIX ustar typeflag: '1' hard link, '2' symbolic link, '3' device, '5' folder
  std::string_view link = {};
  long long declared_size = -1;  // -1: the content's
};

inline std::string member(const Member& file) {
  std::string header(512, '\0');
  const auto put = [&header](std::size_t at, std::size_t width, std::string_view text) {
    header.replace(at, std::min(width, text.size()), text.substr(0, width));
  };
  const auto octal = [&put](std::size_t at, int digits, long long value) {
    char text[24];
    std::snprintf(text, sizeof text, "%0*llo", digits, static_cast<unsigned long long>(value));
    put(at, static_cast<std::size_t>(digits) + 1, std::string_view(text, static_cast<std::size_t>(digits)));
  };
  put(0, 100, file.name);
  octal(100, 7, 0644);
  octal(108, 7, 0);
  octal(116, 7, 0);
  octal(124, 11, file.declared_size >= 0 ? file.declared_size : static_cast<long long>(file.content.size()));
  octal(136, 11, 0);
  put(148, 8, "        ");
  header[156] = file.type;
  put(157, 100, file.link);
  put(257, 8, std::string_view("ustar\00000", 8));
  if (file.type == 'S') {  // old GNU sparse: a hole of 1024 bytes, then the content
    put(257, 8, std::string_view("ustar  \0", 8));
    octal(386, 11, 1024);
    octal(398, 11, static_cast<long long>(file.content.size()));
    octal(483, 11, static_cast<long long>(1024 + file.content.size()));
  }
  unsigned sum = 0;
  for (const char c : header) sum += static_cast<unsigned char>(c);
  octal(148, 6, sum);
  header[154] = '\0';
  header[155] = ' ';
  std::string out = header + std::string(file.content);
  out.append((512 - file.content.size() % 512) % 512, '\0');
  return out;
}

inline std::string end_mark() { return std::string(1024, '\0'); }

// Incompressible bytes, so that ratios stay small.
inline std::string noise(std::size_t size) {
  std::string bytes;
  for (std::uint32_t state = 1; bytes.size() < size; state = state * 1664525U + 1013904223U) {
    bytes += static_cast<char>(state >> 24U);
  }
  return bytes;
}

inline std::string compress(std::string_view bytes, int level = 3) {
  std::string out(ZSTD_compressBound(bytes.size()), '\0');
  const std::size_t size = ZSTD_compress(out.data(), out.size(), bytes.data(), bytes.size(), level);
  BH_ASSERT(!ZSTD_isError(size));
  out.resize(size);
  return out;
}

// A well-formed archive of the members.
inline std::string archive(std::initializer_list<Member> members) {
  std::string tar;
  for (const Member& file : members) tar += member(file);
  return compress(tar + end_mark());
}

inline constexpr std::string_view kManifest =
    R"({"name":"com.example.hello","version":"1.0.0","runtime":"wasm-core@1"})";
inline constexpr std::string_view kModule("\0asm\1\0\0\0", 8);

}  // namespace bulkhead::bundles::forge
