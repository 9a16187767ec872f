// SeriesTable: what extensions count with metrics.counter, metrics.gauge and metrics.histogram, per install.
//
// A guest can't make it grow without end: at most 100 names and 1,000 series (a name with one set of label values) for
// an install, 1,000 installs at once; beyond that a call is refused and what is there goes on. In memory, of this node,
// since its start. Thread-safe: shards behind mutexes.
#pragma once

#include <array>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/error.h"
#include "base/ids.h"
#include "base/json.h"
#include "base/time.h"

namespace bulkhead::extension_metrics {

inline constexpr std::size_t kMaxNames = 100;
inline constexpr std::size_t kMaxSeries = 1'000;
inline constexpr std::size_t kMaxInstalls = 1'000;

enum class Kind : std::uint8_t { kCounter, kGauge, kHistogram };
std::string_view to_string(Kind kind);

// Upper bounds of a histogram's buckets: 1 ms to 10 s where the unit is seconds.
inline constexpr std::array<double, 12> kBounds = {0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10};

struct Sample {
  Kind kind = Kind::kCounter;
  std::string name;
  std::map<std::string, std::string> labels;
  double value = 0;
};

class SeriesTable {
 public:
  explicit SeriesTable(const Clock& clock);
  ~SeriesTable();

  // kConflict: the name is of another kind. kQuotaExceeded: too many names, series or installs.
  Status record(const InstallId& install, const Sample& sample);
  // Of one install: the Prometheus text format; and [{"name","kind","labels",…}].
  std::string text(const InstallId& install) const;
  json::array series(const InstallId& install) const;
  std::size_t series_count() const;

 private:
  struct Shard;
  static constexpr std::size_t kShards = 16;
  Shard& shard_of(const InstallId& install) const;

  const Clock& clock_;
  std::array<std::unique_ptr<Shard>, kShards> shards_;
};

}  // namespace bulkhead::extension_metrics
