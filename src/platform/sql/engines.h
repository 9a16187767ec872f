// Opens a Database. The two engines' own settings; nothing else in the program knows which one is in use.
#pragma once

#include <memory>
#include <string>

#include "base/bytes.h"
#include "base/time.h"
#include "platform/observe/metrics.h"
#include "platform/sql/database.h"

namespace bulkhead::sql {

struct SqliteOptions {
  std::string path;  // file; its folder must exist
  std::size_t readers = 2;
  std::size_t queue_limit = 10'000;  // waiting transactions; more answer kOverloaded
  Millis queue_patience{10'000};     // waiting longer than this answers kStoreUnavailable
  Millis statement_timeout{10'000};
  Millis busy_timeout{5'000};  // for locks that another process holds
};
Result<std::unique_ptr<Database>> open_sqlite(const SqliteOptions& options, metrics::Registry& registry);

struct PostgresOptions {
  std::string url;  // libpq connection string or URI; may hold a password: never logged
  std::size_t connections = 8;
  std::size_t queue_limit = 10'000;
  Millis queue_patience{10'000};
  Millis statement_timeout{10'000};
  Millis connect_timeout{3'000};
};
// Does not need the server to be up: until it is, transactions answer kStoreUnavailable. `migrate` needs it.
Result<std::unique_ptr<Database>> open_postgres(const PostgresOptions& options, metrics::Registry& registry);

}  // namespace bulkhead::sql
