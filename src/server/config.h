// The one configuration: defaults ← TOML file ← environment ← flags (architecture.md, Layers).
//
// Every setting is a row of `settings()`: its dotted key, type, default, bounds, environment names and documentation.
// From that table come validation (with line numbers), `bulkhead config explain`, and docs/configuration.md. Values are
// read once at start into the plain `Config` below; nothing reads the environment later.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/error.h"
#include "features/plans/plan.h"

namespace bulkhead::server {

struct Config {
  // server.*
  std::string listen;
  std::string data_dir;
  std::string log_level;
  std::int64_t cores = 0;
  std::int64_t drain_grace_ms = 0;
  std::int64_t max_connections = 0;
  std::vector<std::string> trusted_proxies;
  // database.*, blob.*
  std::string database_url;
  std::int64_t database_connections = 0;
  std::string s3_endpoint;
  std::string s3_bucket;
  std::string s3_region;
  std::string s3_access_key;
  std::string s3_secret_key;
  std::string s3_prefix;
  // access.*, encryption.*, limits.*
  std::string platform_admin_token;
  std::string keyring;
  bool rate_limits = true;
  std::int64_t read_per_second = 0;
  std::int64_t write_per_second = 0;
  std::int64_t execute_per_second = 0;
  std::int64_t upload_per_second = 0;
  // extensions.*
  std::string domain_root;
  std::string trust_mode;
  std::int64_t execution_log_days = 0;
  std::vector<std::string> event_retry_delays_ms;
  std::int64_t event_max_backlog = 0;
  // egress.*
  std::vector<std::string> egress_allowed_cidrs;
  std::string egress_ca_file;
  std::vector<std::string> egress_pinned_keys;
  bool egress_send_traceparent = true;
  bool secrets_over_http = false;
  // runner.*, compiler.*
  std::int64_t runner_processes = 0;
  std::string runner_listen;
  std::int64_t runner_slots = 0;
  std::vector<std::string> require_layers;
  std::int64_t compiler_timeout_ms = 0;
  std::int64_t compiler_memory_mb = 0;
  std::int64_t compiler_parallel = 0;
  // quarantine.*
  bool quarantine = true;
  bool circuit_breaker = true;
  std::int64_t quarantine_window_s = 0;
  std::int64_t quarantine_traps = 0;
  std::int64_t quarantine_out_of_memory = 0;
  std::int64_t quarantine_policy_violations = 0;
  std::int64_t quarantine_share_percent = 0;
  std::int64_t quarantine_minutes = 0;
  // [plans.NAME] of the file; no environment names
  plans::Plans plans;
};

using ConfigValue = std::variant<std::string, std::int64_t, bool, std::vector<std::string>>;

enum class Visibility : std::uint8_t { kPlain, kSecret };

struct Setting {
  std::string_view key = {};  // "server.listen"
  std::variant<std::string Config::*, std::int64_t Config::*, bool Config::*, std::vector<std::string> Config::*>
      member = {};
  ConfigValue fallback = {};
  std::string_view doc = {};
  Visibility visibility = Visibility::kPlain;
  std::int64_t least = 0;  // integers
  std::int64_t most = INT64_MAX;
  std::vector<std::string_view> choices = {};  // strings, and the items of lists: empty = any
  std::vector<std::string_view> aliases = {};  // environment names that contracts fix

  std::string environment_name() const;  // "BULKHEAD_SERVER_LISTEN"
};
const std::vector<Setting>& settings();

struct Explained {
  const Setting* setting = nullptr;
  ConfigValue value;
  std::string source;  // "default", "bulkhead.toml:12", "environment BULKHEAD_…", "flag"
};

struct LoadedConfig {
  Config config;
  std::vector<Explained> explained;  // in the order of settings()
};

struct ConfigSources {
  std::string file;                                        // path; empty = none
  std::map<std::string, std::string> environment;          // all of it
  std::vector<std::pair<std::string, std::string>> flags;  // key, text
};

// kUnprocessable: every problem, each with its place, e.g. "bulkhead.toml:12: server.lisen is not a known setting; did
// you mean \"server.listen\"?".
Result<LoadedConfig> load_config(const ConfigSources& sources);

// As text, secrets as "***".
std::string shown_value(const Explained& explained);

}  // namespace bulkhead::server
