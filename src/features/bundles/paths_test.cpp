#include "features/bundles/paths.h"

#include <gtest/gtest.h>

namespace bulkhead::bundles {
namespace {

TEST(BundlePath, RefusesWhatCouldLeaveTheFolder) {
  for (const char* path : {"manifest.json", "ui/index.html", "ui/ä/ü.txt", "a/...", ".hidden", "a b/c"}) {
    EXPECT_FALSE(path_problem(path)) << path;
  }
  for (const char* path : {"", "/etc/passwd", "../x", "a/../b", "a/..", "./a", "a/./b", "a//b", "a/", "a\\b", "..\\x",
                           "C:/x", "a\nb", "a\x7f", "\xff", "a\xc0\xaf", "\xed\xa0\x80", "a\xc2\x85"}) {
    EXPECT_TRUE(path_problem(path)) << path;
  }
  EXPECT_TRUE(path_problem(std::string("a\0b", 3)));
  EXPECT_TRUE(path_problem(std::string(513, 'a')));
  EXPECT_TRUE(path_problem(std::string(256, 'a')));
}

TEST(BundlePath, FoldsCaseBeyondAscii) {
  EXPECT_EQ(fold_case("UI/Index.HTML"), "ui/index.html");
  EXPECT_EQ(fold_case("ÄÖÜ"), fold_case("äöü"));
  EXPECT_EQ(fold_case("ΣΑΣ"), fold_case("σας"));
  EXPECT_EQ(fold_case("ЖЁ"), fold_case("жё"));
  EXPECT_NE(fold_case("ä"), fold_case("a"));
}

TEST(BundlePath, CollidingNamesAreRefused) {
  struct Case {
    const char* first;
    const char* second;
    bool fine;
  };
  for (const auto& [first, second, fine] :
       {Case{"a/b", "a/c", true}, Case{"a", "b", true}, Case{"a", "a", false}, Case{"a/b", "A/c", false},
        Case{"a.txt", "A.TXT", false}, Case{"a", "a/b", false}, Case{"a/b", "a", false}, Case{"ui/Ä", "ui/ä", false}}) {
    EntryNames names;
    ASSERT_TRUE(names.add_file(first));
    EXPECT_EQ(names.add_file(second).has_value(), fine) << first << " " << second;
  }
  EntryNames names;
  EXPECT_TRUE(names.add_folder("a"));
  EXPECT_TRUE(names.add_folder("a"));
  EXPECT_TRUE(names.add_file("a/b"));
  EXPECT_FALSE(names.add_file("a"));
}

TEST(BundlePath, GlobsStayWithinSegmentsUnlessDoubled) {
  EXPECT_TRUE(glob_matches("ui/**/*", "ui/index.html"));
  EXPECT_TRUE(glob_matches("ui/**/*", "ui/a/b/c.js"));
  EXPECT_TRUE(glob_matches("ui/**", "ui/a/b/c.js"));
  EXPECT_TRUE(glob_matches("docs/*.md", "docs/a.md"));
  EXPECT_TRUE(glob_matches("a?c", "abc"));
  EXPECT_TRUE(glob_matches("**/*.json", "x.json"));
  EXPECT_FALSE(glob_matches("docs/*.md", "docs/a/b.md"));
  EXPECT_FALSE(glob_matches("ui/**/*", "uix/index.html"));
  EXPECT_FALSE(glob_matches("ui/*", "ui"));
  EXPECT_FALSE(glob_matches("*.md", "a.mdx"));
  EXPECT_TRUE(glob_matches("**/a/**/b", "x/a/y/a/z/b"));
  EXPECT_FALSE(glob_matches("**/a/**/b", "x/a/y/c"));
}

TEST(BundlePath, GlobsOfManyStarsEndSoon) {
  std::string pattern, path;
  for (int i = 0; i < 60; ++i) pattern += "**/*a*/", path += "a/";
  EXPECT_FALSE(glob_matches(pattern + "x", path + "y"));
}

}  // namespace
}  // namespace bulkhead::bundles
