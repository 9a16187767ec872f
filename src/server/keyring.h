// Where the local KMS driver's keys come from: the setting encryption.keyring, else keys/keyring.json in the data
// folder, which the first start makes.
//
// A keyring is never made beside secrets that another one encrypted: that start fails and says what is missing.
#pragma once

#include <string>

#include "platform/kms/keyring.h"
#include "platform/sql/database.h"
#include "server/config.h"
#include "server/serve.h"
#include "server/stores.h"

namespace bulkhead::server {

struct OpenedKeyring {
  kms::Keyring keys;
  std::string place;  // for messages
};

// kKeyUnavailable: malformed, readable by others, or gone. Runners alone make none: without one, no secret opens there.
Result<OpenedKeyring> open_keyring(const Config& config, const DataFolder& folder, Role role, sql::Database& database,
                                   Random& random);

}  // namespace bulkhead::server
