#include "base/secret_string.h"

#include <gtest/gtest.h>

#include <type_traits>
#include <utility>

#include "base/bytes.h"
#include "base/json.h"

namespace bulkhead {
namespace {

using std::string_view_literals::operator""sv;

static_assert(!std::is_copy_constructible_v<SecretString> && !std::is_copy_assignable_v<SecretString>);

TEST(SecretString, HoldsBytesAndMovesThem) {
  SecretString first("a\0b"sv);
  EXPECT_EQ(first.view(), "a\0b"sv);
  SecretString second = std::move(first);
  EXPECT_EQ(second.view(), "a\0b"sv);
  EXPECT_TRUE(first.empty());  // NOLINT(bugprone-use-after-move): it says what is left behind
  const SecretString copy = second.copy();
  second = SecretString("other");
  EXPECT_EQ(copy.view(), "a\0b"sv);
  EXPECT_EQ(second.view(), "other");
  EXPECT_TRUE(SecretString().view().empty());
}

TEST(SecretString, WipesInPlace) {
  std::string text = "hunter2 hunter2";
  wipe(std::span<char>(text));
  EXPECT_EQ(text, std::string(15, '\0'));
}

TEST(SecretString, AStringIsWipedHoweverTheScopeIsLeft) {
  std::string text = "hunter2";
  const char* bytes = text.data();
  {
    const WipeAtExit wiped(text);
    EXPECT_EQ(bytes[0], 'h');
  }
  EXPECT_TRUE(text.empty());
  EXPECT_EQ(bytes[0], '\0') << "the characters are gone, not only the length";
}

TEST(SecretString, AJsonDocumentLivesInWipingMemory) {
  WipingMemory memory;
  const auto parsed = parse_json(R"({"value":"a value that is too long for the small string buffer"})", &memory);
  ASSERT_TRUE(parsed.has_value());
  EXPECT_EQ(parsed->at("value").as_string().size(), 52U);
  EXPECT_EQ(parsed->storage().get(), &memory);
}

}  // namespace
}  // namespace bulkhead
