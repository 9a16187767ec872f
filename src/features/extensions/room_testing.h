// For tests: this room as src/server wires it, on a real database, a blob store on disk and real signed bundles. The
// compiler process lives in another room, so a module counts as compiled here when it starts like WebAssembly.
#pragma once

#include <fstream>
#include <string>

#include "features/access/room_testing.h"
#include "features/bundles/archive_writer.h"
#include "features/bundles/scratch_folder.h"
#include "features/bundles/tar_forge.h"
#include "features/extensions/provisioning.h"
#include "features/extensions/routes.h"
#include "features/extensions/sql_install_directory.h"
#include "platform/blob/stores.h"
#include "platform/bus/outbox.h"
#include "platform/process/file.h"

namespace bulkhead {
std::vector<sql::Migration> extensions_migrations();
}

namespace bulkhead::extensions {

class HeaderCompiler final : public ModuleCompiler {
 public:
  Task<Result<CompiledInfo>> compile([[maybe_unused]] ContentHash content_hash, std::string wasm) override {
    ++calls;
    if (!wasm.starts_with(bundles::forge::kModule)) {
      co_return fail(ErrorCode::kAbiMissingExport, "The module lacks the export handler.");
    }
    co_return CompiledInfo{"test", "test"};
  }
  int calls = 0;
};

// A request body that comes in pieces.
class TextBody final : public net::BodyReader {
 public:
  explicit TextBody(std::string text, std::size_t piece = 10'000) : text_(std::move(text)), piece_(piece) {}
  Task<Result<std::size_t>> read(std::span<char> into) override {
    const std::size_t count = std::min({into.size(), piece_, text_.size() - at_});
    std::copy_n(text_.data() + at_, count, into.data());
    at_ += count;
    co_return count;
  }

 private:
  std::string text_;
  std::size_t piece_;
  std::size_t at_ = 0;
};

inline std::string slurp(const std::string& path) { return process::read_file(path, 256_MiB).value(); }

struct TestRoom {
  explicit TestRoom(sql::Engine engine) : access(engine) {
    std::vector<sql::Migration> migrations = bus_migrations();
    for (auto& migration : extensions_migrations()) migrations.push_back(migration);
    BH_ASSERT(access.database->migrate(migrations).has_value());
    access::Routes all = access::access_routes(
        {*access.database, access.organizations, access.api_keys, access.tenants, access.authorizer, access.clock});
    for (auto& route : extension_routes(
             {access.authorizer, access.tenants, registry, publisher, installs, trust, uploads, staging, pool})) {
      all.push_back(std::move(route));
    }
    auto table = access::RouteTable::build(std::move(all));
    BH_ASSERT(table.has_value());
    service = std::make_unique<access::RouteService>(access.cores, std::move(*table), access.authenticator, nullptr,
                                                     access.clock, access.registry, access::RouteService::Options{});
  }

  struct Answer {
    int status = 0;
    json::value body;
    std::string code() const {
      return body.is_object() && body.as_object().contains("code") ? std::string(body.at("code").as_string()) : "";
    }
    std::string text(std::string_view pointer) const { return std::string(body.at_pointer(pointer).as_string()); }
  };
  Answer send(net::Method method, std::string target, const std::string& token, json::value body = nullptr,
              std::vector<std::pair<std::string, std::string>> headers = {}) {
    net::Request request = make_request(method, std::move(target), token, headers);
    if (!body.is_null()) {
      request.headers.add("content-type", "application/json");
      request.body = json::serialize(body);
    }
    return answer_of(request);
  }
  Answer upload(std::string target, const std::string& token, std::string bytes,
                std::vector<std::pair<std::string, std::string>> headers = {}) {
    net::Request request = make_request(net::Method::kPost, std::move(target), token, headers);
    TextBody body(std::move(bytes));
    request.stream = &body;
    return answer_of(request);
  }
  Answer publish(const std::string& token, const std::string& bytes, const std::string& name = "com.example.hello") {
    return upload("/api/extensions/" + name + "/versions", token, bytes);
  }

  // A manifest of `name` and `version` with further members.
  static std::string manifest(std::string_view name, std::string_view version, json::object more = {}) {
    more["name"] = name;
    more["version"] = version;
    more["runtime"] = "wasm-core@1";
    return json::serialize(more);
  }
  std::string unsigned_bundle(const std::string& manifest_text,
                              std::string module = std::string(bundles::forge::kModule)) {
    BH_ASSERT(bundles::write_archive({{"manifest.json", manifest_text}, {"dist/main.wasm", std::move(module)}},
                                     scratch.path("bundle"))
                  .has_value());
    return slurp(scratch.path("bundle"));
  }
  std::string signed_bundle(const std::string& manifest_text,
                            std::string module = std::string(bundles::forge::kModule)) {
    unsigned_bundle(manifest_text, std::move(module));
    BH_ASSERT(bundles::sign_bundle_file(scratch.path("bundle"), scratch.path("bundle"), {key, {}}).has_value());
    return slurp(scratch.path("bundle"));
  }
  std::string hello(std::string_view version, json::object more = {}) {
    return signed_bundle(manifest("com.example.hello", version, std::move(more)));
  }
  void trust_key() {
    const auto added =
        send(net::Method::kPost, "/api/v1/trust", access::kTestAdminToken, {{"pem", key.public_key().to_pem()}});
    BH_ASSERT(added.status == 201);
  }
  std::int64_t count(const std::string& query) {
    return sql::wait(access.database->system_read([&](sql::SystemTx& tx) { return tx.query_one(query); }))->integer(0);
  }

  access::TestRoom access;
  bundles::ScratchFolder scratch;
  ThreadPool pool{2, 64};
  std::unique_ptr<blob::Store> blobs = *blob::make_fs_store({.root = scratch.path("blobs")});
  StagingFolder staging = *StagingFolder::open(scratch.path("staging"), access.random);
  bundles::PrivateKey key = bundles::PrivateKey::generate(bundles::KeyKind::kEd25519);
  HeaderCompiler compiler;
  LocalProvisioner provisioner;
  TrustService trust{*access.database, access.clock, access.random, TrustMode::kEnforced, [] {}};
  StoredBundles stored{*access.database, *blobs, trust, staging, pool};
  RegistryService registry{*access.database, access.clock, access.random};
  SqlInstallDirectory directory{*access.database, access.clock, access.registry};
  Provisioning provisioning{*access.database, provisioner, access.clock};
  Publisher publisher{{*access.database, stored, trust, compiler, pool, access.clock, access.random, [] {}},
                      access.registry};
  InstallService installs{
      {*access.database, registry, stored, directory, access.clock, access.random, "apps.test", provisioning, [] {}}};
  UploadService uploads{*access.database, *blobs, staging, access.clock, access.random};
  std::unique_ptr<access::RouteService> service;

 private:
  static net::Request make_request(net::Method method, std::string target, const std::string& token,
                                   const std::vector<std::pair<std::string, std::string>>& headers) {
    net::Request request;
    request.method = method;
    request.target = std::move(target);
    request.peer = boost::asio::ip::make_address("192.0.2.1");
    if (!token.empty()) request.headers.add("x-api-key", token);
    for (const auto& [name, value] : headers) request.headers.add(name, value);
    return request;
  }
  Answer answer_of(net::Request& request) {
    const net::Response response = sql::wait(service->handle(request));
    return {response.status, parse_json(response.body).value_or(nullptr)};
  }
};

}  // namespace bulkhead::extensions
