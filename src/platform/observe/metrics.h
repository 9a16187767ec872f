// Metrics in the Prometheus text format. A metric is a member of its room's own struct, made from the Registry that the
// composition root passes in; there is no global registry.
//
// Counters and histograms are written without locks or shared cache lines: each thread adds to its own slot and
// `render` sums the slots. Label values are bounded by the caller; never use ids of tenants or requests as labels.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace bulkhead::metrics {

using Labels = std::vector<std::pair<std::string, std::string>>;

class Counter {
 public:
  void add(std::uint64_t by = 1);
  std::uint64_t value() const;  // sum over threads
  Counter();
  ~Counter();
  struct Slots;

 private:
  std::unique_ptr<Slots> slots_;
};

class Histogram {
 public:
  // `bounds`: upper bounds in the metric's unit, ascending; +Inf is added.
  explicit Histogram(std::vector<double> bounds);
  ~Histogram();
  void observe(double value);
  struct Slots;

 private:
  friend class Registry;
  std::vector<double> bounds_;
  std::unique_ptr<Slots> slots_;
};

// 100 µs … 30 s, in seconds: for request latencies.
std::vector<double> latency_bounds();

// Owns the metrics. Asking twice for the same name and labels gives the same object. Thread-safe; ask at start, not per
// request. Names follow Prometheus: snake_case, unit suffix, _total for counters.
class Registry {
 public:
  Registry();
  ~Registry();
  Registry(const Registry&) = delete;
  Registry& operator=(const Registry&) = delete;

  Counter& counter(std::string_view name, std::string_view help, Labels labels = {});
  Histogram& histogram(std::string_view name, std::string_view help, std::vector<double> bounds, Labels labels = {});
  // A gauge is read when rendered; `read` must be thread-safe.
  void gauge(std::string_view name, std::string_view help, std::function<double()> read, Labels labels = {});

  // text/plain; version=0.0.4
  std::string render() const;

 private:
  struct Families;
  std::unique_ptr<Families> families_;
};

}  // namespace bulkhead::metrics
