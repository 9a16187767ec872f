#include "cli/test_command.h"

#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>

#include "cli/extension_api.h"
#include "cli/private_server.h"
#include "features/bundles/bundle_writer.h"
#include "features/bundles/signing.h"
#include "platform/process/file.h"

namespace bulkhead::cli {
namespace {

constexpr Bytes kMaxTestFile = 4_MiB;
constexpr std::string_view kOrganization = "local-test";

// What `actual` lacks of `expected`: objects may have more members, arrays must have as many items. "" = nothing.
std::string difference(const json::value& expected, const json::value& actual, const std::string& pointer) {
  if (expected.is_object() && actual.is_object()) {
    for (const auto& member : expected.get_object()) {
      const std::string below = pointer + "/" + std::string(member.key());
      const json::value* found = actual.get_object().if_contains(member.key());
      if (found == nullptr) return below + " is missing";
      if (std::string text = difference(member.value(), *found, below); !text.empty()) return text;
    }
    return "";
  }
  if (expected.is_array() && actual.is_array()) {
    if (expected.get_array().size() != actual.get_array().size()) {
      return pointer + " has " + std::to_string(actual.get_array().size()) + " items instead of " +
             std::to_string(expected.get_array().size()) + ": " + json::serialize(actual).substr(0, 400);
    }
    for (std::size_t i = 0; i < expected.get_array().size(); ++i) {
      std::string text = difference(expected.get_array()[i], actual.get_array()[i], pointer + "/" + std::to_string(i));
      if (!text.empty()) return text;
    }
    return "";
  }
  if (expected == actual) return "";
  return (pointer.empty() ? "/" : pointer) + " is " + json::serialize(actual) + " instead of " +
         json::serialize(expected);
}

struct Step {
  std::string name;
  json::object request;
  json::object expect;
};

// One tests/*.json (api/ext-test.schema.json).
struct TestFile {
  std::string name;
  std::optional<std::vector<std::string>> grants;  // not there: all that the manifest asks for
  json::value config;                              // null: none
  std::vector<Step> steps;
};

Result<Step> read_step(const std::string& path, const json::value& item) {
  const json::object* object = item.if_object();
  const json::value* request = object != nullptr ? object->if_contains("request") : nullptr;
  const json::value* expect = object != nullptr ? object->if_contains("expect") : nullptr;
  if (request == nullptr || !request->is_object() || expect == nullptr || !expect->is_object()) {
    return fail(ErrorCode::kBadRequest, path + ": each step needs a request and an expect object.");
  }
  return Step{text_of(*object, "name"), request->get_object(), expect->get_object()};
}

Result<TestFile> read_test_file(const std::filesystem::path& path) {
  BH_TRY(const std::string text, process::read_file(path.string(), kMaxTestFile));
  auto document = parse_json(text);
  if (!document) return fail(ErrorCode::kInvalidJson, with_place(path.string(), document.error().message));
  std::vector<FieldError> problems;
  JsonReader reader(*document, problems);
  TestFile file;
  file.name = path.filename().string();
  auto grants = reader.optional_strings("grants");
  if (document->is_object() && document->get_object().contains("grants")) file.grants = std::move(grants);
  if (const json::value* config = reader.member("config")) file.config = *config;
  const json::value* list = reader.member("steps");
  if (list == nullptr || !list->is_array()) reader.problem("steps", "must be a list of {name, request, expect}");
  reader.refuse_unknown();
  if (!problems.empty()) {
    return fail(ErrorCode::kBadRequest,
                path.string() + ": " + problems.front().pointer + " " + problems.front().message + ".");
  }
  for (const json::value& item : list->get_array()) {
    BH_TRY(Step step, read_step(path.string(), item));
    file.steps.push_back(std::move(step));
  }
  return file;
}

Result<std::vector<TestFile>> read_test_files(const std::filesystem::path& folder) {
  std::vector<std::filesystem::path> files;
  if (std::filesystem::is_directory(folder)) {
    for (const auto& entry : std::filesystem::directory_iterator(folder)) {
      if (entry.path().extension() == ".json") files.push_back(entry.path());
    }
  }
  std::ranges::sort(files);
  std::vector<TestFile> tests;
  bool any = false;
  for (const auto& path : files) {
    BH_TRY(TestFile file, read_test_file(path));
    any = any || !file.steps.empty();
    tests.push_back(std::move(file));
  }
  if (!any) return fail(ErrorCode::kNotFound, "There are no tests: put steps into tests/*.json.");
  return tests;
}

std::string request_path(const json::object& request) {
  std::string path = text_of(request, "path");
  const json::value* query = request.if_contains("query");
  if (query == nullptr || !query->is_object()) return path;
  for (const auto& member : query->get_object()) {
    path += path.find('?') == std::string::npos ? "?" : "&";
    path += net::percent_encode(member.key()) + "=" + net::percent_encode(text_of(query->get_object(), member.key()));
  }
  return path;
}

class TestRun {
 public:
  TestRun(const Globals& outer, const PrivateServer& server) {
    globals_.json = outer.json;
    globals_.server = server.url();
    globals_.token = server.admin_token();
    client_ = std::make_unique<ApiClient>(globals_);
  }

