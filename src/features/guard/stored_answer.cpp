#include "features/guard/stored_answer.h"

#include <algorithm>
#include <array>

#include "base/json.h"
#include "features/access/redaction.h"

namespace bulkhead::guard {
namespace {

constexpr std::array<std::pair<BodyState, std::string_view>, 5> kStates = {{{BodyState::kStored, "stored"},
                                                                            {BodyState::kEmpty, "empty"},
                                                                            {BodyState::kRedacted, "redacted"},
                                                                            {BodyState::kNonJson, "non_json"},
                                                                            {BodyState::kTooLarge, "too_large"}}};

// What describes the result; what described that one exchange (dates, request ids, limits, cookies) is not repeated.
constexpr std::array<std::string_view, 6> kKeptHeaders = {"content-type",  "location",      "etag",
                                                          "last-modified", "cache-control", "content-language"};
constexpr std::size_t kHeaderLimit = 8 * 1024;

std::string lower(std::string_view text) {
  std::string out(text);
  std::ranges::transform(out, out.begin(), [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
  return out;
}

bool is_kept(std::string_view lower_name) {
  return lower_name.starts_with("x-ext-") || std::ranges::find(kKeptHeaders, lower_name) != kKeptHeaders.end();
}

bool is_json(const net::Response& response) {
  const auto type = response.headers.find("content-type");
  if (!type) return false;
  std::string name = lower(type->substr(0, type->find(';')));
  while (name.ends_with(' ')) name.pop_back();
  return name == "application/json" || (name.starts_with("application/") && name.ends_with("+json"));
}

std::string kept_headers(const net::Response& response) {
  json::array kept;
  std::size_t size = 0;
  for (std::size_t i = 0; i < response.headers.size(); ++i) {
    const auto [name, value] = response.headers.at(i);
    const std::string lower_name = lower(name);
    size += name.size() + value.size();
    if (is_kept(lower_name) && size <= kHeaderLimit) kept.push_back(json::array{lower_name, value});
  }
  return json::serialize(kept);
}

}  // namespace

std::string_view to_string(BodyState state) {
  return std::ranges::find(kStates, state, &std::pair<BodyState, std::string_view>::first)->second;
}

std::optional<BodyState> parse_body_state(std::string_view text) {
  const auto found = std::ranges::find(kStates, text, &std::pair<BodyState, std::string_view>::second);
  if (found == kStates.end()) return std::nullopt;
  return found->first;
}

StoredAnswer sanitise(const net::Response& response) {
  StoredAnswer answer;
  answer.status = response.status;
  answer.headers = kept_headers(response);
  if (response.stream) {
    answer.body_state = BodyState::kNonJson;
  } else if (response.body.empty()) {
    answer.body_state = BodyState::kEmpty;
  } else if (!is_json(response)) {
    answer.body_state = BodyState::kNonJson;
  } else if (response.body.size() > kStoredBodyLimit) {
    answer.body_state = BodyState::kTooLarge;
  } else if (auto parsed = parse_json(response.body); !parsed) {
    answer.body_state = BodyState::kNonJson;
  } else if (access::redact(*parsed) > 0) {
    answer.body_state = BodyState::kRedacted;
    answer.body = json::serialize(*parsed);
  } else {
    answer.body_state = BodyState::kStored;
    answer.body = response.body;
  }
  return answer;
}

net::Response replay(const StoredAnswer& answer) {
  net::Response response = net::Response::empty(answer.status);
  const bool has_body = answer.body_state == BodyState::kStored && answer.body;
  if (const auto headers = parse_json(answer.headers); headers && headers->is_array()) {
    for (const json::value& field : headers->get_array()) {
      const std::string_view name = field.at(0).as_string();
      if (!has_body && name == "content-type") continue;
      response.headers.add(name, field.at(1).as_string());
    }
  }
  if (has_body) response.body = *answer.body;
  if (!has_body && answer.body_state != BodyState::kEmpty) response.headers.set("idempotency-body", "omitted");
  response.headers.set("idempotency-replayed", "true");
  return response;
}

}  // namespace bulkhead::guard
