#include "features/bundles/manifest.h"

#include <gtest/gtest.h>

#include <fstream>
#include <set>
#include <sstream>

#include "features/bundles/endpoint_path.h"
#include "platform/schema/validator.h"

namespace bulkhead::bundles {
namespace {

// Every field of the contract, once.
constexpr std::string_view kComplete = R"({
  "$schema": "urn:bulkhead:schema:manifest:v2",
  "name": "com.example.orders", "publisher": "Example", "version": "1.2.3", "runtime": "wasm-core@1",
  "entry": "dist/orders.wasm",
  "capabilities": ["storage.kv", "cap:http.fetch", "log.emit"],
  "egress": ["API.example.com", "*.example.org:443"],
  "api": {"endpoints": [
    {"method": "GET", "path": "/agreements/{id}", "handler": "get_agreement", "timeout_ms": 8000},
    {"method": "POST", "path": "/agreements", "handler": "create", "permission": "billing:write"},
    {"method": "GET", "path": "/agreements/latest", "handler": "latest"}]},
  "events": [{"topic": "billing.statement.created", "handler": "on_statement", "filter": {"kind": "final"}}],
  "schedules": [{"id": "nightly", "cron": "0 3 * * *", "handler": "sweep", "timezone": "Europe/Berlin"}],
  "ui": {"type": "iframe", "entry": "ui/index.html",
         "routes": [{"path": "/agreements", "iframePath": "ui/agreements.html"}]},
  "config": {"type": "object", "properties": {"currency": {"type": "string"}}},
  "secrets": ["api_key"],
  "precompiled": {"x86_64-linux-gnu": "artifacts/cwasm/x86_64-linux-gnu/main.cwasm"},
  "assets": ["ui/**/*"], "sbom": "sbom.spdx.json"
})";

// Sets the member that `pointer` names; its parent is there.
void put(json::value& document, std::string_view pointer, json::value value) {
  const std::size_t slash = pointer.rfind('/');
  document.at_pointer(pointer.substr(0, slash)).as_object()[pointer.substr(slash + 1)] = std::move(value);
}

json::value complete() { return *parse_json(kComplete); }

std::string problems_of(const json::value& document) {
  const auto manifest = validate_manifest(document);
  if (manifest) return "";
  EXPECT_EQ(manifest.error().code, ErrorCode::kInvalidManifest);
  std::string text;
  for (const auto& [pointer, message] : manifest.error().fields) text += pointer + " " + message + "\n";
  return text;
}

TEST(Manifest, ReadsEveryFieldOfTheContractAndNormalisesIt) {
  const auto manifest = parse_manifest(kComplete);
  ASSERT_TRUE(manifest) << manifest.error().to_log_string();
  EXPECT_EQ(manifest->name, "com.example.orders");
  EXPECT_EQ(manifest->version.text(), "1.2.3");
  EXPECT_EQ(manifest->entry, "dist/orders.wasm");
  EXPECT_EQ(manifest->capabilities, (std::vector<std::string>{"storage.kv", "http.fetch", "log.emit"}));
  EXPECT_EQ(manifest->egress, (std::vector<std::string>{"api.example.com", "*.example.org:443"}));
  ASSERT_EQ(manifest->endpoints.size(), 3U);
  EXPECT_EQ(manifest->endpoints[0].path, "/agreements/:id");
  EXPECT_EQ(manifest->endpoints[0].segments, (std::vector<std::string>{"agreements", ":id"}));
  EXPECT_EQ(manifest->endpoints[0].timeout, Millis(8000));
  EXPECT_EQ(manifest->endpoints[0].permission, "extension:read");
  EXPECT_EQ(manifest->endpoints[1].permission, "billing:write");
  EXPECT_EQ(manifest->events.at(0).filter_json, R"({"kind":"final"})");
  EXPECT_EQ(manifest->schedules.at(0).timezone, "Europe/Berlin");
  EXPECT_EQ(manifest->ui->routes.at(0).iframe_path, "ui/agreements.html");
  EXPECT_EQ(manifest->precompiled.size(), 1U);
  EXPECT_EQ(manifest->sbom, "sbom.spdx.json");
}

TEST(Manifest, TheShortestOneHasNameVersionAndRuntime) {
  const auto manifest = parse_manifest(R"({"name":"com.example.a","version":"0.1.0","runtime":"wasm-js@1"})");
  ASSERT_TRUE(manifest);
  EXPECT_EQ(manifest->entry, "dist/main.wasm");
  EXPECT_TRUE(manifest->capabilities.empty());
  EXPECT_FALSE(manifest->ui);
}

TEST(Manifest, UnknownFieldsNameTheNearestKnownOne) {
  json::value document = complete();
  document.as_object()["capabilites"] = json::array();
  document.at("api").at("endpoints").at(0).as_object()["timeoutMs"] = 5;
  const std::string problems = problems_of(document);
  EXPECT_NE(problems.find("/capabilites is not a known field; did you mean \"capabilities\"?"), problems.npos);
  EXPECT_NE(problems.find("/api/endpoints/0/timeoutMs is not a known field; did you mean \"timeout_ms\"?"),
            problems.npos);
}

