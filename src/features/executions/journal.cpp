#include "features/executions/journal.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstring>

#include "base/byte_codec.h"
#include "base/crc32.h"

namespace bulkhead::executions {
namespace {

// Segment file: 8 bytes of magic, then records: u32 size (written last: 0 = end of the trail), u32 CRC-32 of the
// payload, payload; each record starts on a multiple of 8. Payload: u8 kind of record, then fields.
constexpr std::string_view kMagic = "BHJRNL01";
constexpr std::uint8_t kStartRecord = 1;
constexpr std::uint8_t kEndRecord = 2;
constexpr std::size_t kRecordHeader = 8;
constexpr std::size_t kMaxPayload = 512 * 1024;
constexpr std::size_t kEndReserve = 1024;  // an end without logs fits: its texts are cut to kMaxText
constexpr std::size_t kMaxText = 512;
constexpr std::string_view kSuffix = ".journal";

template <typename IdType>
void write_id(ByteWriter& writer, const IdType& id) {
  const auto& bytes = id.uuid().bytes();
  writer.raw({reinterpret_cast<const char*>(bytes.data()), bytes.size()});
}

template <typename IdType>
IdType read_id(ByteReader& reader) {
  std::array<std::uint8_t, 16> bytes{};
  const std::string_view raw = reader.raw(bytes.size());
  if (raw.size() == bytes.size()) std::memcpy(bytes.data(), raw.data(), raw.size());
  return IdType(Uuid::from_bytes(bytes));
}

void encode(std::string& out, const ExecutionStart& start) {
  ByteWriter writer(out);
  writer.number(kStartRecord);
  write_id(writer, start.id);
  write_id(writer, start.tenant_id);
  write_id(writer, start.install_id);
  write_id(writer, start.extension_id);
  write_id(writer, start.version_id);
  writer.number(static_cast<std::uint8_t>(start.kind));
  writer.number(start.started_at.value);
  writer.text(start.request_id);
  writer.text(start.trace_id);
  writer.text(start.method);
  writer.text(start.path);
}

void encode(std::string& out, const ExecutionEnd& end) {
  ByteWriter writer(out);
  writer.number(kEndRecord);
  write_id(writer, end.id);
  writer.number(static_cast<std::uint8_t>(end.status));
  writer.number(static_cast<std::int32_t>(end.http_status));
  writer.text(std::string_view(end.error_code).substr(0, 64));
  writer.text(std::string_view(end.error_message).substr(0, kMaxText));
  writer.number(end.ended_at.value);
  writer.number(end.cpu_us);
  writer.number(end.memory_bytes);
  writer.number(end.egress_bytes);
  writer.number(end.host_calls);
  writer.text(end.logs_json);
}

std::optional<ExecutionStart> decode_start(ByteReader& reader) {
  ExecutionStart start;
  start.id = read_id<ExecutionId>(reader);
  start.tenant_id = read_id<TenantId>(reader);
  start.install_id = read_id<InstallId>(reader);
  start.extension_id = read_id<ExtensionId>(reader);
  start.version_id = read_id<VersionId>(reader);
  const auto kind = reader.number<std::uint8_t>();
  if (kind > static_cast<std::uint8_t>(ExecutionKind::kTest)) return std::nullopt;
  start.kind = static_cast<ExecutionKind>(kind);
  start.started_at = {reader.number<std::int64_t>()};
  start.request_id = reader.text();
  start.trace_id = reader.text();
  start.method = reader.text();
  start.path = reader.text();
  if (!reader.ok_and_done()) return std::nullopt;
  return start;
}

std::optional<ExecutionEnd> decode_end(ByteReader& reader) {
  ExecutionEnd end;
  end.id = read_id<ExecutionId>(reader);
  const auto status = reader.number<std::uint8_t>();
  if (status > static_cast<std::uint8_t>(ExecutionStatus::kUpstreamError)) return std::nullopt;
  end.status = static_cast<ExecutionStatus>(status);
  end.http_status = reader.number<std::int32_t>();
  end.error_code = reader.text();
  end.error_message = reader.text();
  end.ended_at = {reader.number<std::int64_t>()};
  end.cpu_us = reader.number<std::uint64_t>();
  end.memory_bytes = reader.number<std::uint64_t>();
  end.egress_bytes = reader.number<std::uint64_t>();
  end.host_calls = reader.number<std::uint32_t>();
  end.logs_json = reader.text();
  if (!reader.ok_and_done()) return std::nullopt;
  return end;
}

std::size_t padded(std::size_t size) { return (size + 7) & ~std::size_t{7}; }

std::string errno_text(const char* what, const std::string& path) {
  return std::string(what) + " " + path + ": " + std::strerror(errno);
}

// Calls `visit` with each intact record's payload, in order, up to the first that is not whole.
template <typename Visit>
void for_each_record(std::string_view file, Visit visit) {
  if (!file.starts_with(kMagic)) return;
  std::size_t at = kMagic.size();
  while (at + kRecordHeader <= file.size()) {
    ByteReader header(file.substr(at, kRecordHeader));
    const auto size = header.number<std::uint32_t>();
    const auto checksum = header.number<std::uint32_t>();
    if (size == 0 || size > kMaxPayload || at + kRecordHeader + size > file.size()) return;
    const std::string_view payload = file.substr(at + kRecordHeader, size);
    if (crc32(payload) != checksum) return;
    visit(payload);
    at += padded(kRecordHeader + size);
  }
}

Result<std::string> read_whole(const std::string& path) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
  if (fd < 0) return fail(ErrorCode::kInternal, "", errno_text("open", path));
  std::string bytes;
  struct stat info{};
  if (::fstat(fd, &info) == 0) bytes.resize(static_cast<std::size_t>(info.st_size));
  std::size_t have = 0;
  while (have < bytes.size()) {
    const ssize_t got = ::read(fd, bytes.data() + have, bytes.size() - have);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) break;
    have += static_cast<std::size_t>(got);
  }
  ::close(fd);
  bytes.resize(have);
  return bytes;
}

}  // namespace

