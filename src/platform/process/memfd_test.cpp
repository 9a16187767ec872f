#include "platform/process/memfd.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include "platform/process/file.h"

namespace bulkhead::process {
namespace {

TEST(Memfd, CanNoLongerBeChanged) {
  const auto fd = make_sealed_memfd("test", "module bytes").value();
  EXPECT_EQ(::pwrite(fd.get(), "X", 1, 0), -1);
  EXPECT_EQ(::ftruncate(fd.get(), 3), -1);
  EXPECT_EQ(::ftruncate(fd.get(), 300), -1);
  EXPECT_EQ(::mmap(nullptr, 12, PROT_WRITE, MAP_SHARED, fd.get(), 0), MAP_FAILED);
  EXPECT_EQ(::fcntl(fd.get(), F_ADD_SEALS, F_SEAL_FUTURE_WRITE), -1);
  EXPECT_EQ(verify_sealed(fd.get())->value, 12U);
  EXPECT_EQ(read_all(fd.get(), 1_KiB).value(), "module bytes");
}

TEST(Memfd, MayBeMappedExecutable) {
  const auto fd = make_sealed_memfd("test", std::string(4096, '\xC3')).value();
  void* mapped = ::mmap(nullptr, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE, fd.get(), 0);
  ASSERT_NE(mapped, MAP_FAILED);
  ::munmap(mapped, 4096);
}

TEST(Memfd, CopiesAFileFromItsBeginning) {
  const auto directory = TemporaryDirectory::create("memfd").value();
  const auto path = directory.path() + "/f";
  const std::string content(700'000, 'z');
  ASSERT_TRUE(write_file_atomically(path, content));
  const auto file = open_for_reading(path).value();
  ASSERT_EQ(::lseek(file.get(), 5, SEEK_SET), 5);
  const auto copy = copy_to_sealed_memfd("test", file.get(), 1_MiB).value();
  EXPECT_EQ(verify_sealed(copy.get())->value, content.size());
  EXPECT_EQ(read_all(copy.get(), 1_MiB).value(), content);
  EXPECT_EQ(copy_to_sealed_memfd("test", file.get(), 1_KiB).error().code, ErrorCode::kPayloadTooLarge);
}

TEST(Memfd, WithoutAllSealsIsRefused) {
  const UniqueFd none(::memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  EXPECT_EQ(verify_sealed(none.get()).error().code, ErrorCode::kBadRequest);
  ASSERT_EQ(::fcntl(none.get(), F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SEAL), 0);
  EXPECT_FALSE(verify_sealed(none.get()));
  const UniqueFd file(::open("/etc/passwd", O_RDONLY | O_CLOEXEC));
  EXPECT_FALSE(verify_sealed(file.get()));
}

}  // namespace
}  // namespace bulkhead::process
