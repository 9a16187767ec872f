#include "server/reference_docs.h"

#include <algorithm>

#include "base/error.h"
#include "server/config.h"

namespace bulkhead::server {
namespace {

// A table cell: pipes would end it.
std::string cell(std::string_view text) {
  std::string out;
  for (const char c : text) out += c == '|' ? std::string("\\|") : std::string(1, c);
  return out;
}

}  // namespace

std::string errors_page() {
  std::string page =
      "# Errors\n\n"
      "Every refusal is `application/problem+json` (RFC 9457): `type`, `title`, `status`, `detail`, `code`, "
      "`request_id`,\n"
      "`message` (the detail again) and, where fields are at fault, `errors` with JSON pointers. `code` is one of "
      "these.\n\n"
      "| code | status | meaning | what to do |\n| --- | --- | --- | --- |\n";
  auto all = all_error_info();
  std::ranges::sort(all, [](const ErrorInfo& a, const ErrorInfo& b) {
    return std::pair(a.wire_code, a.http_status) < std::pair(b.wire_code, b.http_status);
  });
  for (const ErrorInfo& info : all) {
    page += "| `" + std::string(info.wire_code) + "` | " + std::to_string(info.http_status) + " | " + cell(info.title) +
            " | " + cell(info.action) + " |\n";
  }
  return page;
}

std::string configuration_page() {
  std::string page =
      "# Configuration\n\n"
      "Defaults, then the TOML file (`--config`, `BULKHEAD_CONFIG`), then the environment, then flags (`--set "
      "KEY=VALUE`,\n"
      "`--data-dir`, `--listen`). A key `a.b` is `b` in the file's table `[a]`. `bulkhead config explain` shows what "
      "is in\n"
      "force and why; unknown keys are errors that name their line.\n\n"
      "| key | default | environment | what |\n| --- | --- | --- | --- |\n";
  for (const Setting& setting : settings()) {
    std::string environment = "`" + setting.environment_name() + "`";
    for (const std::string_view alias : setting.aliases) environment += ", `" + std::string(alias) + "`";
    std::string doc(setting.doc);
    for (const std::string_view choice : setting.choices) {
      doc += (choice == setting.choices.front() ? " One of `" : ", `") + std::string(choice) + "`";
    }
    page += "| `" + std::string(setting.key) + "` | `" + shown_value({&setting, setting.fallback, "default"}) + "` | " +
            environment + " | " + cell(doc) + " |\n";
  }
  return page;
}

}  // namespace bulkhead::server