TEST(Manifest, UnknownCapabilitiesNameTheNearestKnownOne) {
  json::value document = complete();
  document.at("capabilities") = {"storage.kb", "cap:nothing.like.it"};
  EXPECT_EQ(problems_of(document),
            "/capabilities/0 is not a known capability; did you mean \"storage.kv\"?\n"
            "/capabilities/1 is not a known capability\n");
}

TEST(Manifest, ReportsAllProblemsAtOnceWithPointers) {
  const std::string problems = problems_of(*parse_json(
      R"({"name":"Orders","version":"1.2","runtime":"python","api":{"endpoints":[{"method":"HEAD","path":"x"}]}})"));
  for (const char* pointer : {"/name ", "/version ", "/runtime ", "/api/endpoints/0/method ", "/api/endpoints/0/path ",
                              "/api/endpoints/0/handler "}) {
    EXPECT_NE(problems.find(pointer), problems.npos) << pointer << " in " << problems;
  }
}

struct BadValue {
  const char* name;
  const char* pointer;  // where the value is put
  const char* json;
};
void PrintTo(const BadValue& bad, std::ostream* out) { *out << bad.pointer << " = " << bad.json; }

const std::vector<BadValue> kBadValues{

    {"NameOneLabel", "/name", R"("orders")"},
    {"NameUpper", "/name", R"("com.Example")"},
    {"NameType", "/name", "7"},
    {"VersionShort", "/version", R"("1.0")"},
    {"VersionPrefix", "/version", R"("v1.0.0")"},
    {"Runtime", "/runtime", R"("wasm-core@2")"},
    {"EntryTraversal", "/entry", R"("../main.wasm")"},
    {"EntryAbsolute", "/entry", R"("/main.wasm")"},
    {"EntryManifest", "/entry", R"("manifest.json")"},
    {"PublisherEmpty", "/publisher", R"("")"},
    {"CapabilityType", "/capabilities", R"("storage.kv")"},
    {"CapabilityTwice", "/capabilities", R"(["storage.kv","cap:storage.kv"])"},
    {"EgressUrl", "/egress", R"(["https://a.com"])"},
    {"EgressWide", "/egress", R"(["*.com"])"},
    {"ApiType", "/api", "[]"},
    {"EndpointsType", "/api/endpoints", "{}"},
    {"Method", "/api/endpoints/0/method", R"("get")"},
    {"PathRelative", "/api/endpoints/0/path", R"("a")"},
    {"PathDots", "/api/endpoints/0/path", R"("/a/../b")"},
    {"PathTrailing", "/api/endpoints/0/path", R"("/a/")"},
    {"PathParameter", "/api/endpoints/0/path", R"("/a/:")"},
    {"PathBrace", "/api/endpoints/0/path", R"("/a/{b")"},
    {"PathTwice", "/api/endpoints/0/path", R"("/:a/:a")"},
    {"PathEscape", "/api/endpoints/0/path", R"("/a%2fb")"},
    {"TimeoutLarge", "/api/endpoints/0/timeout_ms", "30001"},
    {"TimeoutZero", "/api/endpoints/0/timeout_ms", "0"},
    {"Permission", "/api/endpoints/0/permission", R"("read")"},
    {"HandlerEmpty", "/api/endpoints/0/handler", R"("")"},
    {"Topic", "/events/0/topic", R"("a..b")"},
    {"Filter", "/events/0/filter", "[]"},
    {"CronFour", "/schedules/0/cron", R"("0 3 * *")"},
    {"CronSix", "/schedules/0/cron", R"("0 0 3 * * *")"},
    {"Timezone", "/schedules/0/timezone", R"("a b")"},
    {"UiType", "/ui/type", R"("page")"},
    {"UiEntry", "/ui/entry", R"("index.html")"},
    {"UiRoute", "/ui/routes/0/iframePath", R"("ui/../x")"},
    {"Config", "/config", "true"},
    {"Secret", "/secrets", R"(["a b"])"},
    {"Precompiled", "/precompiled/x86_64-linux-gnu", R"("../x")"},
    {"Asset", "/assets", R"(["/etc/*"])"},
    {"Sbom", "/sbom", R"("")"}};

class ManifestRefuses : public testing::TestWithParam<BadValue> {};

TEST_P(ManifestRefuses, TheValueAtItsPointer) {
  json::value document = complete();
  put(document, GetParam().pointer, *parse_json(GetParam().json));
  const std::string problems = problems_of(document);
  EXPECT_TRUE(problems.starts_with(GetParam().pointer)) << problems;
}

INSTANTIATE_TEST_SUITE_P(Field, ManifestRefuses, testing::ValuesIn(kBadValues),
                         [](const auto& info) { return info.param.name; });

TEST(Manifest, EndpointsThatMatchTheSameRequestsAreRefused) {
  json::value document = complete();
  document.at("api").at("endpoints").at(2).at("path") = "/agreements/:key";
  EXPECT_EQ(problems_of(document), "/api/endpoints/2/path matches the same requests as GET /agreements/:id\n");
  document.at("api").at("endpoints").at(0).at("path") = "/:kind/latest";
  EXPECT_EQ(problems_of(document), "/api/endpoints/2/path is ambiguous with GET /:kind/latest\n");
  document.at("api").at("endpoints").at(2).at("method") = "DELETE";
  EXPECT_EQ(problems_of(document), "");
}

TEST(Manifest, TheConfigSchemaMustBeOneItself) {
  json::value document = complete();
  document.at("config") = {{"type", "objekt"}};
  EXPECT_TRUE(problems_of(document).starts_with("/config/type ")) << problems_of(document);
}

TEST(Manifest, RefusesWhatIsNotOneJsonObject) {
  for (const char* text : {"", "[]", "null", "{", "{} {}", R"({"name":"com.a.b","name":"com.a.c"})"}) {
    const auto manifest = parse_manifest(std::string_view(text));
    ASSERT_FALSE(manifest) << text;
    EXPECT_EQ(manifest.error().code, ErrorCode::kInvalidManifest);
  }
  EXPECT_FALSE(parse_manifest(std::string(kMaxManifestSize + 1, ' ')));
}

// --- api/manifest.v2.schema.json says the same as the parser ------------------------------------------------------

json::value schema() {
  std::ifstream file("api/manifest.v2.schema.json");
  std::stringstream text;
  text << file.rdbuf();
  auto parsed = parse_json(text.str());
  EXPECT_TRUE(parsed) << "run the test from the project's root";
  return parsed ? *parsed : json::value(json::object());
}

void expect_same_fields(const json::value& described, const json::value& sample, const std::string& pointer) {
  const json::object& properties = described.at("properties").as_object();
  for (const auto& member : sample.as_object()) {
    EXPECT_TRUE(properties.contains(member.key())) << "the schema lacks " << pointer << "/" << member.key();
  }
  for (const auto& property : properties) {
    json::value document = complete();
    put(document, pointer + "/" + std::string(property.key()), nullptr);
    EXPECT_EQ(problems_of(document).find(pointer + "/" + std::string(property.key()) + " is not a known field"),
              std::string::npos)
        << "the parser does not know " << pointer << "/" << property.key();
  }
  for (const auto& name : described.at("required").as_array()) {
    json::value document = complete();
    document.at_pointer(pointer).as_object().erase(name.as_string());
    EXPECT_NE(problems_of(document).find(pointer + "/" + std::string(name.as_string()) + " is required"),
              std::string::npos);
  }
  EXPECT_EQ(described.at("additionalProperties"), json::value(false));
}

TEST(ManifestSchema, HasTheFieldsThatTheParserKnowsAndNoOthers) {
  const json::value described = schema();
  const json::value sample = complete();
  expect_same_fields(described, sample, "");
  expect_same_fields(described.at("$defs").at("endpoint"), sample.at_pointer("/api/endpoints/0"), "/api/endpoints/0");
  expect_same_fields(described.at("$defs").at("event"), sample.at_pointer("/events/0"), "/events/0");
  expect_same_fields(described.at("$defs").at("schedule"), sample.at_pointer("/schedules/0"), "/schedules/0");
  expect_same_fields(described.at("$defs").at("ui"), sample.at("ui"), "/ui");
}

// Parser and schema judge alike, but for what the schema's description says it can't.
TEST(ManifestSchema, AgreesWithTheParser) {
  const auto validator = schema::Validator::compile(json::serialize(schema()));
  ASSERT_TRUE(validator) << validator.error().to_log_string();
  EXPECT_TRUE(validator->validate(kComplete).empty());
  const std::set<std::string_view> beyond{"CapabilityTwice", "PathTwice", "EntryManifest", "EgressWide"};
  for (const BadValue& bad : kBadValues) {
    json::value document = complete();
    put(document, bad.pointer, *parse_json(bad.json));
    const auto problems = validator->validate(json::serialize(document));
    if (beyond.contains(bad.name)) continue;
    ASSERT_FALSE(problems.empty()) << bad.name;
    EXPECT_TRUE(problems.front().pointer.starts_with(bad.pointer)) << bad.name << ": " << problems.front().pointer;
  }
}

TEST(ManifestSchema, ListsTheKnownCapabilities) {
  std::vector<std::string> expected;
  for (const char* prefix : {"", "cap:"}) {
    for (const std::string_view name : known_capabilities()) expected.push_back(prefix + std::string(name));
  }
  const json::value described = schema();
  std::vector<std::string> listed;
  for (const auto& item : described.at_pointer("/properties/capabilities/items/enum").as_array()) {
    listed.emplace_back(item.as_string());
  }
  EXPECT_EQ(listed, expected);
}

}  // namespace
}  // namespace bulkhead::bundles
