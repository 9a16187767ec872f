#include "platform/sql/placeholders.h"

#include "base/error.h"

namespace bulkhead::sql {
namespace {

constexpr int kMostPlaceholders = 999;

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_word(char c) { return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; }

// The first offset after what starts at `at` and ends with `end`. A doubled quote ends one literal and starts the next,
// which skips the same characters.
std::size_t skip_past(std::string_view text, std::size_t at, std::string_view end) {
  const std::size_t found = text.find(end, at);
  return found == std::string_view::npos ? text.size() : found + end.size();
}

}  // namespace

std::vector<Placeholder> find_placeholders(std::string_view statement) {
  std::vector<Placeholder> found;
  std::size_t i = 0;
  while (i < statement.size()) {
    const char c = statement[i];
    if (c == '\'' || c == '"') {
      i = skip_past(statement, i + 1, statement.substr(i, 1));
    } else if (statement.substr(i, 2) == "--") {
      i = skip_past(statement, i + 2, "\n");
    } else if (statement.substr(i, 2) == "/*") {
      i = skip_past(statement, i + 2, "*/");
    } else if (c == '$' && (i == 0 || !is_word(statement[i - 1]))) {
      Placeholder placeholder{.offset = i++};
      while (i < statement.size() && is_digit(statement[i]) && placeholder.number <= kMostPlaceholders) {
        placeholder.number = placeholder.number * 10 + (statement[i++] - '0');
      }
      BH_ASSERT(placeholder.number >= 1 && placeholder.number <= kMostPlaceholders);
      found.push_back(placeholder);
    } else {
      ++i;
    }
  }
  return found;
}

bool uses_exactly(const std::vector<Placeholder>& placeholders, std::size_t count) {
  std::vector<bool> used(count, false);
  for (const auto& placeholder : placeholders) {
    const auto index = static_cast<std::size_t>(placeholder.number) - 1;
    if (index >= count) return false;
    used[index] = true;
  }
  for (const bool one : used) {
    if (!one) return false;
  }
  return true;
}

std::string to_sqlite_placeholders(std::string_view statement, const std::vector<Placeholder>& placeholders) {
  std::string rewritten(statement);
  for (const auto& placeholder : placeholders) rewritten[placeholder.offset] = '?';
  return rewritten;
}

}  // namespace bulkhead::sql
