#include "server/platform.h"

#include <boost/asio/detached.hpp>
#include <future>

#include "base/bytes.h"
#include "features/access/api_key_service.h"
#include "features/access/authenticator.h"
#include "features/access/denial_log.h"
#include "features/access/route_service.h"
#include "features/access/routes.h"
#include "features/access/service_identity.h"
#include "features/access/shared_random.h"
#include "features/broker/stored_data_follower.h"
#include "features/egress/egress_service.h"
#include "features/executions/routes.h"
#include "features/extension_metrics/metric_calls.h"
#include "features/extension_metrics/routes.h"
#include "features/extensions/housekeeping.h"
#include "features/extensions/install_service.h"
#include "features/extensions/publisher.h"
#include "features/extensions/routes.h"
#include "features/extensions/sql_install_directory.h"
#include "features/extensions/upload_service.h"
#include "features/gateway/routes.h"
#include "features/gateway/test_run.h"
#include "features/guard/idempotency.h"
#include "features/guard/rate_limiter.h"
#include "features/invocations/invoker.h"
#include "features/invocations/policy_chain.h"
#include "features/plans/plan_policy.h"
#include "features/plans/routes.h"
#include "features/quarantine/call_policy.h"
#include "features/quarantine/routes.h"
#include "features/runners/publishing_compiler.h"
#include "features/runners/runner_supervisor.h"
#include "features/runners/stored_bundle_source.h"
#include "features/secrets/routes.h"
#include "features/secrets/secret_calls.h"
#include "platform/bus/outbox.h"
#include "platform/bus/outbox_relay.h"
#include "platform/kms/local_kms.h"
#include "platform/observe/log.h"
#include "platform/process/file.h"
#include "platform/process/posix_signals.h"
#include "server/configured_limits.h"
#include "server/events_and_schedules.h"
#include "server/guest_dial_guard.h"
#include "server/health_routes.h"
#include "server/keyring.h"
#include "server/listen_socket.h"
#include "server/service_keys.h"
#include "server/stores.h"
#include "server/version.h"

