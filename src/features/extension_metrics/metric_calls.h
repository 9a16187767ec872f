// The metrics.* host calls (api/abi/metrics.*.json): they check shapes and delegate to SeriesTable.
#pragma once

#include "features/broker/host_function.h"
#include "features/extension_metrics/series_table.h"

namespace bulkhead::extension_metrics {

// The sample that a request means, or kUnprocessable.
Result<Sample> read_sample(Kind kind, const json::value& request);
// `table` outlives the functions.
broker::HostFunctions metric_functions(SeriesTable& table);

}  // namespace bulkhead::extension_metrics
