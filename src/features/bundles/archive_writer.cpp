#include "features/bundles/archive_writer.h"

#include <archive.h>
#include <archive_entry.h>
#include <fcntl.h>
#include <unistd.h>
#include <zstd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "base/sha256.h"
#include "features/bundles/bundle_reader.h"
#include "features/bundles/paths.h"
#include "features/bundles/utf8_locale.h"

namespace bulkhead::bundles {
namespace {

constexpr std::size_t kChunk = std::size_t{128} * 1024;

Error io_error(const std::string& path) {
  const int reason = errno;
  return Error{.code = reason == ENOSPC || reason == EDQUOT ? ErrorCode::kStorageFull : ErrorCode::kInternal,
               .message = "The bundle could not be written.",
               .detail = path + ": " + std::strerror(reason),
               .fields = {},
               .cause = {}};
}

// A new file that takes the place of `path` only when it is whole.
class ReplacementFile {
 public:
  explicit ReplacementFile(std::string path) : path_(std::move(path)), part_(path_ + ".part") {}
  ~ReplacementFile() {
    if (descriptor_ < 0) return;
    ::close(descriptor_);
    ::unlink(part_.c_str());
  }
  ReplacementFile(const ReplacementFile&) = delete;
  ReplacementFile& operator=(const ReplacementFile&) = delete;

  Status open() {
    descriptor_ = ::open(part_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    return descriptor_ < 0 ? Status(fail(io_error(part_))) : Status();
  }
  Status write(std::string_view bytes) {
    while (!bytes.empty()) {
      const ssize_t put = ::write(descriptor_, bytes.data(), bytes.size());
      if (put < 0 && errno == EINTR) continue;
      if (put < 0) return fail(io_error(part_));
      bytes.remove_prefix(static_cast<std::size_t>(put));
    }
    return {};
  }
  Status finish() {
    if (::fsync(descriptor_) != 0) return fail(io_error(part_));
    ::close(descriptor_);
    descriptor_ = -1;
    return ::rename(part_.c_str(), path_.c_str()) == 0 ? Status() : Status(fail(io_error(path_)));
  }

 private:
  std::string path_;
  std::string part_;
  int descriptor_ = -1;
};

// Compresses into the file and hashes what it writes.
class PackedStream {
 public:
  explicit PackedStream(ReplacementFile& file) : file_(file), context_(ZSTD_createCCtx()), output_(kChunk) {
    BH_ASSERT(context_ != nullptr);
    set(ZSTD_c_compressionLevel, kZstdLevel);
    set(ZSTD_c_checksumFlag, 1);
    set(ZSTD_c_nbWorkers, 0);
  }
  ~PackedStream() { ZSTD_freeCCtx(context_); }
  PackedStream(const PackedStream&) = delete;
  PackedStream& operator=(const PackedStream&) = delete;

  Status write(std::string_view bytes) { return compress(bytes, ZSTD_e_continue); }
  Status finish() { return compress({}, ZSTD_e_end); }
  WrittenArchive result() { return {ContentHash::from_bytes(hash_.finish()), Bytes{written_}}; }

 private:
  void set(ZSTD_cParameter parameter, int value) {
    BH_ASSERT(!ZSTD_isError(ZSTD_CCtx_setParameter(context_, parameter, value)));
  }

  Status compress(std::string_view bytes, ZSTD_EndDirective directive) {
    ZSTD_inBuffer in{bytes.data(), bytes.size(), 0};
    for (bool more = true; more;) {
      ZSTD_outBuffer out{output_.data(), output_.size(), 0};
      const std::size_t left = ZSTD_compressStream2(context_, &out, &in, directive);
      if (ZSTD_isError(left)) return fail(ErrorCode::kInternal, "Compression failed.", ZSTD_getErrorName(left));
      const std::string_view piece(output_.data(), out.pos);
      hash_.update(piece);
      written_ += piece.size();
      BH_TRY_VOID(file_.write(piece));
      more = directive == ZSTD_e_end ? left != 0 : in.pos < in.size;
    }
    return {};
  }

  ReplacementFile& file_;
  ZSTD_CCtx* context_;
  std::vector<char> output_;
  Sha256 hash_;
  std::uint64_t written_ = 0;
};

// The tar, by libarchive, into a PackedStream.
class TarWriter {
 public:
  explicit TarWriter(PackedStream& stream) : stream_(stream), archive_(archive_write_new()) {
    BH_ASSERT(archive_ != nullptr);
    // ustar, with pax headers only for names that ustar can't hold.
    archive_write_set_format_pax_restricted(archive_);
    archive_write_add_filter_none(archive_);
    archive_write_set_bytes_in_last_block(archive_, 1);
  }
  ~TarWriter() { archive_write_free(archive_); }
  TarWriter(const TarWriter&) = delete;
  TarWriter& operator=(const TarWriter&) = delete;