namespace bulkhead::server {
namespace {

constexpr Millis kDatabasePatience{30'000};
constexpr std::size_t kPoolThreads = 4;
constexpr std::size_t kPoolQueue = 4'096;
constexpr std::size_t kRateBuckets = 1 << 16;
// Of runners alone, which hear of no changes: how long what they know may hold, and how often they look.
constexpr Millis kBlindValidity{1'000};
constexpr Millis kTrustLook{500};
constexpr Millis kSecretLook{200};

std::string key_text(const std::array<std::uint8_t, 32>& key) {
  return hex_encode({reinterpret_cast<const char*>(key.data()), key.size()});
}

std::string joined(const std::vector<std::string>& items) {
  std::string text;
  for (const std::string& item : items) text += (text.empty() ? "" : ",") + item;
  return text;
}

}  // namespace

// In the order in which they are made; destroyed the other way round, after the cores have stopped.
struct Platform::Parts {
  Config config;
  Role role = Role::kPlatform;
  DataFolder folder;
  process::UniqueFd lock;
  metrics::Registry registry;
  SystemClock clock;
  SystemRandom random_source;
  access::SharedRandom random{random_source};
  std::unique_ptr<Cores> cores;
  std::unique_ptr<ThreadPool> pool;
  std::unique_ptr<sql::Database> database;
  std::unique_ptr<blob::Store> blobs;
  std::unique_ptr<bus::Bus> bus;
  std::unique_ptr<bus::OutboxRelay> relay;

  // access, guard
  std::unique_ptr<access::DenialLog> denials;
  std::unique_ptr<access::Authorizer> authorizer;
  std::unique_ptr<access::KeyInvalidations> invalidations;
  std::unique_ptr<access::OrganizationService> organizations;
  std::unique_ptr<access::TenantResolver> tenants;
  std::unique_ptr<access::ApiKeyService> api_keys;
  std::unique_ptr<access::Authenticator> authenticator;
  std::unique_ptr<guard::RateLimiter> rate_limiter;
  std::unique_ptr<guard::IdempotencyService> idempotency;

  // quarantine, plans
  std::unique_ptr<quarantine::QuarantineService> quarantines;
  std::unique_ptr<quarantine::CallPolicy> call_policy;
  plans::UsageMeter meter;
  std::unique_ptr<plans::PlanService> plans;
  std::unique_ptr<plans::PlanPolicy> plan_policy;
  std::unique_ptr<invocations::PolicyChain> policies;

  // extensions
  std::unique_ptr<extensions::TrustService> trust;
  std::unique_ptr<extensions::StagingFolder> staging;
  std::unique_ptr<extensions::StoredBundles> bundles;
  std::unique_ptr<extensions::RegistryService> extension_registry;
  std::unique_ptr<extensions::SqlInstallDirectory> directory;
  extensions::LocalProvisioner provisioner;
  std::unique_ptr<extensions::Provisioning> provisioning;
  secrets::SecretFollower secret_follower;
  broker::StoredDataFollower stored_data_follower;
  std::unique_ptr<EventsAndSchedules> events_and_schedules;
  std::unique_ptr<extensions::InstallService> installs;
  std::unique_ptr<extensions::UploadService> uploads;
  std::unique_ptr<extensions::Housekeeping> housekeeping;

  // secrets
  std::unique_ptr<kms::LocalKms> kms;
  std::unique_ptr<kms::Envelopes> envelopes;
  std::string keyring_place;
  std::unique_ptr<secrets::SecretService> secrets;
  std::unique_ptr<secrets::SecretHandles> secret_handles;

  // runners, broker, executions, gateway
  std::optional<runners::CodeSigner> signer;
  std::optional<ServiceKeys> service_keys;
  std::optional<ListenSocket> runner_socket;
  std::unique_ptr<runners::CompilerProcess> compiler;
  std::unique_ptr<runners::StoredBundleSource> bundle_source;
  std::unique_ptr<runners::ModuleProvider> modules;
  std::unique_ptr<runners::PublishingCompiler> publishing_compiler;
  std::unique_ptr<extensions::Publisher> publisher;
  std::vector<std::unique_ptr<SystemRandom>> core_random;
  std::vector<std::unique_ptr<broker::ExecutionTable>> executions;
  std::unique_ptr<GuestDialGuard> guest_dials;
  std::unique_ptr<egress::EgressService> egress;
  extension_metrics::SeriesTable series{clock};
  std::unique_ptr<broker::Broker> broker;
  std::unique_ptr<runners::RunnerSupervisor> supervisor;
  std::unique_ptr<executions::ExecutionLog> execution_log;
  std::unique_ptr<invocations::Invoker> invoker;
  std::unique_ptr<gateway::GatewayService> gateway;
  std::unique_ptr<gateway::TestRunService> test_runs;

  std::vector<std::unique_ptr<bus::Subscription>> subscriptions;

  std::unique_ptr<access::RouteService> route_service;
  std::unique_ptr<net::HttpServer> http;
  std::unique_ptr<process::ShutdownSignals> signals;
  std::atomic<bool> draining = false;

  ~Parts() {
    if (database) database->close();
    if (cores) cores->stop();
  }

  Status open_stores();
  Status make_access();
  void run_detached(Task<> task);
  void make_policies();
  Status make_extensions();
  Status make_secrets();
  Status check_keys();
  Status make_egress();
  void close_own_listeners();
  Status make_runners();
  Status make_gateway();
  Result<access::RouteTable> make_routes();
  Status listen();
  Status recover_calls();
  void subscribe();
  void on_install_changed(const bus::Message& message);
  void on_trust_changed();
  Task<> watch_trust();
  void start_background();
  Task<> drain();
  void wake_relay() { relay->notify(); }
};

Status Platform::Parts::open_stores() {
  BH_TRY(folder, open_data_folder(config.data_dir));
  if (role == Role::kPlatform) {
    BH_TRY(lock, lock_data_folder(folder));
  }
  cores = std::make_unique<Cores>(static_cast<std::size_t>(config.cores));
  pool = std::make_unique<ThreadPool>(kPoolThreads, kPoolQueue);
  BH_TRY(database, open_database(config, folder, registry));
  BH_TRY_VOID(migrate(*database, kDatabasePatience));
  BH_TRY(blobs, open_blobs(config, folder, *cores));
  bus = bus::make_local_bus();
  relay = std::make_unique<bus::OutboxRelay>(
      bus::OutboxRelay::Parts{cores->at(0), *database, *bus, clock, random, registry});
  return {};
}

Status Platform::Parts::make_access() {
  BH_TRY(service_keys, load_or_create_service_keys(folder.keys() + "/service.key"));
  denials = std::make_unique<access::DenialLog>(*database, clock, random, registry);
  authorizer = std::make_unique<access::Authorizer>(registry, denials.get());
  invalidations = std::make_unique<access::KeyInvalidations>(*bus, cores->at(0));
  organizations = std::make_unique<access::OrganizationService>(*database, clock, random);
  tenants = std::make_unique<access::TenantResolver>(*organizations);
  api_keys = std::make_unique<access::ApiKeyService>(*database, *invalidations, clock, random);
  access::Authenticator::Options options;
  options.platform_admin_token = config.platform_admin_token;
  options.service_tokens = access::service_token_verifier(service_keys->public_key, {"extension:read"}, clock);
  authenticator = std::make_unique<access::Authenticator>(cores->size(), *database, *invalidations, clock, random,
                                                          registry, std::move(options));
  if (config.rate_limits) {
    rate_limiter =
        std::make_unique<guard::RateLimiter>(configured_rate_limits(config), kRateBuckets, clock, random, registry);
  }
  guard::IdempotencyService::Options idempotency_options;
  BH_TRY(idempotency_options.node, load_or_create_node_id(folder, random));
  idempotency_options.epoch = Uuid::v7(clock.now(), random).to_string();
  idempotency = std::make_unique<guard::IdempotencyService>(*database, clock, registry, idempotency_options);
  return {};
}

void Platform::Parts::run_detached(Task<> task) {
  asio::co_spawn(cores->at(0).executor(), std::move(task), [](const std::exception_ptr& escaped) {
    if (escaped) std::terminate();
  });
}

// What decides about each call before it is dispatched, in this order.
void Platform::Parts::make_policies() {
  const auto wake = [this] { wake_relay(); };
  const auto run = [this](Task<> task) { run_detached(std::move(task)); };
  quarantines = std::make_unique<quarantine::QuarantineService>(
      quarantine::QuarantineService::Dependencies{*database, clock, random, wake, run}, registry);
  call_policy = std::make_unique<quarantine::CallPolicy>(call_policy_options(config), *quarantines, clock, registry);
  quarantines->on_release([this](const InstallId& install) { call_policy->release(install); });
  quarantines->listen(*bus, cores->at(0));
  plans = std::make_unique<plans::PlanService>(
      plans::PlanService::Dependencies{*database, clock, random, meter, wake, run}, config.plans);
  plans->listen(*bus, cores->at(0));
  plan_policy = std::make_unique<plans::PlanPolicy>(*plans, meter, clock, registry);
  policies = std::make_unique<invocations::PolicyChain>(
      std::vector<invocations::InvocationPolicy*>{call_policy.get(), plan_policy.get()});
}

Status Platform::Parts::make_extensions() {
  const bool dev_trust = config.trust_mode == "dev";
  if (dev_trust) {
    log::warn("dev_trust_mode", {{"meaning", "UNSIGNED BUNDLES ARE ACCEPTED; never use this in production"}});
  }
  trust = std::make_unique<extensions::TrustService>(
      *database, clock, random, dev_trust ? extensions::TrustMode::kDev : extensions::TrustMode::kEnforced,
      [this] { wake_relay(); });
  BH_TRY(auto opened, extensions::StagingFolder::open(folder.staging(), random));
  staging = std::make_unique<extensions::StagingFolder>(std::move(opened));
  bundles = std::make_unique<extensions::StoredBundles>(*database, *blobs, *trust, *staging, *pool);
  extension_registry = std::make_unique<extensions::RegistryService>(*database, clock, random);
  extensions::SqlInstallDirectory::Options directory_options;
  if (role == Role::kRunnersOnly) directory_options.keep = directory_options.keep_absent = kBlindValidity;
  directory = std::make_unique<extensions::SqlInstallDirectory>(*database, clock, registry, directory_options);
  directory->listen(*bus, cores->at(0));
  provisioning = std::make_unique<extensions::Provisioning>(*database, provisioner, clock);
  BH_TRY(std::string node, load_or_create_node_id(folder, random));
  BH_TRY(events_and_schedules,
         EventsAndSchedules::make(
             {*database, *directory, clock, random, registry, std::move(node), [this] { wake_relay(); }}, config));
  extensions::InstallService::Dependencies install_parts{
      *database,     *extension_registry,     *bundles, *directory, clock, random, config.domain_root,
      *provisioning, [this] { wake_relay(); }};
  install_parts.followers = events_and_schedules->followers();
  install_parts.followers.push_back(&secret_follower);
  install_parts.followers.push_back(&stored_data_follower);
  installs = std::make_unique<extensions::InstallService>(std::move(install_parts));
  uploads = std::make_unique<extensions::UploadService>(*database, *blobs, *staging, clock, random);
  housekeeping = std::make_unique<extensions::Housekeeping>(*provisioning, *uploads);
  return {};
}

Status Platform::Parts::make_egress() {
  BH_TRY(guest_dials, GuestDialGuard::make(config.egress_allowed_cidrs));
  egress::EgressOptions options;
  options.dial_guard = guest_dials->dial_guard();
  options.ca_file = config.egress_ca_file;
  auto pins = egress::PinnedKeys::parse(config.egress_pinned_keys);
  if (!pins) return fail(pins.error().code, "egress.pinned_keys: " + pins.error().message);
  options.pins = std::move(*pins);
  options.secrets = secret_handles.get();
  options.trace = config.egress_send_traceparent ? egress::TraceContext::kSend : egress::TraceContext::kKeep;
  if (!options.ca_file.empty()) {
    if (const auto readable = process::open_for_reading(options.ca_file); !readable) {
      return fail_because(ErrorCode::kUnprocessable, "egress.ca_file can't be read.", readable.error());
    }
  }
  egress = std::make_unique<egress::EgressService>(*cores, std::move(options), clock, registry);
  return {};
}

Status Platform::Parts::make_secrets() {
  BH_TRY(OpenedKeyring keyring, open_keyring(config, folder, role, *database, random));
  keyring_place = keyring.place;
  kms = std::make_unique<kms::LocalKms>(std::move(keyring.keys), random);
  envelopes = std::make_unique<kms::Envelopes>(kms::Envelopes::Parts{*kms, clock, random, registry});
  secrets::EnvelopeCache::Limits cache;
  // Runners alone hear of no change (see start_background), so they look often.
  if (role == Role::kRunnersOnly) cache.keep = kSecretLook;
  secrets = std::make_unique<secrets::SecretService>(
      secrets::SecretService::Dependencies{*database, *installs, *extension_registry, *envelopes, clock, random,
                                           registry, [this] { wake_relay(); }},
      cache);
  secrets->listen(*bus, cores->at(0));
  secret_handles = std::make_unique<secrets::SecretHandles>(
      *secrets, config.secrets_over_http ? secrets::PlainHttp::kAllow : secrets::PlainHttp::kRefuse);
  return {};
}

// Before anything is served: what is encrypted must open.
Status Platform::Parts::check_keys() {
  std::promise<Status> checked;
  cores->spawn(0, [this, &checked]() -> Task<> { checked.set_value(co_await secrets->check_keys(keyring_place)); });
  return checked.get_future().get();
}

// What guests must not reach, now that it is known where we listen.
void Platform::Parts::close_own_listeners() {
  std::vector<std::string> places = {config.listen};
  if (http) places.push_back(http->address());
  if (runner_socket) places.push_back(runner_socket->address);
  guest_dials->listening_on(places);
}

Status Platform::Parts::make_runners() {
  BH_TRY(auto loaded_signer, runners::CodeSigner::load_or_create(folder.keys() + "/code_signing.key"));
  signer.emplace(std::move(loaded_signer));
  if (!config.runner_listen.empty()) {
    BH_TRY(runner_socket, open_listen_socket(config.runner_listen));
  }
  BH_TRY_VOID(make_egress());
  close_own_listeners();
  runners::CompilerOptions compiler_options;
  compiler_options.program = process::self_exe();
  compiler_options.arguments = {"compiler"};
  const std::string layers = joined(config.require_layers);
  if (!layers.empty())
    compiler_options.arguments.insert(compiler_options.arguments.end(), {"--require-layers", layers});
  compiler_options.parallel = static_cast<std::size_t>(config.compiler_parallel);
  compiler_options.timeout = Millis(config.compiler_timeout_ms);
  compiler_options.memory = Bytes{static_cast<std::uint64_t>(config.compiler_memory_mb) << 20U};
  compiler = std::make_unique<runners::CompilerProcess>(compiler_options, registry);
  BH_TRY(const runners::EngineIdentity engine, compiler->describe());
  bundle_source = std::make_unique<runners::StoredBundleSource>(*bundles);
  modules = std::make_unique<runners::ModuleProvider>(*bundle_source, *blobs, *signer, *compiler, *pool, engine,
                                                      runners::ModuleProviderOptions{}, registry);
  publishing_compiler = std::make_unique<runners::PublishingCompiler>(*modules);
  publisher = std::make_unique<extensions::Publisher>(
      extensions::Publisher::Dependencies{*database, *bundles, *trust, *publishing_compiler, *pool, clock, random,
                                          [this] { wake_relay(); }},
      registry);

  std::vector<broker::ExecutionTable*> tables;
  for (std::size_t core = 0; core < cores->size(); ++core) {
    core_random.push_back(std::make_unique<SystemRandom>());
    executions.push_back(std::make_unique<broker::ExecutionTable>(clock, *core_random.back()));
    tables.push_back(executions.back().get());
  }
  broker::HostFunctions functions;
  const auto offer = [&](broker::HostFunctions more) { std::ranges::move(more, std::back_inserter(functions)); };
  offer(egress::egress_functions(*egress));
  offer(secrets::secret_functions(*secrets, random));
  offer(events_and_schedules->host_functions());
  offer(extension_metrics::metric_functions(series));
  registry.gauge("extension_metric_series", "Series that extensions count with metrics.*.",
                 [this] { return static_cast<double>(series.series_count()); });
  broker = std::make_unique<broker::Broker>(*database, clock, registry, std::move(functions));
  runners::SupervisorOptions options;
  options.program = process::self_exe();
  options.arguments = {"runner-process",
                       "--code-key",
                       key_text(signer->public_key()),
                       "--service-key",
                       key_text(service_keys->public_key),
                       "--slots",
                       std::to_string(config.runner_slots)};
  if (!layers.empty()) options.arguments.insert(options.arguments.end(), {"--require-layers", layers});
  options.processes = static_cast<std::size_t>(config.runner_processes);
  options.http_listener = runner_socket ? runner_socket->socket.get() : -1;
  supervisor = std::make_unique<runners::RunnerSupervisor>(*cores, std::move(options), *modules, *broker, tables,
                                                           *directory, clock, registry);
  return {};
}

Status Platform::Parts::make_gateway() {
  executions::ExecutionLogOptions options;
  options.directory = folder.journal();
  options.keep = std::chrono::hours(24 * config.execution_log_days);
  BH_TRY(execution_log, executions::ExecutionLog::open(*cores, *database, clock, options, registry));
  std::vector<runners::Dispatcher*> dispatchers;
  for (std::size_t core = 0; core < cores->size(); ++core) dispatchers.push_back(&supervisor->dispatcher(core));
  invoker = std::make_unique<invocations::Invoker>(
      invocations::Invoker::Dependencies{std::move(dispatchers), *execution_log, clock, policies.get()}, registry);
  gateway = std::make_unique<gateway::GatewayService>(
      gateway::GatewayService::Dependencies{*authorizer, *tenants, *directory, *invoker, *idempotency}, registry);
  test_runs = std::make_unique<gateway::TestRunService>(
      gateway::TestRunService::Dependencies{*authorizer, *tenants, *directory, *invoker});
  events_and_schedules->make_workers(*cores, *pool, *invoker, *bus);
  return {};
}

Result<access::RouteTable> Platform::Parts::make_routes() {
  access::Routes all;
  const auto add = [&](access::Routes routes) { std::move(routes.begin(), routes.end(), std::back_inserter(all)); };
  add(health_routes({*database, *blobs, *supervisor, *authorizer, registry,
                     static_cast<std::size_t>(config.runner_processes), modules->engine().sandbox_json}));
  add(access::access_routes({*database, *organizations, *api_keys, *tenants, *authorizer, clock}));
  add(extensions::extension_routes(
      {*authorizer, *tenants, *extension_registry, *publisher, *installs, *trust, *uploads, *staging, *pool}));
  add(quarantine::quarantine_routes({*authorizer, *tenants, *quarantines}));
  add(extension_metrics::metric_routes({*authorizer, *tenants, *directory, series}));
  add(plans::plan_routes({*authorizer, *tenants, *plans, meter, clock}));
  add(secrets::secret_routes({*secrets, *authorizer, *tenants}));
  add(events_and_schedules->routes(*authorizer, *tenants));
  add(executions::execution_routes({*database, *execution_log, *authorizer, *tenants, clock, draining}));
  add(gateway::gateway_routes(*gateway));
  add(gateway::test_run_routes(*test_runs));
  return access::RouteTable::build(std::move(all));
}

Status Platform::Parts::listen() {
  BH_TRY(access::RouteTable table, make_routes());
  access::RouteService::Options options;
  for (const std::string& text : config.trusted_proxies) {
    const auto range = access::AddressRange::parse(text);
    if (!range) return fail(ErrorCode::kUnprocessable, "server.trusted_proxies: \"" + text + "\" is not a CIDR range.");
    options.trusted_proxies.push_back(*range);
  }
  route_service = std::make_unique<access::RouteService>(*cores, std::move(table), *authenticator, rate_limiter.get(),
                                                         clock, registry, std::move(options));
  BH_TRY(const HostAndPort place, parse_host_and_port(config.listen));
  net::HttpServerOptions http_options;
  http_options.host = place.host;
  http_options.port = place.port;
  http_options.max_connections = static_cast<std::size_t>(config.max_connections);
  BH_TRY(http, net::listen_http(*cores, *route_service, http_options, registry));
  close_own_listeners();
  return {};
}

// What the store knows of calls that were in flight, and of installs that must not be called.
Status Platform::Parts::recover_calls() {
  std::promise<Status> recovered;
  cores->spawn(0, [this, &recovered]() -> Task<> {
    Status loaded = co_await quarantines->load();
    if (loaded) loaded = co_await plans->load();
    if (!loaded) {
      recovered.set_value(std::move(loaded));
      co_return;
    }
    const auto unknown = co_await idempotency->recover();
    if (unknown && *unknown > 0) log::warn("idempotency_outcomes_unknown", {{"records", *unknown}});
    recovered.set_value(unknown ? Status() : fail(unknown.error()));
  });
  return recovered.get_future().get();
}

void Platform::Parts::on_trust_changed() {
  modules->evict_all();
  supervisor->forget_modules();
}

// In place of `trust.changed`, of which runners alone don't hear.
Task<> Platform::Parts::watch_trust() {
  std::string known;
  while (!draining) {
    const auto state = co_await trust->state();
    if (state && *state != known) {
      known = *state;
      on_trust_changed();
    }
    co_await sleep_for(kTrustLook);
  }
}

void Platform::Parts::on_install_changed(const bus::Message& message) {
  const auto event = bus::parse_event(message);
  if (!event || !event->tenant) return;
  const json::value* action = event->data.if_contains("action");
  const json::value* id = event->data.if_contains("install_id");
  if (action == nullptr || *action != "install.delete" || id == nullptr || !id->is_string()) return;
  const auto install = InstallId::parse(std::string_view(id->get_string()));
  if (!install) return;
  cores->spawn(0,
               [this, tenant = *event->tenant, install = *install] { return broker->forget_install(tenant, install); });
}

// What one room's change means for another, by the outbox's events. Made before the cores start.
void Platform::Parts::subscribe() {
  subscriptions.push_back(bus->subscribe(
      cores->at(0), "trust.changed",
      {.message = [this](const bus::Message&) { on_trust_changed(); }, .lost = [this] { on_trust_changed(); }}));
  subscriptions.push_back(
      bus->subscribe(cores->at(0), "install.changed",
                     {.message = [this](const bus::Message& message) { on_install_changed(message); }, .lost = [] {}}));
}

void Platform::Parts::start_background() {
  if (role == Role::kPlatform) {
    relay->start();
  } else {
    // The events are serve's: the bus lies inside one process, so whoever relays one takes it from everybody else.
    cores->spawn(0, [this] { return watch_trust(); });
  }
  supervisor->start();
  if (execution_log) execution_log->start(*cores);
  cores->spawn(0, [this] { return denials->keep_writing(); });
  cores->spawn(0, [this] { return idempotency->keep_clean(); });
  cores->spawn(0, [this] { return broker->run_expiry(); });
  cores->spawn(0, [this] { return housekeeping->run(); });
  cores->spawn(0, [this] { return secrets->keep_clean(); });
  events_and_schedules->start(*cores);
  for (std::size_t core = 0; core < cores->size(); ++core) {
    cores->spawn(core, [this, core] { return authenticator->keep_last_used(core); });
  }
}

Task<> Platform::Parts::drain() {
  draining = true;
  const Millis grace(config.drain_grace_ms);
  if (http) co_await http->drain(grace);
  housekeeping->stop();
  co_await events_and_schedules->stop(grace);
  co_await supervisor->stop(grace);
  if (execution_log) co_await execution_log->stop(grace);
  static_cast<void>(co_await denials->write());
  co_await relay->stop();
}

Platform::Platform(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}
Platform::~Platform() = default;

Result<std::unique_ptr<Platform>> Platform::start(const Config& config, Role role) {
  auto parts = std::make_unique<Parts>();
  parts->config = config;
  parts->role = role;
  if (role == Role::kRunnersOnly && config.runner_listen.empty()) {
    return fail(ErrorCode::kBadRequest, "Say where to serve POST /v1/execute: --listen HOST:PORT.");
  }
  BH_TRY_VOID(parts->open_stores());
  BH_TRY_VOID(parts->make_access());
  parts->make_policies();
  BH_TRY_VOID(parts->make_extensions());
  BH_TRY_VOID(parts->make_secrets());
  BH_TRY_VOID(parts->make_runners());
  const bool platform = role == Role::kPlatform;
  // The journals and the record of what was in flight belong to the one process that serves calls.
  if (platform) BH_TRY_VOID(parts->make_gateway());
  parts->subscribe();
  parts->signals = std::make_unique<process::ShutdownSignals>(parts->cores->at(0).executor());
  parts->cores->start();
  if (platform) BH_TRY_VOID(parts->check_keys());
  if (platform) BH_TRY_VOID(parts->recover_calls());
  parts->start_background();
  if (platform) BH_TRY_VOID(parts->listen());
  return std::unique_ptr<Platform>(new Platform(std::move(parts)));
}

std::string Platform::address() const {
  return parts_->http ? parts_->http->address() : parts_->runner_socket->address;
}

void Platform::run_until_signal() {
  std::promise<void> done;
  parts_->cores->spawn(0, [this, &done]() -> Task<> {
    const auto signal = co_await parts_->signals->next();
    log::info("draining", {{"signal", signal.value_or(0)}});
    co_await parts_->drain();
    done.set_value();
  });
  done.get_future().wait();
}

}  // namespace bulkhead::server