  // Makes the organization, trusts the key and publishes. The refusal of the first step that fails.
  Answer<void> prepare(const bundles::Manifest& manifest, const std::string& bundle, const std::string& public_key) {
    const auto post = [&](std::string path, json::value body) -> Answer<void> {
      ApiRequest request;
      request.method = "POST";
      request.path = std::move(path);
      request.body = std::move(body);
      auto answer = client_->call(request);
      if (!answer) return std::unexpected(std::move(answer.error()));
      return {};
    };
    if (auto made = post("/api/v1/orgs", {{"slug", kOrganization}, {"name", "Local test"}}); !made) return made;
    if (auto trusted = post("/api/v1/trust", {{"pem", public_key}, {"prefixes", {"*"}}}); !trusted) return trusted;
    auto published = publish_version(*client_, {manifest.name, bundle, "", std::string(kOrganization)});
    if (!published) return std::unexpected(std::move(published.error()));
    install_.extension = manifest.name;
    install_.version = manifest.version.text();
    install_.organization = kOrganization;
    install_.grants = manifest.capabilities;
    install_.egress = manifest.egress;
    return {};
  }

  // Installs afresh, so that each file starts with an empty store.
  Answer<void> begin(const TestFile& file) {
    if (!install_id_.empty()) {
      ApiRequest request;
      request.method = "DELETE";
      request.path = "/api/installs/" + install_id_;
      request.organization = kOrganization;
      auto removed = client_->call(request);
      if (!removed) return std::unexpected(std::move(removed.error()));
      install_id_.clear();
    }
    InstallRequest install = install_;
    if (file.grants) install.grants = *file.grants;
    install.config = file.config;
    auto installed = install_version(*client_, install);
    if (!installed) return std::unexpected(std::move(installed.error()));
    install_id_ = text_of(installed->as_object(), "id");
    return {};
  }

  // What is wrong with the step's answer; "" when it passed.
  std::string run(const Step& step) {
    ApiRequest request;
    request.method = text_of(step.request, "method");
    if (request.method.empty()) request.method = "GET";
    request.path = "/api/ext/" + net::percent_encode(install_.extension) + request_path(step.request);
    request.organization = kOrganization;
    if (const json::value* body = step.request.if_contains("json")) request.body = *body;
    if (step.request.contains("text")) {
      request.raw_body = text_of(step.request, "text");
      request.content_type = "text/plain";
    }
    if (const json::value* headers = step.request.if_contains("headers"); headers != nullptr && headers->is_object()) {
      for (const auto& member : headers->get_object()) {
        request.headers.emplace_back(member.key(), text_of(headers->get_object(), member.key()));
      }
    }
    auto answer = client_->send(request);
    if (!answer) return answer.error().message;
    return judge(step.expect, *answer);
  }

