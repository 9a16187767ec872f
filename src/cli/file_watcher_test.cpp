#include "cli/file_watcher.h"

#include <gtest/gtest.h>
#include <poll.h>

#include "platform/process/file.h"

namespace bulkhead::cli {
namespace {

class FileWatcherTest : public ::testing::Test {
 protected:
  void write(const std::string& name, const std::string& text) {
    const std::string path = folder_->path() + "/" + name;
    ASSERT_TRUE(process::make_directory(path.substr(0, path.rfind('/'))));
    ASSERT_TRUE(process::write_file_atomically(path, text, 0644));
  }
  // Whether a change is reported; waits for one that should come.
  static bool changes(FileWatcher& watcher, int milliseconds) {
    pollfd waiting{.fd = watcher.fd(), .events = POLLIN, .revents = 0};
    bool changed = false;
    while (!changed && ::poll(&waiting, 1, milliseconds) > 0) changed = *watcher.take_changes();
    return changed;
  }
  Sha256Digest digest() { return *folder_digest(folder_->path()); }

  Result<process::TemporaryDirectory> folder_ = process::TemporaryDirectory::create("watched");
};

TEST_F(FileWatcherTest, ReportsWrittenMovedAndRemovedFilesBelow) {
  write("src/main.c", "1");
  auto watcher = FileWatcher::watch(folder_->path());
  ASSERT_TRUE(watcher);
  EXPECT_FALSE(changes(*watcher, 0));
  write("src/main.c", "2");
  EXPECT_TRUE(changes(*watcher, 2000));
  ASSERT_EQ(::unlink((folder_->path() + "/src/main.c").c_str()), 0);
  EXPECT_TRUE(changes(*watcher, 2000));
}

TEST_F(FileWatcherTest, WatchesFoldersThatAreMadeLater) {
  auto watcher = FileWatcher::watch(folder_->path());
  ASSERT_TRUE(watcher);
  ASSERT_TRUE(process::make_directory(folder_->path() + "/ui/pages"));
  EXPECT_TRUE(changes(*watcher, 2000));
  write("ui/pages/index.html", "1");
  EXPECT_TRUE(changes(*watcher, 2000));
}

TEST_F(FileWatcherTest, LeavesOutWhatBuildsAndEditorsMake) {
  ASSERT_TRUE(process::make_directory(folder_->path() + "/dist"));
  ASSERT_TRUE(process::make_directory(folder_->path() + "/target/release"));
  auto watcher = FileWatcher::watch(folder_->path());
  ASSERT_TRUE(watcher);
  const Sha256Digest before = digest();
  for (const char* name : {"dist/main.wasm", "target/release/x", ".git/HEAD", "main.c~", "x.tar.zst"}) write(name, "1");
  EXPECT_EQ(digest(), before);
  // Temporary files of an atomic write have hidden names too, so nothing at all is reported.
  EXPECT_FALSE(changes(*watcher, 100));
}

TEST_F(FileWatcherTest, TheDigestIsOfContentsNotOfTimes) {
  write("a", "1");
  const Sha256Digest before = digest();
  write("a", "1");
  EXPECT_EQ(digest(), before);
  write("a", "2");
  EXPECT_NE(digest(), before);
  write("a", "1");
  write("b", "");
  EXPECT_NE(digest(), before);
}

}  // namespace
}  // namespace bulkhead::cli
