#include "cli/dev_command.h"

#include <poll.h>

#include <charconv>
#include <csignal>
#include <cstdio>
#include <filesystem>
#include <set>

#include "cli/execution_output.h"
#include "cli/file_watcher.h"
#include "cli/private_server.h"
#include "cli/project_build.h"
#include "features/bundles/bundle_writer.h"
#include "features/bundles/signing.h"
#include "platform/process/file.h"

namespace bulkhead::cli {
namespace {

namespace fs = std::filesystem;

constexpr int kLogPause = 300;  // ms between two looks at the log
constexpr int kQuietTime = 30;  // ms without a change before a round begins: editors write in several steps
constexpr int kMaxConflicts = 50;
constexpr std::string_view kPrivateOrganization = "dev";

// Set by the first SIGINT or SIGTERM; the second has its usual effect.
volatile std::sig_atomic_t interrupted = 0;
void note_interrupt(int) { interrupted = 1; }
bool is_interrupted() { return interrupted != 0; }

void catch_interrupts() {
  struct sigaction action{};
  action.sa_handler = note_interrupt;
  action.sa_flags = static_cast<int>(SA_RESETHAND);
  ::sigaction(SIGINT, &action, nullptr);
  ::sigaction(SIGTERM, &action, nullptr);
}

// Whether `fd` becomes readable in time; false too when a signal came.
bool readable(int fd, int milliseconds) {
  pollfd waiting{.fd = fd, .events = POLLIN, .revents = 0};
  return ::poll(&waiting, 1, milliseconds) > 0;
}

// What went wrong in a round, of whichever side.
struct Failure {
  std::string phase;
  std::string code;
  std::string message;
  std::vector<FieldError> fields;
  int exit_code = kFailed;
};

Failure failure_of(std::string phase, const Error& error) {
  return {.phase = std::move(phase),
          .code = std::string(error.wire_code()),
          .message = error.message.empty() ? std::string(error_info(error.code).title) : error.message,
          .fields = error.fields};
}

Failure failure_of(std::string phase, const ApiRefusal& refusal) {
  const bool refused = refusal.status >= 400 && refusal.status < 500;
  return {.phase = std::move(phase),
          .code = refusal.code,
          .message = refusal.message,
          .fields = refusal.fields,
          .exit_code = refused ? kRefused : kUnreachable};
}

// The times of one round's parts, in order.
class Phases {
 public:
  void end(const std::string& name) {
    const auto now = std::chrono::steady_clock::now();
    times_.emplace_back(name, std::chrono::duration_cast<Millis>(now - last_).count());
    last_ = now;
  }
  std::int64_t total() const { return std::chrono::duration_cast<Millis>(last_ - begun_).count(); }
  std::string text() const {
    std::string text;
    for (const auto& [name, millis] : times_) {
      text += (text.empty() ? "" : ", ") + name + " " + std::to_string(millis) + " ms";
    }
    return text;
  }
  json::object to_json() const {
    json::object object;
    for (const auto& [name, millis] : times_) object[name] = millis;
    return object;
  }

 private:
  std::chrono::steady_clock::time_point begun_ = std::chrono::steady_clock::now();
  std::chrono::steady_clock::time_point last_ = begun_;
  std::vector<std::pair<std::string, std::int64_t>> times_;
};

// "1.2.0-dev.", or "1.2.0-rc.1.dev." of a version that is a pre-release already.
std::string dev_prefix(const bundles::Semver& version) {
  const std::string base = version.text().substr(0, version.text().find('+'));
  return base + (version.prerelease().empty() ? "-dev." : ".dev.");
}

class DevSession {
 public:
  DevSession(const Globals& outer, const DevOptions& options) : globals_(outer), options_(options) {}

  std::expected<void, Failure> prepare();
  std::expected<void, Failure> round();
  void show_log();
  void tell(const char* event, const json::object& more, const std::string& text) const;
  void tell(const Failure& failure) const;
  std::string how_to_call() const;

