#include "platform/process/path_safety.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include "platform/process/file.h"

namespace bulkhead::process {
namespace {

struct CleanCase {
  const char* name;
  std::string path;
  std::string cleaned;  // empty: refused
};

class CleanPath : public testing::TestWithParam<CleanCase> {};

TEST_P(CleanPath, FollowsTheTable) {
  const auto& [name, path, cleaned] = GetParam();
  const auto result = clean_path(path);
  if (cleaned.empty()) {
    ASSERT_FALSE(result) << *result;
    EXPECT_EQ(result.error().code, ErrorCode::kInvalidPath);
  } else {
    ASSERT_TRUE(result) << result.error().to_log_string();
    EXPECT_EQ(*result, cleaned);
  }
  // What is canonical, and only that, passes the strict check.
  EXPECT_EQ(check_path(path).has_value(), !cleaned.empty() && cleaned == path);
}

INSTANTIATE_TEST_SUITE_P(
    Table, CleanPath,
    testing::Values(
        CleanCase{"Plain", "a/b.txt", "a/b.txt"}, CleanCase{"Spaces", "a b+c:=?\xC3\xA9", "a b+c:=?\xC3\xA9"},
        CleanCase{"LeadingDotSegment", "./a", "a"}, CleanCase{"DotSegment", "a/./b", "a/b"},
        CleanCase{"DoubleSlash", "a//b", "a/b"}, CleanCase{"TrailingSlash", "a/b/", "a/b"},
        CleanCase{"DotsInside", "a..b/c...", "a..b/c..."},
        CleanCase{"FourBytes", "\xF0\x9F\x98\x80", "\xF0\x9F\x98\x80"}, CleanCase{"Empty", "", ""},
        CleanCase{"Dot", ".", ""}, CleanCase{"DotSlash", "./", ""}, CleanCase{"Absolute", "/etc/passwd", ""},
        CleanCase{"TwoSlashes", "//a", ""}, CleanCase{"Parent", "..", ""}, CleanCase{"ParentFirst", "../a", ""},
        CleanCase{"ParentInside", "a/../b", ""}, CleanCase{"ParentLast", "a/..", ""},
        CleanCase{"Backslash", "a\\b", ""}, CleanCase{"BackslashParent", "..\\a", ""},
        CleanCase{"Nul", std::string("a\0b", 3), ""}, CleanCase{"Newline", "a\nb", ""}, CleanCase{"Tab", "a\tb", ""},
        CleanCase{"Delete", "a\x7F", ""}, CleanCase{"C1Control", "a\xC2\x85", ""},
        CleanCase{"NoBreakSpace", "a\xC2\xA0", "a\xC2\xA0"}, CleanCase{"Hidden", ".ssh/id", ""},
        CleanCase{"HiddenInside", "a/.git/config", ""}, CleanCase{"ThreeDots", "...", ""},
        CleanCase{"OverlongSlash",
                  "a\xC0\xAF"
                  "b",
                  ""},
        CleanCase{"Surrogate", "\xED\xA0\x80", ""}, CleanCase{"TooHigh", "\xF4\x90\x80\x80", ""},
        CleanCase{"Truncated", "a\xC3", ""}, CleanCase{"LoneContinuation", "\x80", ""}),
    [](const auto& info) { return std::string(info.param.name); });

TEST(PathSafety, HiddenNamesAreAllowedWhereAsked) {
  EXPECT_TRUE(clean_path(".well-known/x", {.hidden = PathRules::Hidden::kAllow}));
  EXPECT_FALSE(clean_path("a/..", {.hidden = PathRules::Hidden::kAllow}));
}

TEST(PathSafety, LimitsHoldAtTheirEdges) {
  EXPECT_TRUE(clean_path(std::string(255, 'a')));
  EXPECT_FALSE(clean_path(std::string(256, 'a')));
  const PathRules rules{.max_size = 5, .max_depth = 2};
  EXPECT_TRUE(clean_path("ab/cd", rules));
  EXPECT_FALSE(clean_path("ab/cde", rules));
  EXPECT_FALSE(clean_path("a/b/c", rules));
}

class Roots : public testing::TestWithParam<Root::Resolver> {
 protected:
  void SetUp() override {
    make_directory(path("inside/deep")).value();
    make_directory(path("outside")).value();
    write_file_atomically(path("outside/secret"), "secret").value();
    write_file_atomically(path("inside/deep/file"), "content").value();
    ASSERT_EQ(::symlink("../outside", path("inside/link").c_str()), 0);
    ASSERT_EQ(::symlink("../../outside/secret", path("inside/deep/leak").c_str()), 0);
    ASSERT_EQ(::symlink("file", path("inside/deep/harmless").c_str()), 0);
    ASSERT_EQ(::mkfifo(path("inside/fifo").c_str(), 0600), 0);
  }
  std::string path(std::string_view below) const { return directory_.path() + "/" + std::string(below); }
  Root root() const { return std::move(*Root::open(path("inside"), GetParam())); }
  static ErrorCode code_of(const Result<UniqueFd>& result) {
    return result ? ErrorCode::kOverloaded : result.error().code;
  }

