#include "features/extension_metrics/metric_calls.h"

#include <algorithm>
#include <cmath>

#include "base/utf8.h"

namespace bulkhead::extension_metrics {
namespace {

constexpr std::size_t kMaxName = 64;
constexpr std::size_t kMaxLabels = 8;
constexpr std::size_t kMaxLabelName = 32;
constexpr std::size_t kMaxLabelValue = 64;

bool is_name(std::string_view text, std::size_t most) {
  const auto is_start = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; };
  return !text.empty() && text.size() <= most && is_start(text[0]) &&
         std::ranges::all_of(text, [&](char c) { return is_start(c) || (c >= '0' && c <= '9'); });
}

double read_value(JsonReader& reader, Kind kind) {
  const json::value* value = reader.member("value");
  if (value == nullptr) {
    if (kind != Kind::kCounter) reader.problem("value", "is required");
    return 1;
  }
  boost::system::error_code failure;
  const auto number = value->is_number() ? value->to_number<double>(failure) : NAN;
  if (failure || !std::isfinite(number)) reader.problem("value", "must be a number");
  if (kind == Kind::kCounter && number < 0) reader.problem("value", "of a counter must not be negative");
  return number;
}

void read_labels(JsonReader& reader, Sample& sample) {
  const json::value* labels = reader.member("labels");
  if (labels == nullptr) return;
  if (!labels->is_object() || labels->get_object().size() > kMaxLabels) {
    reader.problem("labels", "must be an object of at most 8 texts");
    return;
  }
  for (const auto& [name, value] : labels->get_object()) {
    // "le" is the histogram's own.
    if (!is_name(name, kMaxLabelName) || name == "le" || !value.is_string() ||
        value.get_string().size() > kMaxLabelValue || !is_valid_utf8(value.get_string())) {
      reader.problem("labels", "must be names like tier with texts of at most 64 bytes");
      return;
    }
    sample.labels.emplace(name, value.get_string());
  }
}

Task<protocol::HostResult> record(SeriesTable& table, Kind kind, broker::HostCallContext context, json::value request) {
  const auto sample = read_sample(kind, request);
  if (!sample) co_return broker::host_error(sample.error());
  const auto recorded = table.record(context.install().install_id, *sample);
  if (!recorded) co_return broker::host_error(recorded.error());
  co_return broker::host_answer(json::object());
}

broker::HostFunction function(SeriesTable& table, std::string name, Kind kind) {
  return {.name = std::move(name),
          .capability = "metrics.emit",
          .handler = [&table, kind](broker::HostCallContext context, json::value request) {
            return record(table, kind, std::move(context), std::move(request));
          }};
}

}  // namespace

Result<Sample> read_sample(Kind kind, const json::value& request) {
  std::vector<FieldError> problems;
  JsonReader reader(request, problems);
  Sample sample;
  sample.kind = kind;
  sample.name = reader.required_string("name").value_or("");
  if (!is_name(sample.name, kMaxName)) reader.problem("name", "must be 1 to 64 of a-z A-Z 0-9 _, no digit first");
  sample.value = read_value(reader, kind);
  read_labels(reader, sample);
  reader.refuse_unknown();
  if (problems.empty()) return sample;
  return fail(ErrorCode::kUnprocessable, problems[0].pointer + " " + problems[0].message + ".");
}

broker::HostFunctions metric_functions(SeriesTable& table) {
  return {function(table, "metrics.counter", Kind::kCounter), function(table, "metrics.gauge", Kind::kGauge),
          function(table, "metrics.histogram", Kind::kHistogram)};
}

}  // namespace bulkhead::extension_metrics