 private:
  std::expected<void, Failure> prepare_private_server();
  std::expected<void, Failure> read_key();
  std::expected<int, Failure> next_number(const bundles::Manifest& manifest);
  std::expected<std::string, Failure> publish(const bundles::Manifest& manifest, Phases& phases);
  std::expected<void, Failure> install(const bundles::Manifest& manifest, const std::string& version);

  Globals globals_;
  const DevOptions& options_;
  std::optional<PrivateServer> server_;
  std::optional<process::TemporaryDirectory> scratch_;
  std::optional<bundles::PrivateKey> key_;
  std::unique_ptr<ApiClient> client_;
  std::string numbered_;  // name and prefix that number_ counts for
  int number_ = 0;
  std::string name_;
  std::string install_id_;
  UtcMicros log_since_ = SystemClock().now();
  std::set<std::string> shown_;
};

void DevSession::tell(const char* event, const json::object& more, const std::string& text) const {
  if (!globals_.json) {
    std::fprintf(stdout, "%s", text.c_str());
  } else {
    json::object line{{"event", event}};
    for (const auto& member : more) line[member.key()] = member.value();
    std::fprintf(stdout, "%s\n", json::serialize(line).c_str());
  }
  std::fflush(stdout);
}

void DevSession::tell(const Failure& failure) const {
  json::array fields;
  std::string text = failure.phase + " failed: " + failure.message + "\n";
  for (const FieldError& field : failure.fields) {
    fields.push_back({{"pointer", field.pointer}, {"message", field.message}});
    text += "  " + (field.pointer.empty() ? "/" : field.pointer) + " " + field.message + "\n";
  }
  json::object error{{"code", failure.code}, {"message", failure.message}};
  if (!fields.empty()) error["errors"] = std::move(fields);
  tell("failed", {{"phase", failure.phase}, {"error", std::move(error)}}, text);
}

std::expected<void, Failure> DevSession::prepare() {
  auto scratch = process::TemporaryDirectory::create("bulkhead-dev");
  if (!scratch) return std::unexpected(failure_of("start", scratch.error()));
  scratch_.emplace(std::move(*scratch));
  if (options_.private_server) return prepare_private_server();
  client_ = std::make_unique<ApiClient>(globals_);
  return read_key();
}

std::expected<void, Failure> DevSession::read_key() {
  const std::string path = options_.key.empty() ? (fs::path(options_.folder) / "signing.key").string() : options_.key;
  auto key = bundles::read_private_key(path);
  if (!key && key.error().code == ErrorCode::kNotFound) {
    return std::unexpected(
        Failure{.phase = "start",
                .code = "signing_key_missing",
                .message = "There is no signing key " + path +
                           ". Make one with `bulkhead ext keygen -o FILE`, let the server " +
                           "trust it with `bulkhead trust add FILE.pub`, and name it with --key; or use --private.",
                .fields = {}});
  }
  if (!key) return std::unexpected(failure_of("start", key.error()));
  key_.emplace(std::move(*key));
  return {};
}

std::expected<void, Failure> DevSession::prepare_private_server() {
  auto server = PrivateServer::start();
  if (!server) return std::unexpected(failure_of("start", server.error()));
  server_.emplace(std::move(*server));
  globals_.server = server_->url();
  globals_.token = server_->admin_token();
  globals_.organization = kPrivateOrganization;
  client_ = std::make_unique<ApiClient>(globals_);
  key_.emplace(bundles::PrivateKey::generate(bundles::KeyKind::kEd25519));
  const auto post = [this](std::string path, json::value body) -> std::expected<void, Failure> {
    ApiRequest request;
    request.method = "POST";
    request.path = std::move(path);
    request.body = std::move(body);
    auto answer = client_->call(request);
    if (!answer) return std::unexpected(failure_of("start", answer.error()));
    return {};
  };
  if (auto made = post("/api/v1/orgs", {{"slug", kPrivateOrganization}, {"name", "Development"}}); !made) return made;
  return post("/api/v1/trust", {{"pem", key_->public_key().to_pem()}, {"prefixes", {"*"}}});
}

std::string DevSession::how_to_call() const {
  if (!server_) return "bulkhead ext invoke " + name_ + " GET /";
  return "BULKHEAD_SERVER=" + globals_.server + " BULKHEAD_TOKEN=" + globals_.token + " bulkhead ext invoke " + name_ +
         " GET / --org " + globals_.organization;
}

// One more than the highest number that was published of this version.
std::expected<int, Failure> DevSession::next_number(const bundles::Manifest& manifest) {
  const std::string prefix = dev_prefix(manifest.version);
  const std::string numbered = manifest.name + "@" + prefix;
  if (numbered == numbered_) return number_ + 1;
  ApiRequest request;
  request.path = "/api/extensions/" + net::percent_encode(manifest.name) + "/versions?limit=200";
  request.organization = globals_.organization;
  const auto answer = client_->call(request);
  if (!answer && answer.error().status != 404) return std::unexpected(failure_of("publish", answer.error()));
  int highest = 0;
  const json::value body = answer ? answer->json() : json::value();
  const json::value* items = body.is_object() ? body.get_object().if_contains("items") : nullptr;
  if (items != nullptr && items->is_array()) {
    for (const json::value& item : items->get_array()) {
      const std::string version = item.is_object() ? text_of(item.get_object(), "version") : "";
      if (!version.starts_with(prefix)) continue;
      int number = 0;
      std::from_chars(version.data() + prefix.size(), version.data() + version.size(), number);
      highest = std::max(highest, number);
    }
  }
  numbered_ = numbered;
  number_ = highest;
  return highest + 1;
}

// Packs, signs and publishes; gives the version. Where somebody else took the number the next one is tried.
std::expected<std::string, Failure> DevSession::publish(const bundles::Manifest& manifest, Phases& phases) {
  const std::string bundle = scratch_->path() + "/bundle.tar.zst";
  for (int attempt = 0;; ++attempt) {
    const auto number = next_number(manifest);
    if (!number) return std::unexpected(number.error());
    number_ = *number;
    bundles::PackOptions pack;
    pack.version = dev_prefix(manifest.version) + std::to_string(number_);
    const auto packed = bundles::pack_folder(options_.folder, bundle, pack);
    if (!packed) return std::unexpected(failure_of("pack", packed.error()));
    phases.end("pack");
    if (auto written = bundles::sign_bundle_file(bundle, bundle, {*key_, {}}); !written) {
      return std::unexpected(failure_of("sign", written.error()));
    }
    phases.end("sign");
    const auto published = publish_version(*client_, {manifest.name, bundle, {}, globals_.organization});
    phases.end("publish");
    if (published) return pack.version;
    if (published.error().code != "EXTENSION_VERSION_ALREADY_EXISTS" || attempt == kMaxConflicts) {
      return std::unexpected(failure_of("publish", published.error()));
    }
  }
}

std::expected<void, Failure> DevSession::install(const bundles::Manifest& manifest, const std::string& version) {
  InstallRequest request{.extension = manifest.name,
                         .version = version,
                         .organization = globals_.organization,
                         .grants = options_.grants.empty() ? manifest.capabilities : options_.grants,
                         .egress = options_.egress.empty() ? manifest.egress : options_.egress,
                         .config = nullptr};
  if (!options_.config.empty()) {
    auto config = read_json_file(options_.config);
    if (!config) return std::unexpected(failure_of("install", config.error()));
    request.config = std::move(*config);
  }
  const auto installed = install_version(*client_, request);
  if (!installed) return std::unexpected(failure_of("install", installed.error()));
  if (installed->is_object()) install_id_ = text_of(installed->get_object(), "id");
  return {};
}

std::expected<void, Failure> DevSession::round() {
  Phases phases;
  const auto built = build_project(options_.folder, is_interrupted);
  if (!built) return std::unexpected(failure_of("build", built.error()));
  if (is_interrupted()) return {};
  phases.end("build");
  if (!built->status.success()) {
    return std::unexpected(Failure{.phase = "build",
                                   .code = "build_failed",
                                   .message = "build.sh ended with " + built->status.to_string() + ".",
                                   .fields = {}});
  }
  const auto text =
      process::read_file((fs::path(options_.folder) / "manifest.json").string(), Bytes{bundles::kMaxManifestSize});
  if (!text) return std::unexpected(failure_of("pack", text.error()));
  const auto manifest = bundles::parse_manifest(*text);
  if (!manifest) return std::unexpected(failure_of("pack", manifest.error()));
  const auto version = publish(*manifest, phases);
  if (!version) return std::unexpected(version.error());
  if (auto installed = install(*manifest, *version); !installed) return installed;
  phases.end("install");
  const bool first = name_.empty();
  name_ = manifest->name;
  const std::int64_t own = phases.total() - built->took.count();
  tell("live",
       {{"name", name_},
        {"version", *version},
        {"install_id", install_id_},
        {"server", globals_.server},
        {"milliseconds", phases.to_json()},
        {"total_ms", phases.total()},
        {"without_build_ms", own}},
       name_ + " " + *version + " is live after " + std::to_string(phases.total()) + " ms, " + std::to_string(own) +
           " ms of them not the build (" + phases.text() + ")\n" + (first ? "Call it: " + how_to_call() + "\n" : ""));
  return {};
}

// Rows are written in batches a little after their end, so each look goes back over the last seconds.
void DevSession::show_log() {
  if (install_id_.empty()) return;
  const UtcMicros since = std::max(log_since_, SystemClock().now() - Micros(std::chrono::seconds(10)));
  const auto executions = fetch_executions(*client_, globals_.organization, install_id_,
                                           "?limit=200&since=" + net::percent_encode(to_rfc3339(since)));
  if (!executions) return;  // the server is away for a moment, or the role may not read the log
  if (shown_.size() > 5000) shown_.clear();
  for (const json::object& execution : *executions) {
    if (!shown_.insert(text_of(execution, "execution_id")).second) continue;
    tell("execution", {{"execution", execution}}, execution_text(execution));
  }
}

}  // namespace

int run_dev(const Globals& globals, const DevOptions& options) {
  catch_interrupts();
  if (!fs::is_directory(options.folder)) {
    return report(globals, fail(ErrorCode::kNotFound, "There is no folder " + options.folder + ".").error());
  }
  DevSession session(globals, options);
  // Before the first build, so that no change is missed.
  auto watcher = FileWatcher::watch(options.folder);
  if (!watcher) return report(globals, watcher.error());
  if (auto prepared = session.prepare(); !prepared) {
    session.tell(prepared.error());
    return prepared.error().exit_code;
  }
  std::optional<Sha256Digest> digest;
  while (!is_interrupted()) {
    const auto now = folder_digest(options.folder);
    if (!now) return report(globals, now.error());
    if (!digest || *digest != *now) {
      digest = *now;
      const auto done = session.round();
      if (!done && !is_interrupted()) session.tell(done.error());
      if (options.once && !is_interrupted()) return done ? kOk : done.error().exit_code;
      if (!is_interrupted()) {
        session.tell("watching", {{"folder", options.folder}}, "watching " + options.folder + " ...\n");
      }
    }
    while (!is_interrupted()) {
      if (!readable(watcher->fd(), kLogPause)) {
        session.show_log();
        continue;
      }
      bool changed = false;
      do {
        const auto taken = watcher->take_changes();
        if (!taken) return report(globals, taken.error());
        changed = changed || *taken;
      } while (readable(watcher->fd(), kQuietTime));
      if (changed) break;
    }
  }
  session.show_log();
  session.tell("stopped", {}, "stopped\n");
  return kOk;
}

}  // namespace bulkhead::cli