 private:
  TemporaryDirectory directory_ = std::move(*TemporaryDirectory::create("path-safety"));
};

TEST_P(Roots, OpenWhatLiesBeneath) {
  const auto fd = root().open_file("deep/file", O_RDONLY);
  ASSERT_TRUE(fd) << fd.error().to_log_string();
  EXPECT_EQ(read_all(fd->get(), 1_KiB).value(), "content");
  EXPECT_NE(::fcntl(fd->get(), F_GETFD) & FD_CLOEXEC, 0);
}

TEST_P(Roots, FollowNoLink) {
  for (const auto* refused : {"link/secret", "deep/leak", "deep/harmless", "link"}) {
    EXPECT_EQ(code_of(root().open_file(refused, O_RDONLY)), ErrorCode::kInvalidPath) << refused;
  }
  EXPECT_EQ(code_of(root().open_directory("link")), ErrorCode::kInvalidPath);
}

TEST_P(Roots, CreateNothingThroughALink) {
  EXPECT_FALSE(root().open_file("link/new", O_WRONLY | O_CREAT));
  EXPECT_FALSE(root().make_directories("link/new/deeper"));
  EXPECT_NE(::access(path("outside/new").c_str(), F_OK), 0);
}

TEST_P(Roots, RefuseUncleanPaths) {
  for (const auto* refused : {"../outside/secret", "/etc/passwd", "deep/../../outside/secret", "deep//file", ""}) {
    EXPECT_EQ(code_of(root().open_file(refused, O_RDONLY)), ErrorCode::kInvalidPath) << refused;
  }
}

TEST_P(Roots, OpenRegularFilesOnlyAndWithoutBlocking) {
  EXPECT_EQ(code_of(root().open_file("fifo", O_RDONLY)), ErrorCode::kInvalidPath);
  EXPECT_EQ(code_of(root().open_file("fifo", O_WRONLY)), ErrorCode::kInvalidPath);
  EXPECT_EQ(code_of(root().open_file("deep", O_RDONLY)), ErrorCode::kInvalidPath);
}

TEST_P(Roots, SayWhatIsAbsent) {
  EXPECT_EQ(code_of(root().open_file("deep/none", O_RDONLY)), ErrorCode::kNotFound);
  EXPECT_EQ(code_of(root().open_file("none/file", O_RDONLY)), ErrorCode::kNotFound);
  EXPECT_EQ(code_of(root().open_file("deep/file/below", O_RDONLY)), ErrorCode::kNotFound);
}

TEST_P(Roots, CreateExclusively) {
  ASSERT_TRUE(root().open_file("deep/new", O_WRONLY | O_CREAT | O_EXCL));
  EXPECT_EQ(code_of(root().open_file("deep/new", O_WRONLY | O_CREAT | O_EXCL)), ErrorCode::kAlreadyExists);
}

TEST_P(Roots, MakeDirectoriesAndRemoveFiles) {
  ASSERT_TRUE(root().make_directories("x/y/z"));
  ASSERT_TRUE(root().make_directories("x/y/z"));
  ASSERT_TRUE(root().open_file("x/y/z/f", O_WRONLY | O_CREAT));
  ASSERT_TRUE(root().remove_file("x/y/z/f"));
  EXPECT_EQ(root().remove_file("x/y/z/f").error().code, ErrorCode::kNotFound);
  // A link is removed itself; what it points to stays.
  ASSERT_TRUE(root().remove_file("deep/leak"));
  EXPECT_EQ(::access(path("outside/secret").c_str(), F_OK), 0);
}

INSTANTIATE_TEST_SUITE_P(Resolvers, Roots, testing::Values(Root::Resolver::kBest, Root::Resolver::kWalk),
                         [](const auto& info) { return info.param == Root::Resolver::kBest ? "Openat2" : "Walk"; });

}  // namespace
}  // namespace bulkhead::process
