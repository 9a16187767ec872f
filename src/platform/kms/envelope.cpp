#include "platform/kms/envelope.h"

#include <algorithm>
#include <cstring>
#include <optional>

#include "platform/kms/cbor.h"

namespace bulkhead::kms {
namespace {

constexpr std::size_t kMaxKekId = 100;
constexpr std::size_t kMaxVersionDigits = 9;

bool is_digit(char c) { return c >= '0' && c <= '9'; }

bool is_id_character(char c) {
  return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '.' || c == '_' || c == '-' ||
         c == '/';
}

// A flat JSON object whose values are strings without escapes, or the number 1.
class Scanner {
 public:
  explicit Scanner(std::string_view text) : rest_(text) {}

  bool take(char wanted) {
    skip_space();
    if (!rest_.starts_with(wanted)) return false;
    rest_.remove_prefix(1);
    return true;
  }
  std::optional<std::string_view> text() {
    if (!take('"')) return std::nullopt;
    const std::size_t end = rest_.find('"');
    if (end == std::string_view::npos) return std::nullopt;
    const std::string_view found = rest_.substr(0, end);
    const auto is_plain = [](char c) { return c > 0x1f && c < 0x7f && c != '\\'; };
    if (!std::ranges::all_of(found, is_plain)) return std::nullopt;
    rest_.remove_prefix(end + 1);
    return found;
  }
  bool at_end() {
    skip_space();
    return rest_.empty();
  }

 private:
  void skip_space() {
    while (!rest_.empty() && (rest_[0] == ' ' || rest_[0] == '\n' || rest_[0] == '\r' || rest_[0] == '\t')) {
      rest_.remove_prefix(1);
    }
  }
  std::string_view rest_;
};

// The members as they stand in the text.
struct Members {
  bool version = false;
  std::optional<std::string_view> alg, kid, dek, iv, ct, tag;

  std::optional<std::string_view>* slot(std::string_view name) {
    if (name == "alg") return &alg;
    if (name == "kid") return &kid;
    if (name == "dek") return &dek;
    if (name == "iv") return &iv;
    if (name == "ct") return &ct;
    if (name == "tag") return &tag;
    return nullptr;
  }
  bool complete() const { return version && alg && kid && dek && iv && ct && tag; }
};

std::unexpected<Error> damaged(std::string detail) { return fail(ErrorCode::kEnvelopeInvalid, {}, std::move(detail)); }

Status read_member(Scanner& scanner, Members& members) {
  const auto name = scanner.text();
  if (!name || !scanner.take(':')) return damaged("envelope: not an object of members");
  if (*name == "v") {
    if (members.version || !scanner.take('1')) return damaged("envelope: v");
    members.version = true;
    return {};
  }
  auto* slot = members.slot(*name);
  if (slot == nullptr) return damaged("envelope: unknown member");
  if (slot->has_value()) return damaged("envelope: a member stands twice");
  *slot = scanner.text();
  if (!slot->has_value()) return damaged("envelope: a member is no plain string");
  return {};
}

Result<Members> read_members(std::string_view text) {
  Scanner scanner(text);
  Members members;
  if (!scanner.take('{')) return damaged("envelope: not an object");
  do {
    BH_TRY_VOID(read_member(scanner, members));
  } while (scanner.take(','));
  if (!scanner.take('}') || !scanner.at_end()) return damaged("envelope: not one object");
  if (!members.complete()) return damaged("envelope: a member is missing");
  return members;
}

template <std::size_t N>
bool decode_into(std::string_view text, std::array<std::uint8_t, N>& out) {
  if (text.size() != (N * 8 + 5) / 6) return false;
  const auto bytes = base64url_decode(text);
  if (!bytes || bytes->size() != N) return false;
  std::memcpy(out.data(), bytes->data(), N);
  return true;
}

template <std::size_t N>
std::string encode(const std::array<std::uint8_t, N>& bytes) {
  return base64url_encode({reinterpret_cast<const char*>(bytes.data()), N});
}

}  // namespace

bool is_valid_kid(std::string_view kid) {
  const std::size_t colon = kid.rfind(':');
  if (colon == std::string_view::npos || colon == 0 || colon > kMaxKekId) return false;
  const std::string_view id = kid.substr(0, colon), version = kid.substr(colon + 1);
  if (version.empty() || version.size() > kMaxVersionDigits || version[0] == '0') return false;
  return std::ranges::all_of(id, is_id_character) && std::ranges::all_of(version, is_digit);
}

Result<Envelope> parse_envelope(std::string_view text) {
  if (text.size() > kMaxEnvelopeText) return damaged("envelope: too long");
  BH_TRY(const Members members, read_members(text));
  if (*members.alg != kAlgorithm) return damaged("envelope: alg");
  if (!is_valid_kid(*members.kid)) return damaged("envelope: kid");
  Envelope envelope;
  envelope.kid = *members.kid;
  auto key = base64url_decode(*members.dek);
  if (!key || key->empty() || key->size() > kMaxWrappedKey) return damaged("envelope: dek");
  envelope.wrapped_key = std::move(*key);
  if (!decode_into(*members.iv, envelope.iv)) return damaged("envelope: iv");
  if (!decode_into(*members.tag, envelope.tag)) return damaged("envelope: tag");
  auto ciphertext = base64url_decode(*members.ct);
  if (!ciphertext || ciphertext->size() > kMaxPlaintext) return damaged("envelope: ct");
  envelope.ciphertext = std::move(*ciphertext);
  return envelope;
}

std::string to_text(const Envelope& envelope) {
  std::string out;
  out.reserve(160 + envelope.kid.size() + (envelope.wrapped_key.size() + envelope.ciphertext.size()) * 4 / 3);
  out += R"({"v":1,"alg":"A256GCM","kid":")" + envelope.kid;
  out += R"(","dek":")" + base64url_encode(envelope.wrapped_key);
  out += R"(","iv":")" + encode(envelope.iv);
  out += R"(","ct":")" + base64url_encode(envelope.ciphertext);
  out += R"(","tag":")" + encode(envelope.tag) + "\"}";
  return out;
}

std::string associated_data(const Place& place) {
  std::string out;
  out.reserve(64 + place.table.size() + place.column.size() + place.row.size());
  append_cbor_array(out, 6);
  append_cbor_unsigned(out, 1);
  append_cbor_text(out, kAlgorithm);
  append_cbor_text(out, place.table);
  append_cbor_text(out, place.column);
  append_cbor_text(out, place.row);
  append_cbor_text(out, place.tenant.to_string());
  return out;
}

}  // namespace bulkhead::kms
