#include "platform/observe/metrics.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <charconv>
#include <cmath>
#include <map>
#include <mutex>
#include <variant>

#include "base/error.h"

namespace bulkhead::metrics {
namespace {

constexpr std::size_t kCacheLine = 64;
// More threads than this share slots, which costs speed but no counts: every add is atomic.
constexpr std::size_t kSlots = 32;

std::size_t thread_slot() {
  static std::atomic<std::size_t> next{0};
  static thread_local const std::size_t slot = next.fetch_add(1, std::memory_order_relaxed) % kSlots;
  return slot;
}

std::string format_number(double value) {
  if (std::isnan(value)) return "NaN";
  if (std::isinf(value)) return value > 0 ? "+Inf" : "-Inf";
  char text[32];
  const auto [end, failure] = std::to_chars(text, text + sizeof text, value);
  return {text, failure == std::errc{} ? end : text};
}

// Exposition format 0.0.4: in help text \ and line feed are escaped, in label values the quote too.
std::string escape(std::string_view text, bool quotes) {
  std::string out;
  for (const char c : text) {
    if (c == '\\') {
      out += "\\\\";
    } else if (c == '\n') {
      out += "\\n";
    } else if (c == '"' && quotes) {
      out += "\\\"";
    } else {
      out += c;
    }
  }
  return out;
}

// [a-zA-Z_][a-zA-Z0-9_]*, for metric and label names.
bool is_name(std::string_view text) {
  const auto letter = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; };
  if (text.empty() || !letter(text.front())) return false;
  return std::ranges::all_of(text, [&](char c) { return letter(c) || (c >= '0' && c <= '9'); });
}

// a="x",b="y": what stands between the braces; also the key of a series within its family.
std::string render_labels(const Labels& labels) {
  std::string out;
  for (const auto& [name, value] : labels) {
    BH_ASSERT(is_name(name));
    if (!out.empty()) out += ',';
    out += name + "=\"" + escape(value, true) + '"';
  }
  return out;
}

void append_sample(std::string& out, std::string_view name, std::string_view suffix, std::string_view labels,
                   std::string_view value) {
  out += name;
  out += suffix;
  if (!labels.empty()) {
    out += '{';
    out += labels;
    out += '}';
  }
  out += ' ';
  out += value;
  out += '\n';
}

}  // namespace

// --- counter -----------------------------------------------------------------------------------------------------
struct Counter::Slots {
  struct alignas(kCacheLine) Slot {
    std::atomic<std::uint64_t> value{0};
  };
  std::array<Slot, kSlots> slots;
};

Counter::Counter() : slots_(std::make_unique<Slots>()) {}
Counter::~Counter() = default;

void Counter::add(std::uint64_t by) { slots_->slots[thread_slot()].value.fetch_add(by, std::memory_order_relaxed); }

std::uint64_t Counter::value() const {
  std::uint64_t sum = 0;
  for (const auto& slot : slots_->slots) sum += slot.value.load(std::memory_order_relaxed);
  return sum;
}

// --- histogram ---------------------------------------------------------------------------------------------------
// One block of memory: per thread slot a run of whole cache lines with the sum, then one count per bucket (+Inf last).
struct Histogram::Slots {
  struct Totals {
    double sum = 0;
    std::vector<std::uint64_t> counts;
  };
  struct alignas(kCacheLine) Line {
    std::array<std::atomic<std::uint64_t>, kCacheLine / sizeof(std::uint64_t)> cells{};
  };

  explicit Slots(std::size_t bucket_count)
      : buckets(bucket_count), lines_per_slot((bucket_count + kPerLine) / kPerLine), lines(kSlots * lines_per_slot) {}

  std::atomic<std::uint64_t>& cell(std::size_t slot, std::size_t index) {
    return lines[slot * lines_per_slot + index / kPerLine].cells[index % kPerLine];
  }
  // Cell 0 holds the sum as the bits of a double: atomic<double> and the counts then share a type.
  void add(std::size_t slot, double value) {
    auto& sum = cell(slot, 0);
    std::uint64_t old = sum.load(std::memory_order_relaxed);
    while (!sum.compare_exchange_weak(old, std::bit_cast<std::uint64_t>(std::bit_cast<double>(old) + value),
                                      std::memory_order_relaxed)) {
    }
  }
  Totals totals() {
    Totals result;
    result.counts.resize(buckets);
    for (std::size_t slot = 0; slot < kSlots; ++slot) {
      result.sum += std::bit_cast<double>(cell(slot, 0).load(std::memory_order_relaxed));
      for (std::size_t i = 0; i < buckets; ++i) {
        result.counts[i] += cell(slot, i + 1).load(std::memory_order_relaxed);
      }
    }
    return result;
  }

