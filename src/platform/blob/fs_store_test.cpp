// What only the file system store promises. What every store promises is in store_test.cpp.
#include "platform/blob/fs_store.h"

#include <gtest/gtest.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <utime.h>

#include <csignal>
#include <filesystem>
#include <thread>

#include "platform/blob/stores.h"
#include "platform/process/file.h"

namespace bulkhead::blob {
namespace {

class FsBlobsTest : public testing::Test {
 protected:
  std::string path(std::string_view below) const { return directory_.path() + "/" + std::string(below); }
  FsBlobs open() const { return std::move(*FsBlobs::open(path("root"))); }

 private:
  process::TemporaryDirectory directory_ = std::move(*process::TemporaryDirectory::create("fs-store"));
};

TEST_F(FsBlobsTest, KeepsBlobsReadOnlyUnderTheirKey) {
  ASSERT_TRUE(open().put("sha256/ab/bundle.tar.zst", "content"));
  struct stat info{};
  ASSERT_EQ(::stat(path("root/sha256/ab/bundle.tar.zst").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777U, 0444U);
  EXPECT_TRUE(std::filesystem::is_empty(path("root/.incoming")));
}

TEST_F(FsBlobsTest, NeverFollowsALinkOutOfItsRoot) {
  const auto blobs = open();
  ASSERT_TRUE(process::make_directory(path("outside")));
  ASSERT_TRUE(process::write_file_atomically(path("outside/secret"), "secret"));
  std::filesystem::create_symlink(path("outside"), path("root/link"));
  EXPECT_EQ(blobs.get("link/secret", 1_KiB).error().code, ErrorCode::kInvalidPath);
  EXPECT_EQ(blobs.put("link/new", "x").error().code, ErrorCode::kInvalidPath);
  EXPECT_FALSE(blobs.remove("link/secret"));
  EXPECT_TRUE(std::filesystem::exists(path("outside/secret")));
  EXPECT_TRUE(blobs.list("", 10)->empty());
}

TEST_F(FsBlobsTest, RemovesDirectoriesThatBecameEmpty) {
  const auto blobs = open();
  ASSERT_TRUE(blobs.put("a/b/one", "1"));
  ASSERT_TRUE(blobs.put("a/two", "2"));
  ASSERT_TRUE(blobs.remove("a/b/one"));
  EXPECT_FALSE(std::filesystem::exists(path("root/a/b")));
  EXPECT_TRUE(std::filesystem::exists(path("root/a/two")));
}

TEST_F(FsBlobsTest, RemovesWhatAKilledWriterLeftADayAgo) {
  static_cast<void>(open());
  ASSERT_TRUE(process::write_file_atomically(path("root/.incoming/old"), "x"));
  ASSERT_TRUE(process::write_file_atomically(path("root/.incoming/young"), "x"));
  const utimbuf two_days_ago{.actime = 0, .modtime = ::time(nullptr) - 2 * 24 * 3600};
  ASSERT_EQ(::utime(path("root/.incoming/old").c_str(), &two_days_ago), 0);
  static_cast<void>(open());
  EXPECT_FALSE(std::filesystem::exists(path("root/.incoming/old")));
  EXPECT_TRUE(std::filesystem::exists(path("root/.incoming/young")));
}

TEST_F(FsBlobsTest, MovesAFileOfTheSameFileSystem) {
  ASSERT_TRUE(process::write_file_atomically(path("file"), "content"));
  struct stat before{};
  ASSERT_EQ(::stat(path("file").c_str(), &before), 0);
  ASSERT_TRUE(open().put_file("a/b", path("file")));
  struct stat after{};
  ASSERT_EQ(::stat(path("root/a/b").c_str(), &after), 0);
  EXPECT_EQ(before.st_ino, after.st_ino);
}

TEST_F(FsBlobsTest, SurvivesAFullDisk) {
  ASSERT_TRUE(process::make_directory(path("root")));
  if (::mount("tmpfs", path("root").c_str(), "tmpfs", 0, "size=256k") != 0) return;  // needs CAP_SYS_ADMIN
  {
    const auto blobs = open();
    EXPECT_EQ(blobs.put("big", std::string(400'000, 'x')).error().code, ErrorCode::kStorageFull);
    EXPECT_TRUE(std::filesystem::is_empty(path("root/.incoming")));
    EXPECT_TRUE(blobs.put("small", "fits"));
    // A file of another file system is copied.
    ASSERT_TRUE(process::write_file_atomically(path("file"), "from elsewhere"));
    EXPECT_TRUE(blobs.put_file("copied", path("file")));
    EXPECT_EQ(blobs.get("copied", 1_KiB).value(), "from elsewhere");
    EXPECT_TRUE(blobs.check());
    std::string filler(200'000, 'x');
    while (!filler.empty() && !process::write_file_atomically(path("root/.incoming/filler"), filler)) {
      filler.resize(filler.size() - 4096);
    }
    const process::UniqueFd more(::open(path("root/.incoming/more").c_str(), O_WRONLY | O_CREAT, 0600));
    while (::write(more.get(), filler.data(), 4096) > 0) {
    }
    EXPECT_EQ(blobs.check().error().code, ErrorCode::kStorageFull);
  }
  ::umount2(path("root").c_str(), MNT_DETACH);
}

TEST_F(FsBlobsTest, WritersOfTheSameBlobAllSucceedWhileItsFolderComesAndGoes) {
  const auto blobs = open();
  std::atomic<int> failed = 0;
  const auto work = [&](bool removes) {
    for (int i = 0; i < 300; ++i) {
      if (!blobs.put("folder/blob", "the same")) ++failed;
      if (removes && !blobs.remove("folder/blob")) ++failed;
    }
  };
  std::thread one(work, false);
  std::thread two(work, false);
  std::thread three(work, true);
  one.join();
  two.join();
  three.join();
  EXPECT_EQ(failed, 0);
}

// kill -9 at any moment: a blob that can be read is whole.
TEST_F(FsBlobsTest, AKilledWriterLeavesNoPartOfABlob) {
  const std::string content(2'000'000, 'x');
  for (int round = 0; round < 20; ++round) {
    const pid_t writer = ::fork();
    if (writer == 0) {
      const auto blobs = open();
      for (int i = 0;; ++i) static_cast<void>(blobs.put(std::to_string(round) + "/" + std::to_string(i), content));
    }
    // Until it has written one, then somewhere in the middle of another.
    while (!std::filesystem::exists(path("root/" + std::to_string(round) + "/0"))) ::usleep(100);
    ::usleep(static_cast<unsigned>(round) * 150);
    ::kill(writer, SIGKILL);
    ::waitpid(writer, nullptr, 0);
    const auto blobs = open();
    const auto keys = blobs.list("", 10'000).value();
    EXPECT_FALSE(keys.empty());
    for (const auto& key : keys) {
      EXPECT_EQ(blobs.info(key)->size.value, content.size()) << key;
      ASSERT_TRUE(blobs.remove(key));
    }
  }
}

TEST(FsStore, SaysWhenItsRootCanNotBeMade) {
  EXPECT_FALSE(make_fs_store({.root = "/proc/no/such/place"}));
  EXPECT_FALSE(make_fs_store({.root = "/etc/passwd"}));
}

}  // namespace
}  // namespace bulkhead::blob
