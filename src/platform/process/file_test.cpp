#include "platform/process/file.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>

namespace bulkhead::process {
namespace {

class Files : public testing::Test {
 protected:
  std::string path(std::string_view below) const { return directory_.path() + "/" + std::string(below); }
  std::size_t entries() const {
    return static_cast<std::size_t>(
        std::distance(std::filesystem::directory_iterator(directory_.path()), std::filesystem::directory_iterator()));
  }

 private:
  TemporaryDirectory directory_ = std::move(*TemporaryDirectory::create("files"));
};

TEST_F(Files, AreReadUpToTheLimitAndNotBeyond) {
  ASSERT_TRUE(write_file_atomically(path("f"), "12345"));
  EXPECT_EQ(read_file(path("f"), 5_B).value(), "12345");
  EXPECT_EQ(read_file(path("f"), 4_B).error().code, ErrorCode::kPayloadTooLarge);
  EXPECT_EQ(read_file(path("f"), Bytes{~std::uint64_t{0}}).value(), "12345");
  EXPECT_EQ(read_file(path("none"), 4_B).error().code, ErrorCode::kNotFound);
}

TEST_F(Files, WithoutAKnownSizeAreReadWhole) {
  EXPECT_NE(read_file("/proc/self/status", 1_MiB).value().find("Pid:"), std::string::npos);
  EXPECT_EQ(read_file("/proc/self/status", 10_B).error().code, ErrorCode::kPayloadTooLarge);
  EXPECT_EQ(read_file("/dev/zero", 1_MiB).error().code, ErrorCode::kPayloadTooLarge);
}

TEST_F(Files, AreReplacedAtomically) {
  ASSERT_TRUE(write_file_atomically(path("f"), "old"));
  ASSERT_TRUE(write_file_atomically(path("f"), "new", 0640));
  EXPECT_EQ(read_file(path("f"), 1_KiB).value(), "new");
  struct stat info{};
  ASSERT_EQ(::stat(path("f").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777U, 0640U);
  EXPECT_EQ(entries(), 1U);
}

TEST_F(Files, AreNotReplacedWhereThatIsRefused) {
  ASSERT_TRUE(write_file_atomically(path("f"), "old"));
  const auto again = write_file_atomically(path("f"), "new", 0600, IfExists::kRefuse);
  EXPECT_EQ(again.error().code, ErrorCode::kAlreadyExists);
  EXPECT_EQ(read_file(path("f"), 1_KiB).value(), "old");
  EXPECT_EQ(entries(), 1U);
}

TEST_F(Files, ThatAreNotCommittedLeaveNothing) {
  const UniqueFd directory(::open(path("").c_str(), O_RDONLY | O_DIRECTORY));
  {
    auto file = AtomicFile::create(directory.get());
    ASSERT_TRUE(file);
    ASSERT_TRUE(write_all(file->fd(), "x"));
    EXPECT_EQ(entries(), 1U);
    const auto moved = std::move(*file);
    EXPECT_EQ(entries(), 1U);
  }
  EXPECT_EQ(entries(), 0U);
}

TEST_F(Files, AreCopiedUpToTheLimitAndNotBeyond) {
  const std::string content(300'000, 'x');
  ASSERT_TRUE(write_file_atomically(path("from"), content));
  const auto copy = [&](const char* to, Bytes at_most) {
    return copy_all(open_for_reading(path("from")).value().get(), create_new_file(path(to)).value().get(), at_most);
  };
  EXPECT_EQ(copy("to", Bytes{300'000})->value, 300'000U);
  EXPECT_EQ(read_file(path("to"), 1_MiB).value(), content);
  EXPECT_EQ(copy("short", Bytes{299'999}).error().code, ErrorCode::kPayloadTooLarge);
  EXPECT_EQ(create_new_file(path("to")).error().code, ErrorCode::kAlreadyExists);
}

TEST_F(Files, OfUnknownSizeAreCopiedWhole) {
  const auto from = open_for_reading("/proc/self/status");
  const auto to = create_new_file(path("to"));
  EXPECT_GT(copy_all(from->get(), to->get(), 1_MiB)->value, 0U);
}

// A file system of 64 KiB.
TEST_F(Files, OnAFullDiskAnswerStorageFullAndLeaveNothing) {
  ASSERT_TRUE(make_directory(path("small")));
  if (::mount("tmpfs", path("small").c_str(), "tmpfs", 0, "size=64k") != 0) {
    // Not root: /dev/full answers ENOSPC to everyone.
    const UniqueFd full(::open("/dev/full", O_WRONLY));
    EXPECT_EQ(write_all(full.get(), "x").error().code, ErrorCode::kStorageFull);
    return;
  }
  const auto written = write_file_atomically(path("small/f"), std::string(100'000, 'x'));
  const auto left = std::filesystem::is_empty(path("small"));
  const auto after = write_file_atomically(path("small/f"), "fits");
  ::umount2(path("small").c_str(), MNT_DETACH);
  EXPECT_EQ(written.error().code, ErrorCode::kStorageFull);
  EXPECT_TRUE(left);
  EXPECT_TRUE(after);
}

TEST_F(Files, DirectoriesAreMadeWithTheirParents) {
  ASSERT_TRUE(make_directory(path("a/b/c")));
  ASSERT_TRUE(make_directory(path("a/b/c")));
  EXPECT_TRUE(std::filesystem::is_directory(path("a/b/c")));
  ASSERT_TRUE(write_file_atomically(path("file"), ""));
  EXPECT_FALSE(make_directory(path("file/x")));
  EXPECT_FALSE(make_directory(path("file")));
}

TEST_F(Files, TemporaryDirectoriesVanishWithTheirContent) {
  std::string gone;
  {
    const auto directory = TemporaryDirectory::create("gone");
    gone = directory->path();
    ASSERT_TRUE(make_directory(gone + "/a/b"));
    ASSERT_TRUE(write_file_atomically(gone + "/a/b/f", "x"));
  }
  EXPECT_FALSE(std::filesystem::exists(gone));
}

}  // namespace
}  // namespace bulkhead::process
