#include "platform/process/memfd.h"

#include <fcntl.h>
#include <sys/mman.h>

#include <cerrno>

#include "platform/process/errno_error.h"
#include "platform/process/file.h"

#ifndef MFD_EXEC
#define MFD_EXEC 0x0010U  // Linux 6.3; Debian 12's headers are 6.1
#endif

namespace bulkhead::process {
namespace {

constexpr int kSeals = F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL;

Result<UniqueFd> make_memfd(const char* name) {
  constexpr unsigned kFlags = MFD_CLOEXEC | MFD_ALLOW_SEALING;
  UniqueFd fd(::memfd_create(name, kFlags | MFD_EXEC));
  // Kernels before 6.3 refuse the flag and always make executable files.
  if (!fd && errno == EINVAL) fd.reset(::memfd_create(name, kFlags));
  if (!fd) return fail_errno(errno, "memfd_create", name);
  return fd;
}

Result<UniqueFd> seal(UniqueFd fd) {
  if (::fcntl(fd.get(), F_ADD_SEALS, kSeals) != 0) return fail_errno(errno, "F_ADD_SEALS");
  if (::lseek(fd.get(), 0, SEEK_SET) < 0) return fail_errno(errno, "lseek");
  return fd;
}

}  // namespace

Result<UniqueFd> make_sealed_memfd(const char* name, std::string_view bytes) {
  BH_TRY(auto fd, make_memfd(name));
  BH_TRY_VOID(write_all(fd.get(), bytes));
  return seal(std::move(fd));
}

Result<UniqueFd> copy_to_sealed_memfd(const char* name, int from, Bytes at_most) {
  BH_TRY(auto fd, make_memfd(name));
  if (::lseek(from, 0, SEEK_SET) < 0) return fail_errno(errno, "lseek");
  BH_TRY(const auto copied, copy_all(from, fd.get(), at_most));
  static_cast<void>(copied);
  return seal(std::move(fd));
}

Result<Bytes> verify_sealed(int fd) {
  const int seals = ::fcntl(fd, F_GET_SEALS);
  if (seals < 0 || (seals & kSeals) != kSeals) {
    return fail(ErrorCode::kBadRequest, "The file is not a sealed memory file.");
  }
  return file_size(fd);
}

}  // namespace bulkhead::process
