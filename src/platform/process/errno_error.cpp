#include "platform/process/errno_error.h"

#include <cerrno>
#include <system_error>

namespace bulkhead::process {
namespace {

ErrorCode code_of(int error) {
  switch (error) {
    case ENOENT:
      return ErrorCode::kNotFound;
    case EEXIST:
      return ErrorCode::kAlreadyExists;
    case ENOSPC:
    case EDQUOT:
      return ErrorCode::kStorageFull;
    case ELOOP:
    case EXDEV:
    case ENOTDIR:
    case ENAMETOOLONG:
    case EISDIR:
    case ENXIO:  // a fifo or socket where a file should be
      return ErrorCode::kInvalidPath;
    case EMFILE:
    case ENFILE:
    case ENOMEM:
    case EAGAIN:
      return ErrorCode::kOverloaded;
    default:
      return ErrorCode::kInternal;
  }
}

}  // namespace

std::unexpected<Error> fail_errno(int error, std::string_view operation, std::string_view subject) {
  std::string detail(operation);
  if (!subject.empty()) detail.append(" ").append(subject);
  detail.append(": ").append(std::generic_category().message(error));
  return fail(code_of(error), {}, std::move(detail));
}

}  // namespace bulkhead::process
