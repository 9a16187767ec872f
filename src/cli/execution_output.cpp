#include "cli/execution_output.h"

#include <unistd.h>

#include <algorithm>
#include <cstdio>

namespace bulkhead::cli {
namespace {

constexpr int kAttempts = 40;
constexpr useconds_t kPause = 50'000;

std::string decimal(double value, int digits) {
  std::array<char, 64> text{};
  const int size = std::snprintf(text.data(), text.size(), "%.*f", digits, value);
  return std::string(text.data(), static_cast<std::size_t>(std::max(size, 0)));
}

std::string log_text(const json::object& execution, const std::string& indent) {
  std::string text;
  const json::value* logs = execution.if_contains("logs");
  if (logs == nullptr || !logs->is_array()) return text;
  for (const json::value& line : logs->get_array()) {
    if (!line.is_object()) continue;
    std::string level = text_of(line.get_object(), "level");
    level.resize(std::max<std::size_t>(level.size(), 5), ' ');
    text += indent + level + " " + text_of(line.get_object(), "text") + "\n";
  }
  return text;
}

std::string error_text(const json::object& execution) {
  const json::value* error = execution.if_contains("error");
  if (error == nullptr || !error->is_object()) return "";
  return text_of(error->get_object(), "code") + ": " + text_of(error->get_object(), "message");
}

std::string http_status_text(const json::object& execution) {
  const json::value* status = execution.if_contains("http_status");
  return status != nullptr ? json::serialize(*status) : "?";
}

}  // namespace

std::int64_t number_of(const json::object& object, std::string_view name) {
  const json::value* found = object.if_contains(name);
  if (found == nullptr) return 0;
  if (found->is_int64()) return found->get_int64();
  return found->is_uint64() ? static_cast<std::int64_t>(found->get_uint64()) : 0;
}

std::string bytes_text(std::int64_t bytes) {
  const auto value = static_cast<double>(bytes);
  if (bytes < 1024) return std::to_string(bytes) + " bytes";
  if (bytes < 1024 * 1024) return decimal(value / 1024, 1) + " KiB";
  return decimal(value / 1024 / 1024, 1) + " MiB";
}

std::string millis_text(std::int64_t micros) { return decimal(static_cast<double>(micros) / 1000, 2) + " ms"; }

Answer<std::vector<json::object>> fetch_executions(ApiClient& client, const std::string& organization,
                                                   const std::string& install_id, const std::string& query) {
  ApiRequest request;
  request.path = "/api/installs/" + install_id + "/executions" + query;
  request.organization = organization;
  const auto answer = client.call(request);
  if (!answer) return std::unexpected(answer.error());
  std::vector<json::object> executions;
  const json::value body = answer->json();
  const json::value* items = body.is_object() ? body.get_object().if_contains("items") : nullptr;
  if (items != nullptr && items->is_array()) {
    for (const json::value& item : items->get_array()) {
      if (item.is_object()) executions.push_back(item.get_object());
    }
  }
  std::ranges::reverse(executions);
  return executions;
}

Answer<std::optional<json::object>> await_execution(ApiClient& client, const std::string& organization,
                                                    const std::string& install_id, const std::string& request_id) {
  const std::string query = "?limit=1&request_id=" + net::percent_encode(request_id);
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    auto found = fetch_executions(client, organization, install_id, query);
    if (!found) return std::unexpected(std::move(found.error()));
    if (!found->empty()) return std::move(found->front());
    ::usleep(kPause);
  }
  return std::nullopt;
}

std::string execution_text(const json::object& execution) {
  std::string text = text_of(execution, "started_at") + " " + text_of(execution, "method") + " " +
                     text_of(execution, "path") + " -> " + http_status_text(execution) + " " +
                     text_of(execution, "status") + " (" + millis_text(number_of(execution, "duration_us")) + ") " +
                     text_of(execution, "request_id") + "\n";
  if (const std::string error = error_text(execution); !error.empty()) text += "    error " + error + "\n";
  return text + log_text(execution, "    ");
}

json::object report_json(const json::object& execution) {
  json::object report;
  for (const std::string_view name : {"execution_id", "request_id", "status", "http_status", "error", "duration_us",
                                      "cpu_us", "memory_bytes", "host_calls", "egress_bytes", "logs"}) {
    if (const json::value* found = execution.if_contains(name); found != nullptr) report[name] = *found;
  }
  return report;
}

std::string report_text(const json::object& execution) {
  std::string text = "status      " + http_status_text(execution) + " " + text_of(execution, "status") + "\n";
  if (const std::string error = error_text(execution); !error.empty()) text += "error       " + error + "\n";
  text += "wall        " + millis_text(number_of(execution, "duration_us")) + "\n" + "cpu         " +
          std::to_string(number_of(execution, "cpu_us")) + " us\n" + "memory      " +
          bytes_text(number_of(execution, "memory_bytes")) + "\n" + "host calls  " +
          std::to_string(number_of(execution, "host_calls")) + "\n" + "egress      " +
          bytes_text(number_of(execution, "egress_bytes")) + "\n" + "request     " + text_of(execution, "request_id") +
          "\n";
  const std::string lines = log_text(execution, "  ");
  return lines.empty() ? text : text + "log\n" + lines;
}

}  // namespace bulkhead::cli