  Status open() { return check(archive_write_open(archive_, this, nullptr, &TarWriter::take_bytes, nullptr)); }
  Status begin_file(const std::string& path, Bytes size) {
    const std::unique_ptr<archive_entry, decltype(&archive_entry_free)> entry(archive_entry_new(), &archive_entry_free);
    archive_entry_set_pathname(entry.get(), path.c_str());
    archive_entry_set_size(entry.get(), static_cast<la_int64_t>(size.value));
    archive_entry_set_filetype(entry.get(), AE_IFREG);
    archive_entry_set_perm(entry.get(), 0644);
    archive_entry_set_mtime(entry.get(), 0, 0);
    archive_entry_set_uid(entry.get(), 0);
    archive_entry_set_gid(entry.get(), 0);
    return check(archive_write_header(archive_, entry.get()));
  }
  Status write(std::string_view bytes) {
    const la_ssize_t put = archive_write_data(archive_, bytes.data(), bytes.size());
    if (put == static_cast<la_ssize_t>(bytes.size())) return {};
    return put < 0 ? check(static_cast<int>(put))
                   : Status(fail(ErrorCode::kBundleInvalid, "A file grew while it was packed."));
  }
  Status finish() { return check(archive_write_close(archive_)); }

 private:
  static la_ssize_t take_bytes(archive* handle, void* self, const void* bytes, std::size_t size) {
    auto& writer = *static_cast<TarWriter*>(self);
    if (Status put = writer.stream_.write({static_cast<const char*>(bytes), size}); !put) {
      writer.stream_error_ = std::move(put.error());
      archive_set_error(handle, EIO, "stream");
      return -1;
    }
    return static_cast<la_ssize_t>(size);
  }
  Status check(int outcome) {
    if (outcome == ARCHIVE_OK) return {};
    if (stream_error_) return fail(std::move(*stream_error_));
    const char* why = archive_error_string(archive_);
    return fail(ErrorCode::kInternal, "The tar archive could not be written.", why != nullptr ? why : "");
  }

  PackedStream& stream_;
  archive* archive_;
  std::optional<Error> stream_error_;
};

Status check_files(const std::vector<PackedFile>& files) {
  const ArchiveLimits limits;
  EntryNames names;
  Bytes total;
  if (files.size() > limits.entries)
    return fail(ErrorCode::kBundleTooLarge, "There are more than 10,000 files to pack.");
  for (const PackedFile& file : files) {
    BH_TRY_VOID(names.add_file(file.path));
    if (file.size() > limits.file) {
      return fail(ErrorCode::kBundleTooLarge, file.path + " is larger than " + to_string(limits.file) + ".");
    }
    total.value += file.size().value;
  }
  if (total > limits.unpacked) {
    return fail(ErrorCode::kBundleTooLarge, "The files are larger than " + to_string(limits.unpacked) + " together.");
  }
  return {};
}

Status copy_from_disk(const PackedFile::OnDisk& file, TarWriter& tar, const std::function<void(std::size_t)>& advance) {
  BH_TRY(auto source, open_file_source(file.path));
  std::vector<char> chunk(kChunk);
  std::uint64_t copied = 0;
  for (;;) {
    BH_TRY(const std::size_t got, source->read(chunk));
    if (got == 0) break;
    copied += got;
    if (copied > file.size.value) break;
    BH_TRY_VOID(tar.write({chunk.data(), got}));
    advance(got);
  }
  if (copied != file.size.value) {
    return fail(ErrorCode::kBundleInvalid, "A file changed while it was packed: " + file.path + ".");
  }
  return {};
}

}  // namespace

Bytes PackedFile::size() const {
  if (const auto* text = std::get_if<std::string>(&content)) return Bytes{text->size()};
  return std::get<OnDisk>(content).size;
}

Result<WrittenArchive> write_archive(std::vector<PackedFile> files, const std::string& out_path,
                                     const Progress& progress) {
  BH_TRY_VOID(check_files(files));
  std::ranges::sort(files, {}, &PackedFile::path);
  Bytes done, total;
  for (const PackedFile& file : files) total.value += file.size().value;
  const auto advance = [&](std::size_t count) {
    done.value += count;
    if (progress) progress(done, total);
  };

  const Utf8Locale names_are_utf8;
  ReplacementFile out(out_path);
  BH_TRY_VOID(out.open());
  PackedStream stream(out);
  TarWriter tar(stream);
  BH_TRY_VOID(tar.open());
  for (const PackedFile& file : files) {
    BH_TRY_VOID(tar.begin_file(file.path, file.size()));
    if (const auto* text = std::get_if<std::string>(&file.content)) {
      BH_TRY_VOID(tar.write(*text));
      advance(text->size());
    } else {
      BH_TRY_VOID(copy_from_disk(std::get<PackedFile::OnDisk>(file.content), tar, advance));
    }
  }
  BH_TRY_VOID(tar.finish());
  BH_TRY_VOID(stream.finish());
  BH_TRY_VOID(out.finish());
  return stream.result();
}

}  // namespace bulkhead::bundles