  static constexpr std::size_t kPerLine = kCacheLine / sizeof(std::uint64_t);
  std::size_t buckets;
  std::size_t lines_per_slot;
  std::vector<Line> lines;
};

Histogram::Histogram(std::vector<double> bounds)
    : bounds_(std::move(bounds)), slots_(std::make_unique<Slots>(bounds_.size() + 1)) {
  BH_ASSERT(std::ranges::is_sorted(bounds_));
}
Histogram::~Histogram() = default;

void Histogram::observe(double value) {
  const auto bucket = static_cast<std::size_t>(std::ranges::lower_bound(bounds_, value) - bounds_.begin());
  const std::size_t slot = thread_slot();
  slots_->cell(slot, bucket + 1).fetch_add(1, std::memory_order_relaxed);
  slots_->add(slot, value);
}

std::vector<double> latency_bounds() {
  return {0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30};
}

// --- registry ----------------------------------------------------------------------------------------------------
struct Registry::Families {
  struct Gauge {
    std::function<double()> read;
  };
  using Metric = std::variant<std::unique_ptr<Counter>, std::unique_ptr<Histogram>, Gauge>;
  struct Family {
    std::string help;
    std::size_t kind = 0;                  // Metric's index
    std::map<std::string, Metric> series;  // by rendered labels
  };

  // The series of that name and these labels; made by `make` when new.
  template <typename Make>
  Metric& series(std::string_view name, std::string_view help, const Labels& labels, Make make) {
    BH_ASSERT(is_name(name));
    const std::string key = render_labels(labels);
    const auto [family, fresh] = by_name.try_emplace(std::string(name));
    auto found = family->second.series.find(key);
    if (found == family->second.series.end()) {
      Metric made = make();
      if (fresh) {
        family->second.help = help;
        family->second.kind = made.index();
      }
      BH_ASSERT(family->second.kind == made.index());
      found = family->second.series.emplace(key, std::move(made)).first;
    }
    return found->second;
  }

  std::mutex mutex;
  std::map<std::string, Family, std::less<>> by_name;
};

Registry::Registry() : families_(std::make_unique<Families>()) {}
Registry::~Registry() = default;

Counter& Registry::counter(std::string_view name, std::string_view help, Labels labels) {
  const std::scoped_lock lock(families_->mutex);
  return *std::get<0>(families_->series(name, help, labels, [] { return std::make_unique<Counter>(); }));
}

Histogram& Registry::histogram(std::string_view name, std::string_view help, std::vector<double> bounds,
                               Labels labels) {
  const std::scoped_lock lock(families_->mutex);
  return *std::get<1>(
      families_->series(name, help, labels, [&] { return std::make_unique<Histogram>(std::move(bounds)); }));
}

void Registry::gauge(std::string_view name, std::string_view help, std::function<double()> read, Labels labels) {
  const std::scoped_lock lock(families_->mutex);
  auto& metric = families_->series(name, help, labels, [] { return Families::Gauge{}; });
  std::get<Families::Gauge>(metric).read = std::move(read);
}

namespace {

void append_histogram(std::string& out, std::string_view name, const std::string& labels,
                      const std::vector<double>& bounds, double sum, const std::vector<std::uint64_t>& counts) {
  const std::string prefix = labels.empty() ? "" : labels + ',';
  std::uint64_t cumulative = 0;
  for (std::size_t i = 0; i < counts.size(); ++i) {
    cumulative += counts[i];
    const std::string bound = i < bounds.size() ? format_number(bounds[i]) : "+Inf";
    append_sample(out, name, "_bucket", prefix + "le=\"" + bound + '"', std::to_string(cumulative));
  }
  append_sample(out, name, "_sum", labels, format_number(sum));
  append_sample(out, name, "_count", labels, std::to_string(cumulative));
}

}  // namespace

std::string Registry::render() const {
  constexpr std::array<std::string_view, 3> kinds = {"counter", "histogram", "gauge"};
  std::string out;
  const std::scoped_lock lock(families_->mutex);
  for (const auto& [name, family] : families_->by_name) {
    out += "# HELP " + name + ' ' + escape(family.help, false) + '\n';
    out += "# TYPE " + name + ' ';
    out += kinds[family.kind];
    out += '\n';
    for (const auto& [labels, metric] : family.series) {
      if (const auto* counter = std::get_if<0>(&metric)) {
        append_sample(out, name, "", labels, std::to_string((*counter)->value()));
      } else if (const auto* histogram = std::get_if<1>(&metric)) {
        const auto totals = (*histogram)->slots_->totals();
        append_histogram(out, name, labels, (*histogram)->bounds_, totals.sum, totals.counts);
      } else {
        append_sample(out, name, "", labels, format_number(std::get<2>(metric).read()));
      }
    }
  }
  return out;
}

}  // namespace bulkhead::metrics
