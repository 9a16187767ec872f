// Opens what the configuration names: the database and the blob store, and the data folder they may live in.
#pragma once

#include <memory>
#include <string>

#include "base/error.h"
#include "base/random.h"
#include "platform/async/cores.h"
#include "platform/blob/store.h"
#include "platform/observe/metrics.h"
#include "platform/process/unique_fd.h"
#include "platform/sql/database.h"
#include "server/config.h"

namespace bulkhead::server {

struct DataFolder {
  std::string path;
  std::string keys() const { return path + "/keys"; }
  std::string journal() const { return path + "/journal"; }
  std::string blobs() const { return path + "/blobs"; }
  std::string staging() const { return path + "/staging"; }
  std::string database() const { return path + "/bulkhead.db"; }
};

// Makes the folder and its parts (0700).
Result<DataFolder> open_data_folder(const std::string& path);
// Held by the one `serve` that owns the folder; kConflict when another process has it.
Result<process::UniqueFd> lock_data_folder(const DataFolder& folder);

// Names this data folder's server among those that share a database; made at the first start, the same after restarts.
Result<std::string> load_or_create_node_id(const DataFolder& folder, Random& random);

Result<std::unique_ptr<sql::Database>> open_database(const Config& config, const DataFolder& folder,
                                                     metrics::Registry& registry);
// Every room's migrations, applied. Waits for a database that is not up yet, at most `patience`.
Status migrate(sql::Database& database, Millis patience);
Result<std::unique_ptr<blob::Store>> open_blobs(const Config& config, const DataFolder& folder, Cores& cores);

}  // namespace bulkhead::server