struct Journal::Segment {
  std::string path;
  char* map = nullptr;
  std::size_t size = 0;
  std::size_t used = 0;
  std::size_t references = 0;  // starts and ends of executions that are not settled

  ~Segment() {
    if (map != nullptr) ::munmap(map, size);
  }
};

Journal::Journal(JournalOptions options) : options_(std::move(options)) {}
Journal::~Journal() {
  // What nobody needs any more is not left for the next start to read.
  for (const auto& segment : segments_) {
    if (segment->references == 0) ::unlink(segment->path.c_str());
  }
}

Result<std::unique_ptr<Journal>> Journal::open(JournalOptions options) {
  std::unique_ptr<Journal> journal(new Journal(std::move(options)));
  BH_TRY_VOID(journal->add_segment());
  return journal;
}

Status Journal::add_segment() {
  if (segments_.size() >= options_.max_segments) {
    return fail(ErrorCode::kStoreUnavailable, "The execution log can't be written; calls are refused until it can.",
                "the journal's limit of segments is reached");
  }
  auto segment = std::make_unique<Segment>();
  segment->size = options_.segment_size.value;
  // The process id keeps a new process from writing into a file that a replay still reads.
  segment->path = options_.directory + "/" + options_.name + "-" + std::to_string(::getpid()) + "-" +
                  std::to_string(next_number_++) + std::string(kSuffix);
  const int fd = ::open(segment->path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (fd < 0) return fail(ErrorCode::kStorageFull, "", errno_text("create", segment->path));
  // Allocated now, so that a full disk is an error here and not a SIGBUS at the first write to the mapping.
  const int allocated = ::posix_fallocate(fd, 0, static_cast<off_t>(segment->size));
  void* map = allocated == 0 ? ::mmap(nullptr, segment->size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0) : MAP_FAILED;
  ::close(fd);
  if (map == MAP_FAILED) {
    ::unlink(segment->path.c_str());
    return fail(ErrorCode::kStorageFull, "The disk is full; calls are refused until there is space for their log.",
                "allocating " + segment->path);
  }
  segment->map = static_cast<char*>(map);
  std::memcpy(segment->map, kMagic.data(), kMagic.size());
  segment->used = kMagic.size();
  if (!segments_.empty() && segments_.back()->references == 0) {
    Segment& idle = *segments_.back();
    ::unlink(idle.path.c_str());
    segments_.pop_back();
  }
  segments_.push_back(std::move(segment));
  return {};
}

Status Journal::append(std::string_view payload, const ExecutionId& id, std::size_t reserve) {
  if (payload.size() > kMaxPayload) return fail(ErrorCode::kInternal, "", "journal record too large");
  const std::size_t needed = padded(kRecordHeader + payload.size());
  const std::size_t wanted = needed + reserve + sizeof(std::uint32_t);
  if (segments_.back()->used + wanted > segments_.back()->size) {
    if (kMagic.size() + wanted > options_.segment_size.value) {
      return fail(ErrorCode::kOverloaded, "Too many calls are in flight.", "the journal can't reserve their ends");
    }
    BH_TRY_VOID(add_segment());
  }
  Segment& segment = *segments_.back();
  char* to = segment.map + segment.used;
  const std::uint32_t checksum = crc32(payload);
  std::memcpy(to + 4, &checksum, sizeof checksum);
  std::memcpy(to + kRecordHeader, payload.data(), payload.size());
  // The size makes the record visible to a replay, so it comes last.
  std::atomic_ref<std::uint32_t>(*reinterpret_cast<std::uint32_t*>(to))
      .store(static_cast<std::uint32_t>(payload.size()), std::memory_order_release);
  segment.used += needed;
  ++segment.references;
  Places& places = open_[id];
  (places.start == nullptr ? places.start : places.end) = &segment;
  return {};
}

Status Journal::append_start(const ExecutionStart& start) {
  scratch_.clear();
  encode(scratch_, start);
  BH_TRY_VOID(append(scratch_, start.id, (in_flight_ + 1) * kEndReserve));
  ++in_flight_;
  return {};
}

Status Journal::append_end(const ExecutionEnd& end) {
  BH_ASSERT(in_flight_ > 0);
  scratch_.clear();
  encode(scratch_, end);
  auto appended = append(scratch_, end.id, (in_flight_ - 1) * kEndReserve);
  if (!appended && !end.logs_json.empty()) {
    ExecutionEnd without_logs = end;
    without_logs.logs_json.clear();
    scratch_.clear();
    encode(scratch_, without_logs);
    appended = append(scratch_, end.id, (in_flight_ - 1) * kEndReserve);
  }
  if (appended) --in_flight_;
  return appended;
}

void Journal::release(Segment& segment) {
  if (--segment.references > 0 || &segment == segments_.back().get()) return;
  ::unlink(segment.path.c_str());
  std::erase_if(segments_, [&](const auto& held) { return held.get() == &segment; });
}

void Journal::settled(const ExecutionId& id) {
  const auto found = open_.find(id);
  if (found == open_.end()) return;
  const Places places = found->second;
  open_.erase(found);
  // Both before either is freed: they may be the same segment.
  if (places.end != nullptr) release(*places.end);
  if (places.start != nullptr) release(*places.start);
}

Result<Journal::Recovered> Journal::recover(const std::string& directory) {
  Recovered recovered;
  DIR* listing = ::opendir(directory.c_str());
  if (listing == nullptr) return fail(ErrorCode::kInternal, "", errno_text("opendir", directory));
  while (const dirent* entry = ::readdir(listing)) {
    const std::string_view name = entry->d_name;
    if (name.ends_with(kSuffix)) recovered.files.push_back(directory + "/" + std::string(name));
  }
  ::closedir(listing);

  std::unordered_map<ExecutionId, ExecutionStart> starts;
  std::unordered_map<ExecutionId, ExecutionEnd> ends;
  for (const std::string& path : recovered.files) {
    BH_TRY(const std::string bytes, read_whole(path));
    for_each_record(bytes, [&](std::string_view payload) {
      ByteReader reader(payload);
      const auto kind = reader.number<std::uint8_t>();
      if (kind == kStartRecord) {
        if (auto start = decode_start(reader)) starts.emplace(start->id, std::move(*start));
      } else if (kind == kEndRecord) {
        if (auto end = decode_end(reader)) ends.emplace(end->id, std::move(*end));
      }
    });
  }
  for (auto& [id, start] : starts) {
    const auto end = ends.find(id);
    if (end == ends.end()) {
      recovered.unfinished.push_back(std::move(start));
    } else {
      recovered.finished.push_back({std::move(start), std::move(end->second)});
    }
  }
  // An end whose start's segment is gone was settled before: segments go only when all they hold is in SQL.
  return recovered;
}

}  // namespace bulkhead::executions