 private:
  std::string judge(const json::object& expect, const ApiAnswer& answer) {
    if (const json::value* status = expect.if_contains("status"); status != nullptr && *status != answer.status) {
      return "status is " + std::to_string(answer.status) + " instead of " + json::serialize(*status) + ": " +
             answer.body.substr(0, 400);
    }
    if (const json::value* headers = expect.if_contains("headers"); headers != nullptr && headers->is_object()) {
      for (const auto& member : headers->get_object()) {
        const std::string wanted = text_of(headers->get_object(), member.key());
        const auto found = answer.headers.find(member.key());
        if (!found || *found != wanted) {
          return "header " + std::string(member.key()) + " is " +
                 (found ? "\"" + std::string(*found) + "\"" : "absent") + " instead of \"" + wanted + "\"";
        }
      }
    }
    if (const json::value* body = expect.if_contains("json")) {
      if (std::string text = difference(*body, answer.json(), ""); !text.empty()) return "body: " + text;
    }
    if (const json::value* text = expect.if_contains("text"); text != nullptr && text->is_string()) {
      if (answer.body != std::string_view(text->get_string())) return "body is \"" + answer.body.substr(0, 400) + "\"";
    }
    if (const json::value* error = expect.if_contains("error"); error != nullptr && error->is_string()) {
      const json::value body = answer.json();
      const std::string code = body.is_object() ? text_of(body.get_object(), "code") : "";
      if (code != std::string_view(error->get_string())) return "error is \"" + code + "\"";
    }
    if (const json::value* log = expect.if_contains("log"); log != nullptr && log->is_string()) {
      return judge_log(std::string(log->get_string()), answer);
    }
    return "";
  }

  // The execution log is written in batches, so a line may take a moment to appear.
  std::string judge_log(const std::string& wanted, const ApiAnswer& answer) {
    const std::string request_id(answer.headers.find("x-request-id").value_or(""));
    std::string lines;
    for (int attempt = 0; attempt < 40; ++attempt) {
      ApiRequest request;
      request.path = "/api/installs/" + install_id_ + "/logs?request_id=" + net::percent_encode(request_id);
      request.organization = kOrganization;
      const auto logs = client_->call(request);
      if (!logs) return "log: " + logs.error().message;
      lines = logs->body;
      if (lines.find(wanted) != std::string::npos) return "";
      ::usleep(50'000);
    }
    return "log has no line with \"" + wanted + "\": " + lines.substr(0, 400);
  }

  Globals globals_;
  std::unique_ptr<ApiClient> client_;
  InstallRequest install_;  // with all that the manifest asks for
  std::string install_id_;
};

}  // namespace

int run_extension_tests(const Globals& globals, const std::string& folder) {
  const auto files = read_test_files(std::filesystem::path(folder) / "tests");
  if (!files) return report(globals, files.error());
  auto scratch = process::TemporaryDirectory::create("bulkhead-pack");
  if (!scratch) return report(globals, scratch.error());
  const std::string bundle = scratch->path() + "/bundle.tar.zst";
  const auto packed = bundles::pack_folder(folder, bundle);
  if (!packed) return report(globals, packed.error(), next_for_folder(packed.error(), folder));
  const auto key = bundles::PrivateKey::generate(bundles::KeyKind::kEd25519);
  if (auto written = bundles::sign_bundle_file(bundle, bundle, {key, {}}); !written) {
    return report(globals, written.error());
  }
  note(globals, "starting a private platform for " + packed->manifest.name + " ...");
  auto server = PrivateServer::start();
  if (!server) return report(globals, server.error());
  TestRun run(globals, *server);
  if (auto prepared = run.prepare(packed->manifest, bundle, key.public_key().to_pem()); !prepared) {
    return report(globals, prepared.error());
  }
  json::array results;
  std::size_t passed = 0;
  std::size_t failed = 0;
  for (const TestFile& file : *files) {
    if (auto begun = run.begin(file); !begun) return report(globals, begun.error());
    for (const Step& step : file.steps) {
      const std::string problem = run.run(step);
      ++(problem.empty() ? passed : failed);
      results.push_back({{"file", file.name}, {"name", step.name}, {"passed", problem.empty()}, {"problem", problem}});
      if (!globals.json) {
        std::printf("%s %s: %s%s\n", problem.empty() ? "pass" : "FAIL", file.name.c_str(), step.name.c_str(),
                    problem.empty() ? "" : ("\n     " + problem).c_str());
      }
    }
  }
  show(globals, json::object{{"passed", passed}, {"failed", failed}, {"steps", std::move(results)}},
       std::to_string(passed) + " passed, " + std::to_string(failed) + " failed");
  return failed == 0 ? kOk : kTestsFailed;
}

}  // namespace bulkhead::cli
