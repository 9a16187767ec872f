#include "features/bundles/paths.h"

#include <algorithm>
#include <clocale>
#include <cwctype>
#include <vector>

namespace bulkhead::bundles {
namespace {

// Takes one code point off the front of `rest`; nullopt when the bytes are not UTF-8 (RFC 3629: no overlong forms, no
// surrogates, nothing over U+10FFFF).
std::optional<char32_t> take_code_point(std::string_view& rest) {
  const auto byte_at = [&](std::size_t i) { return static_cast<unsigned char>(rest[i]); };
  const unsigned char lead = byte_at(0);
  std::size_t length = 1;
  char32_t value = lead;
  char32_t least = 0;
  if (lead >= 0xF0 && lead <= 0xF4) {
    length = 4, value = lead & 0x07U, least = 0x10000;
  } else if (lead >= 0xE0 && lead < 0xF0) {
    length = 3, value = lead & 0x0FU, least = 0x800;
  } else if (lead >= 0xC2 && lead < 0xE0) {
    length = 2, value = lead & 0x1FU, least = 0x80;
  } else if (lead >= 0x80) {
    return std::nullopt;
  }
  if (rest.size() < length) return std::nullopt;
  for (std::size_t i = 1; i < length; ++i) {
    if ((byte_at(i) & 0xC0U) != 0x80U) return std::nullopt;
    value = (value << 6U) | (byte_at(i) & 0x3FU);
  }
  if (value < least || value > 0x10FFFF || (value >= 0xD800 && value <= 0xDFFF)) return std::nullopt;
  rest.remove_prefix(length);
  return value;
}

void append_utf8(std::string& out, char32_t c) {
  const auto put = [&out](char32_t byte) { out += static_cast<char>(static_cast<unsigned char>(byte)); };
  if (c < 0x80) {
    put(c);
  } else if (c < 0x800) {
    put(0xC0U | (c >> 6U)), put(0x80U | (c & 0x3FU));
  } else if (c < 0x10000) {
    put(0xE0U | (c >> 12U)), put(0x80U | ((c >> 6U) & 0x3FU)), put(0x80U | (c & 0x3FU));
  } else {
    put(0xF0U | (c >> 18U)), put(0x80U | ((c >> 12U) & 0x3FU)), put(0x80U | ((c >> 6U) & 0x3FU)),
        put(0x80U | (c & 0x3FU));
  }
}

char32_t fold(char32_t c) {
  if (c < 0x80) return c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c;
  static const locale_t kUnicode = newlocale(LC_CTYPE_MASK, "C.UTF-8", nullptr);
  if (kUnicode == nullptr) return c;
  // Upper, then lower: letters with two lower-case forms (long s, final sigma) fold to one.
  return static_cast<char32_t>(towlower_l(towupper_l(static_cast<wint_t>(c), kUnicode), kUnicode));
}

std::optional<std::string> segment_problem(std::string_view segment) {
  if (segment.empty()) return "has an empty segment";
  if (segment == "." || segment == "..") return "has a dot segment";
  if (segment.size() > 255) return "has a segment of more than 255 bytes";
  return std::nullopt;
}

std::vector<std::string_view> split(std::string_view path) {
  std::vector<std::string_view> segments;
  for (std::size_t slash = path.find('/'); slash != path.npos; slash = path.find('/')) {
    segments.push_back(path.substr(0, slash));
    path.remove_prefix(slash + 1);
  }
  segments.push_back(path);
  return segments;
}

bool match_segment(std::string_view pattern, std::string_view text) {
  std::size_t p = 0, t = 0, star = pattern.npos, resume = 0;
  while (t < text.size()) {
    if (p < pattern.size() && pattern[p] == '*') {
      star = p++;
      resume = t;
    } else if (p < pattern.size() && (pattern[p] == '?' || pattern[p] == text[t])) {
      ++p, ++t;
    } else if (star != pattern.npos) {
      p = star + 1;
      t = ++resume;
    } else {
      return false;
    }
  }
  return pattern.find_first_not_of('*', p) == pattern.npos;
}

}  // namespace

std::optional<std::string> path_problem(std::string_view path) {
  if (path.empty()) return "is empty";
  if (path.size() > kMaxPathLength) return "is longer than 512 bytes";
  if (path.front() == '/') return "is absolute";
  for (std::string_view rest = path; !rest.empty();) {
    const auto c = take_code_point(rest);
    if (!c) return "is not UTF-8";
    if (*c < 0x20 || (*c >= 0x7F && *c < 0xA0)) return "has a control character";
    if (*c == '\\' || *c == ':') return "has a backslash or colon";
  }
  std::size_t start = 0;
  for (;;) {
    const std::size_t slash = path.find('/', start);
    if (auto problem = segment_problem(path.substr(start, slash == path.npos ? slash : slash - start))) return problem;
    if (slash == path.npos) return std::nullopt;
    start = slash + 1;
  }
}

std::string fold_case(std::string_view text) {
  std::string folded;
  folded.reserve(text.size());
  while (!text.empty()) {
    const auto c = take_code_point(text);
    if (!c) {
      folded += text.front();
      text.remove_prefix(1);
    } else {
      append_utf8(folded, fold(*c));
    }
  }
  return folded;
}

// Like match_segment, a level up: the last `**` is the only one that ever has to give back segments.
bool glob_matches(std::string_view pattern, std::string_view path) {
  const std::vector<std::string_view> patterns = split(pattern), segments = split(path);
  std::size_t p = 0, s = 0, star = patterns.size(), resume = 0;
  while (s < segments.size()) {
    if (p < patterns.size() && patterns[p] == "**") {
      star = p++;
      resume = s;
    } else if (p < patterns.size() && match_segment(patterns[p], segments[s])) {
      ++p, ++s;
    } else if (star < patterns.size()) {
      p = star + 1;
      s = ++resume;
    } else {
      return false;
    }
  }
  return std::ranges::all_of(patterns.begin() + static_cast<std::ptrdiff_t>(p), patterns.end(),
                             [](std::string_view rest) { return rest == "**"; });
}

Status EntryNames::add_file(std::string_view path) {
  if (const auto problem = path_problem(path)) {
    return fail(ErrorCode::kBundleInvalid, "The name of an entry " + *problem + ".", std::string(path));
  }
  BH_TRY_VOID(add_parents(path));
  return add_one(path, Kind::kFile);
}

Status EntryNames::add_folder(std::string_view path) {
  if (const auto problem = path_problem(path)) {
    return fail(ErrorCode::kBundleInvalid, "The name of an entry " + *problem + ".", std::string(path));
  }
  BH_TRY_VOID(add_parents(path));
  return add_one(path, Kind::kFolder);
}

Status EntryNames::add_parents(std::string_view path) {
  for (std::size_t slash = path.find('/'); slash != path.npos; slash = path.find('/', slash + 1)) {
    BH_TRY_VOID(add_one(path.substr(0, slash), Kind::kFolder));
  }
  return {};
}

Status EntryNames::add_one(std::string_view path, Kind kind) {
  const auto [at, added] = seen_.try_emplace(fold_case(path), Seen{std::string(path), kind});
  if (added) return {};
  const Seen& other = at->second;
  if (other.spelling != path) {
    return fail(ErrorCode::kBundleInvalid,
                "Two entries differ only by case: " + other.spelling + " and " + std::string(path) + ".");
  }
  if (other.kind == Kind::kFolder && kind == Kind::kFolder) return {};
  if (other.kind != kind) {
    return fail(ErrorCode::kBundleInvalid, "An entry is both a file and a folder: " + std::string(path) + ".");
  }
  return fail(ErrorCode::kBundleInvalid, "An entry stands twice: " + std::string(path) + ".");
}

}  // namespace bulkhead::bundles
