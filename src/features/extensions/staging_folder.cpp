#include "features/extensions/staging_folder.h"

#include <sys/stat.h>
#include <unistd.h>

#include <ctime>
#include <filesystem>

#include "base/sha256.h"
#include "platform/process/file.h"

namespace bulkhead::extensions {
namespace {

constexpr std::size_t kPiece = std::size_t{256} * 1024;
constexpr std::time_t kAbandonedSeconds = 24 * 3600;

void remove_abandoned(const std::string& folder) {
  const std::time_t now = ::time(nullptr);  // compared with the file system's own times
  std::error_code ignored;
  for (const auto& item : std::filesystem::directory_iterator(folder, ignored)) {
    struct stat info{};
    const std::string path = item.path().string();
    if (::lstat(path.c_str(), &info) != 0 || !S_ISREG(info.st_mode)) continue;
    if (now - info.st_mtime > kAbandonedSeconds) ::unlink(path.c_str());
  }
}

// Fills `piece` from the body as far as it goes.
Task<Result<std::size_t>> fill(net::BodyReader& body, std::string& piece) {
  std::size_t used = 0;
  while (used < piece.size()) {
    BH_CO_TRY(const std::size_t got, co_await body.read({piece.data() + used, piece.size() - used}));
    if (got == 0) break;
    used += got;
  }
  co_return used;
}

}  // namespace

StagedFile::~StagedFile() {
  if (!path_.empty()) ::unlink(path_.c_str());
}

Result<StagingFolder> StagingFolder::open(std::string path, Random& random) {
  BH_TRY_VOID(process::make_directory(path));
  remove_abandoned(path);
  return StagingFolder(std::move(path), random);
}

StagedFile StagingFolder::new_file() const { return StagedFile(path_ + "/" + Uuid::v4(random_).to_string()); }

Task<Result<ReceivedUpload>> StagingFolder::receive(net::BodyReader& body, Bytes limit, ThreadPool& pool) const {
  StagedFile file = new_file();
  BH_CO_TRY(auto out, co_await pool.run([path = file.path()] { return process::create_new_file(path); }));
  Sha256 hash;
  Bytes size;
  std::string piece(kPiece, '\0');
  for (;;) {
    BH_CO_TRY(const std::size_t used, co_await fill(body, piece));
    if (used == 0) break;
    size.value += used;
    if (size > limit) {
      co_return fail(ErrorCode::kPayloadTooLarge, "The bundle is larger than " + to_string(limit) + ".");
    }
    const std::string_view bytes(piece.data(), used);
    BH_CO_TRY_VOID(co_await pool.run([&out, &hash, bytes]() -> Status {
      hash.update(bytes);
      return process::write_all(out.get(), bytes);
    }));
    if (used < piece.size()) break;
  }
  co_return ReceivedUpload{std::move(file), ContentHash::from_bytes(hash.finish()), size};
}

}  // namespace bulkhead::extensions
