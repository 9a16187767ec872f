#include "base/utf8.h"

#include <gtest/gtest.h>

namespace bulkhead {
namespace {

TEST(Utf8, AcceptsWellFormedAndRefusesTheRest) {
  for (const std::string_view good : {"", "plain", "\xC3\xA9", "\xE2\x82\xAC", "\xF0\x9F\x98\x80", "\xED\x9F\xBF"}) {
    EXPECT_TRUE(is_valid_utf8(good)) << good;
  }
  // Lone continuation, overlong, surrogate, above U+10FFFF, cut short.
  for (const std::string_view bad :
       {"\x80", "\xC0\xAF", "\xE0\x80\xAF", "\xED\xA0\x80", "\xF4\x90\x80\x80", "\xE2\x82"}) {
    EXPECT_FALSE(is_valid_utf8(bad));
  }
}

TEST(Utf8, CleaningReplacesBadBytesAndNulsAndCutsOnABorder) {
  EXPECT_EQ(clean_utf8("a\xFFz", 100), "a\xEF\xBF\xBDz");
  EXPECT_EQ(clean_utf8(std::string_view("a\0z", 3), 100), "a\xEF\xBF\xBDz");
  EXPECT_EQ(clean_utf8("\xE2\x82\xAC\xE2\x82\xAC", 5), "\xE2\x82\xAC");
  EXPECT_TRUE(is_valid_utf8(clean_utf8("\xE2\x82", 100)));
}

}  // namespace
}  // namespace bulkhead
