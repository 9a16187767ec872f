// How rows of the execution log are asked for and shown: `ext logs`, `ext executions`, `ext invoke --report`, `ext
// dev`.
#pragma once

#include <string>
#include <vector>

#include "cli/extension_api.h"

namespace bulkhead::cli {

// One page of an install's executions, oldest first. `query` begins with "?".
Answer<std::vector<json::object>> fetch_executions(ApiClient& client, const std::string& organization,
                                                   const std::string& install_id, const std::string& query);
// The row of one request; rows are written in batches, so it is waited for. nullopt when it does not come.
Answer<std::optional<json::object>> await_execution(ApiClient& client, const std::string& organization,
                                                    const std::string& install_id, const std::string& request_id);

// One line, then its error and its log lines, indented.
std::string execution_text(const json::object& execution);
// What the call cost: CPU, wall time, memory, host calls, egress, log lines; one item a line.
std::string report_text(const json::object& execution);
// The same as JSON.
json::object report_json(const json::object& execution);

// A whole number, or 0.
std::int64_t number_of(const json::object& object, std::string_view name);
// "1.5 MiB"
std::string bytes_text(std::int64_t bytes);
// "0.31 ms"
std::string millis_text(std::int64_t micros);

}  // namespace bulkhead::cli
