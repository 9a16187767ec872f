#include "features/extension_metrics/series_table.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace bulkhead::extension_metrics {
namespace {

// An install that has not counted anything for so long makes room for another.
constexpr Millis kIdle = std::chrono::hours(24);

struct Series {
  std::map<std::string, std::string> labels;
  double value = 0;  // of a histogram: the sum
  std::uint64_t count = 0;
  std::array<std::uint64_t, kBounds.size() + 1> buckets{};
};

struct Family {
  Kind kind = Kind::kCounter;
  std::map<std::map<std::string, std::string>, Series> series;
};

struct Install {
  std::map<std::string, Family> families;
  std::size_t series = 0;
  SteadyTime last;
};

void add(Series& series, const Sample& sample) {
  switch (sample.kind) {
    case Kind::kCounter:
      series.value += sample.value;
      return;
    case Kind::kGauge:
      series.value = sample.value;
      return;
    case Kind::kHistogram:
      series.value += sample.value;
      ++series.count;
      const auto bucket = std::ranges::lower_bound(kBounds, sample.value) - kBounds.begin();
      ++series.buckets.at(static_cast<std::size_t>(bucket));
  }
}

std::string escaped(std::string_view value) {
  std::string text;
  for (const char c : value) {
    if (c == '\n') {
      text += "\\n";
      continue;
    }
    if (c == '\\' || c == '"') text += '\\';
    text += c;
  }
  return text;
}

std::string labels_text(const std::map<std::string, std::string>& labels, const std::string& bound = {}) {
  std::string text;
  for (const auto& [name, value] : labels)
    text += fmt::format("{}{}=\"{}\"", text.empty() ? "" : ",", name, escaped(value));
  if (!bound.empty()) text += fmt::format("{}le=\"{}\"", text.empty() ? "" : ",", bound);
  return text.empty() ? "" : "{" + text + "}";
}

void append_histogram(std::string& out, const std::string& name, const Series& series) {
  std::uint64_t up_to = 0;
  for (std::size_t i = 0; i <= kBounds.size(); ++i) {
    up_to += series.buckets.at(i);
    const std::string bound = i < kBounds.size() ? fmt::format("{}", kBounds.at(i)) : "+Inf";
    out += fmt::format("{}_bucket{} {}\n", name, labels_text(series.labels, bound), up_to);
  }
  out += fmt::format("{}_sum{} {}\n", name, labels_text(series.labels), series.value);
  out += fmt::format("{}_count{} {}\n", name, labels_text(series.labels), series.count);
}

std::unexpected<Error> too_many(std::string_view what, std::size_t limit) {
  return fail(ErrorCode::kQuotaExceeded, fmt::format("At most {} {} are counted.", limit, what));
}

}  // namespace

std::string_view to_string(Kind kind) {
  static constexpr std::array<std::string_view, 3> kNames = {"counter", "gauge", "histogram"};
  return kNames.at(static_cast<std::size_t>(kind));
}

struct SeriesTable::Shard {
  std::mutex mutex;
  std::unordered_map<InstallId, Install> installs;  // guarded by mutex
};

SeriesTable::SeriesTable(const Clock& clock) : clock_(clock) {
  for (auto& shard : shards_) shard = std::make_unique<Shard>();
}
SeriesTable::~SeriesTable() = default;

SeriesTable::Shard& SeriesTable::shard_of(const InstallId& install) const {
  return *shards_.at(std::hash<InstallId>()(install) % kShards);
}

Status SeriesTable::record(const InstallId& id, const Sample& sample) {
  const SteadyTime now = clock_.steady_now();
  Shard& shard = shard_of(id);
  const std::lock_guard lock(shard.mutex);
  auto found = shard.installs.find(id);
  if (found == shard.installs.end()) {
    if (shard.installs.size() >= kMaxInstalls / kShards) {
      std::erase_if(shard.installs, [&](const auto& entry) { return now - entry.second.last > kIdle; });
      if (shard.installs.size() >= kMaxInstalls / kShards) return too_many("installs", kMaxInstalls);
    }
    found = shard.installs.try_emplace(id).first;
  }
  Install& install = found->second;
  install.last = now;
  auto family = install.families.find(sample.name);
  if (family == install.families.end()) {
    if (install.families.size() >= kMaxNames) return too_many("names of an install", kMaxNames);
    if (install.series >= kMaxSeries) return too_many("series of an install", kMaxSeries);
    family = install.families.emplace(sample.name, Family{.kind = sample.kind, .series = {}}).first;
  }
  if (family->second.kind != sample.kind) {
    return fail(ErrorCode::kUnprocessable,
                fmt::format("{} is a {} already.", sample.name, to_string(family->second.kind)));
  }
  auto series = family->second.series.find(sample.labels);
  if (series == family->second.series.end()) {
    if (install.series >= kMaxSeries) return too_many("series of an install", kMaxSeries);
    series = family->second.series.emplace(sample.labels, Series{.labels = sample.labels}).first;
    ++install.series;
  }
  add(series->second, sample);
  return {};
}

std::string SeriesTable::text(const InstallId& id) const {
  Shard& shard = shard_of(id);
  const std::lock_guard lock(shard.mutex);
  std::string out;
  const auto found = shard.installs.find(id);
  if (found == shard.installs.end()) return out;
  for (const auto& [name, family] : found->second.families) {
    out += fmt::format("# TYPE {} {}\n", name, to_string(family.kind));
    for (const auto& [labels, series] : family.series) {
      if (family.kind == Kind::kHistogram) {
        append_histogram(out, name, series);
      } else {
        out += fmt::format("{}{} {}\n", name, labels_text(labels), series.value);
      }
    }
  }
  return out;
}

json::array SeriesTable::series(const InstallId& id) const {
  Shard& shard = shard_of(id);
  const std::lock_guard lock(shard.mutex);
  json::array all;
  const auto found = shard.installs.find(id);
  if (found == shard.installs.end()) return all;
  for (const auto& [name, family] : found->second.families) {
    for (const auto& [labels, series] : family.series) {
      json::object one{{"name", name}, {"kind", to_string(family.kind)}};
      json::object shown;
      for (const auto& [label, value] : labels) shown[label] = value;
      one["labels"] = std::move(shown);
      if (family.kind == Kind::kHistogram) {
        one["count"] = series.count;
        one["sum"] = series.value;
      } else {
        one["value"] = series.value;
      }
      all.push_back(std::move(one));
    }
  }
  return all;
}

std::size_t SeriesTable::series_count() const {
  std::size_t count = 0;
  for (const auto& shard : shards_) {
    const std::lock_guard lock(shard->mutex);
    for (const auto& [id, install] : shard->installs) count += install.series;
  }
  return count;
}

}  // namespace bulkhead::extension_metrics
