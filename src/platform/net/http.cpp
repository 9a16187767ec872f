#include "platform/net/http.h"

#include <algorithm>
#include <array>

namespace bulkhead::net {
namespace {

struct MethodName {
  Method method;
  std::string_view name;
};
constexpr std::array kMethods = {MethodName{Method::kGet, "GET"},        MethodName{Method::kHead, "HEAD"},
                                 MethodName{Method::kPost, "POST"},      MethodName{Method::kPut, "PUT"},
                                 MethodName{Method::kPatch, "PATCH"},    MethodName{Method::kDelete, "DELETE"},
                                 MethodName{Method::kOptions, "OPTIONS"}};

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + ('a' - 'A')) : c; }

// Field names are ASCII (RFC 9110 §5.1), so no locale is asked.
bool same_name(std::string_view a, std::string_view b) {
  return a.size() == b.size() &&
         std::equal(a.begin(), a.end(), b.begin(), [](char x, char y) { return x == y || lower(x) == lower(y); });
}

bool lies_in(std::string_view part, const std::string& whole) {
  return std::greater_equal<>{}(part.data(), whole.data()) &&
         std::less_equal<>{}(part.data(), whole.data() + whole.size());
}

}  // namespace

std::string_view to_string(Method method) {
  for (const auto& known : kMethods) {
    if (known.method == method) return known.name;
  }
  return "OTHER";
}

Method parse_method(std::string_view text) {
  for (const auto& known : kMethods) {
    if (known.name == text) return known.method;
  }
  return Method::kOther;
}

bool is_safe(Method method) { return method == Method::kGet || method == Method::kHead || method == Method::kOptions; }

// --- headers -----------------------------------------------------------------------------------------------------
Headers::Entry Headers::at(std::size_t index) const {
  const Slot& slot = slots_.at(index);
  const std::string_view text = text_;
  return {text.substr(slot.name_at, slot.name_size), text.substr(slot.value_at, slot.value_size)};
}

std::optional<std::string_view> Headers::find(std::string_view name) const {
  for (const Slot& slot : slots_) {
    if (slot.name_size != name.size()) continue;
    const std::string_view text = text_;
    if (same_name(text.substr(slot.name_at, slot.name_size), name)) return text.substr(slot.value_at, slot.value_size);
  }
  return std::nullopt;
}

std::size_t Headers::count(std::string_view name) const {
  std::size_t found = 0;
  for (std::size_t i = 0; i < size(); ++i) found += same_name(at(i).name, name) ? 1 : 0;
  return found;
}

void Headers::add(std::string_view name, std::string_view value) {
  // A view into our own text would dangle once the text grows.
  if (lies_in(name, text_) || lies_in(value, text_)) {
    const std::string own_name(name), own_value(value);
    return add(own_name, own_value);
  }
  if (slots_.capacity() == 0) {
    slots_.reserve(8);
    text_.reserve(256);
  }
  const auto at = static_cast<std::uint32_t>(text_.size());
  const auto name_size = static_cast<std::uint32_t>(name.size());
  text_ += name;
  text_ += value;
  slots_.push_back({at, name_size, at + name_size, static_cast<std::uint32_t>(value.size())});
}

void Headers::set(std::string_view name, std::string_view value) {
  remove(name);  // the text stays, so a value of our own is still there
  add(name, value);
}

void Headers::remove(std::string_view name) {
  std::erase_if(slots_, [&](const Slot& slot) {
    return same_name(std::string_view(text_).substr(slot.name_at, slot.name_size), name);
  });
}

void Headers::clear() {
  text_.clear();
  slots_.clear();
}

// --- responses ---------------------------------------------------------------------------------------------------
Response Response::json(int status, const json::value& value) {
  return text(status, "application/json", json::serialize(value));
}

Response Response::text(int status, std::string_view content_type, std::string text) {
  Response response = empty(status);
  response.headers.add("content-type", content_type);
  response.body = std::move(text);
  return response;
}

Response Response::empty(int status) {
  Response response;
  response.status = status;
  return response;
}

}  // namespace bulkhead::net
