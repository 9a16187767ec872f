// Journal: the crash-safe trail of executions between dispatch and SQL (contracts/extensions.md §4).
//
// `append_start` before dispatch and `append_end` before the answer copy one record into a memory-mapped file: no
// system call, and the kernel keeps the bytes when the process is killed. (A power cut may lose the last seconds of the
// trail; the executions' own effects are durable on their own.) Segments have a fixed size; a segment is deleted once
// every execution whose start or end it holds is in SQL (`settled`). After a crash `recover` reads what is left: pairs,
// and starts without an end.
//
// One Journal per core, used by that core's thread only. Errors: kStorageFull when no segment can be made or the limit
// of segments is reached (SQL has not taken anything for long): the caller refuses the call, since it can't be logged.
#pragma once

#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/bytes.h"
#include "base/error.h"
#include "features/executions/execution_record.h"

namespace bulkhead::executions {

struct JournalOptions {
  std::string directory;
  std::string name;  // file prefix, one per core: "core0"
  Bytes segment_size = 8_MiB;
  std::size_t max_segments = 64;
};

class Journal {
 public:
  static Result<std::unique_ptr<Journal>> open(JournalOptions options);
  ~Journal();
  Journal(const Journal&) = delete;
  Journal& operator=(const Journal&) = delete;

  Status append_start(const ExecutionStart& start);
  // Space for it was kept back by append_start, except for logs, which are dropped when they do not fit.
  Status append_end(const ExecutionEnd& end);
  // The execution is in SQL: its records are no longer needed.
  void settled(const ExecutionId& id);
  std::size_t segment_count() const { return segments_.size(); }

  struct Recovered {
    std::vector<Execution> finished;
    std::vector<ExecutionStart> unfinished;
    std::vector<std::string> files;  // delete them once all of the above is in SQL
  };
  // Reads every segment that earlier processes left in `directory`. Call before `open`.
  static Result<Recovered> recover(const std::string& directory);

 private:
  struct Segment;
  explicit Journal(JournalOptions options);
  // Writes the record so that `reserve` bytes stay free behind it.
  Status append(std::string_view payload, const ExecutionId& id, std::size_t reserve);
  Status add_segment();
  void release(Segment& segment);

  JournalOptions options_;
  std::deque<std::unique_ptr<Segment>> segments_;  // the last one is being written
  struct Places {
    Segment* start = nullptr;
    Segment* end = nullptr;
  };
  std::unordered_map<ExecutionId, Places> open_;
  std::uint64_t next_number_ = 0;
  std::size_t in_flight_ = 0;  // starts without an end; each has kEndReserve bytes kept back in the last segment
  std::string scratch_;
};

}  // namespace bulkhead::executions
