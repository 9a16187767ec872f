#include "cli/private_server.h"

#include <fcntl.h>
#include <unistd.h>

#include <chrono>
#include <thread>

#include "base/bytes.h"
#include "base/json.h"
#include "base/random.h"

namespace bulkhead::cli {
namespace {

constexpr std::chrono::seconds kStartTime{20};
constexpr Bytes kLogLimit = 4_MiB;

std::string random_token() {
  SystemRandom random;
  std::string bytes(32, '\0');
  random.fill({reinterpret_cast<std::uint8_t*>(bytes.data()), bytes.size()});
  return base64url_encode(bytes);
}

// The address of the log's "ready" line.
std::optional<std::string> ready_address(std::string_view log) {
  while (!log.empty()) {
    const std::size_t end = std::min(log.find('\n'), log.size());
    const std::string_view line = log.substr(0, end);
    log.remove_prefix(std::min(end + 1, log.size()));
    if (line.find("\"ready\"") == std::string_view::npos) continue;
    const auto parsed = parse_json(line);
    if (!parsed || !parsed->is_object()) continue;
    const json::value* event = parsed->get_object().if_contains("event");
    const json::value* address = parsed->get_object().if_contains("address");
    if (event != nullptr && *event == "ready" && address != nullptr && address->is_string()) {
      return std::string(address->get_string());
    }
  }
  return std::nullopt;
}

}  // namespace

Result<PrivateServer> PrivateServer::start() {
  BH_TRY(auto folder, process::TemporaryDirectory::create("bulkhead-test"));
  const std::string log_path = folder.path() + "/serve.log";
  BH_TRY(const process::UniqueFd log, process::create_new_file(log_path));
  std::string token = random_token();
  process::ChildOptions child;
  child.program = process::self_exe();
  child.arguments = {"serve", "--data-dir", folder.path() + "/data", "--listen", "127.0.0.1:0"};
  child.environment = {"PLATFORM_API_ADMIN_TOKEN=" + token, "BULKHEAD_LIMITS_RATE_LIMITS=false"};
  child.stdout_to = process::Stdio::null();
  child.stderr_to = process::Stdio::from_fd(log.get());
  BH_TRY(auto spawned, process::ChildProcess::spawn(child));
  const auto give_up = std::chrono::steady_clock::now() + kStartTime;
  std::string text;
  while (std::chrono::steady_clock::now() < give_up) {
    BH_TRY(text, process::read_file(log_path, kLogLimit));
    if (const auto address = ready_address(text)) {
      return PrivateServer(std::move(folder), std::move(spawned), "http://" + *address, std::move(token));
    }
    if (spawned.try_wait()) break;
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  if (text.size() > 2000) text.erase(0, text.size() - 2000);
  return fail(ErrorCode::kUnavailable, "The local platform did not start. The end of its log:\n" + text);
}

}  // namespace bulkhead::cli
