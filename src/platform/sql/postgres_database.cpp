#include "platform/sql/postgres_database.h"

#include "platform/observe/log.h"
#include "platform/sql/migration_plan.h"
#include "platform/sql/postgres_tenancy.h"

namespace bulkhead::sql {
namespace {

constexpr int kMostAttempts = 12;
constexpr Millis kShortestRetry{1};
constexpr Millis kLongestRetry{100};
// No new attempt after this; with the wait in the queue it bounds what a caller waits.
constexpr Millis kRetryBudget{5'000};
constexpr Millis kShortestBackoff{50};
constexpr Millis kLongestBackoff{2'000};
constexpr Millis kMigrationTimeout{300'000};
// Any number; every node uses the same. ("bulkhead" in ASCII.)
constexpr std::int64_t kMigrationLock = 0x62756c6b68656164;

// Half of the time is random, so that nodes and threads that failed together do not come back together.
Millis with_jitter(Millis time, Random& random) {
  const auto half = static_cast<std::uint64_t>(time.count()) / 2;
  return Millis(static_cast<std::int64_t>(half + random.below(half + 1)));
}

}  // namespace

Result<std::unique_ptr<Database>> open_postgres(const PostgresOptions& options, metrics::Registry& registry) {
  char* problem = nullptr;
  PQconninfoOption* parsed = PQconninfoParse(options.url.c_str(), &problem);
  PQconninfoFree(parsed);
  PQfreemem(problem);  // it may quote the password: not shown
  if (parsed == nullptr) {
    return fail(ErrorCode::kBadRequest, "The database URL is not valid.",
                "see \"Connection Strings\" in the manual of PostgreSQL");
  }
  return std::make_unique<PostgresDatabase>(options, registry);
}

bool ConnectBackoff::may_try() const {
  const std::scoped_lock lock(mutex_);
  return std::chrono::steady_clock::now() >= next_attempt_;
}

bool ConnectBackoff::succeeded() {
  const std::scoped_lock lock(mutex_);
  next_attempt_ = {};
  return std::exchange(delay_, Millis(0)) != Millis(0);
}

bool ConnectBackoff::failed(Random& random) {
  const std::scoped_lock lock(mutex_);
  const bool first = delay_ == Millis(0);
  delay_ = std::clamp(delay_ * 2, kShortestBackoff, kLongestBackoff);
  next_attempt_ = std::chrono::steady_clock::now() + with_jitter(delay_, random);
  return first;
}

PostgresDatabase::PostgresDatabase(PostgresOptions options, metrics::Registry& registry)
    : options_(std::move(options)),
      metrics_(registry, Engine::kPostgres),
      queue_(options_.queue_limit, options_.queue_patience, metrics_) {
  BH_ASSERT(options_.connections > 0);
  for (std::size_t i = 0; i < options_.connections; ++i) threads_.emplace_back([this] { work_loop(); });
}

PostgresDatabase::~PostgresDatabase() { close(); }

void PostgresDatabase::close() {
  queue_.close();
  const std::scoped_lock lock(close_mutex_);
  for (std::thread& thread : threads_) thread.join();
  threads_.clear();
}

void PostgresDatabase::submit(Mode mode, const TenantScope* scope, Work work, Done done) {
  queue_.push({.mode = mode,
               .scope = scope == nullptr ? std::nullopt : std::optional(*scope),
               .work = std::move(work),
               .done = std::move(done)});
}

void PostgresDatabase::work_loop() {
  std::unique_ptr<PostgresConnection> connection;
  SystemRandom random;
  while (std::optional<Job> job = queue_.take()) {
    job->finish(metrics_, run_with_retries(connection, *job, random));
  }
}

Status PostgresDatabase::run_with_retries(std::unique_ptr<PostgresConnection>& connection, Job& job, Random& random) {
  const SteadyTime give_up = std::chrono::steady_clock::now() + kRetryBudget;
  Millis delay = kShortestRetry;
  for (int attempt = 1;; ++attempt) {
    Attempt result = run_once(connection, job, random);
    if (result.outcome || !result.may_run_again || attempt == kMostAttempts ||
        std::chrono::steady_clock::now() >= give_up) {
      return std::move(result.outcome);
    }
    metrics_.retries.add();
    std::this_thread::sleep_for(with_jitter(delay, random));
    delay = std::min(delay * 2, kLongestRetry);
  }
}

PostgresDatabase::Attempt PostgresDatabase::run_once(std::unique_ptr<PostgresConnection>& connection, Job& job,
                                                     Random& random) {
  if (Status ready = make_ready(connection, random); !ready) return {.outcome = std::move(ready)};
  const bool is_read = job.mode == Mode::kRead;
  connection->begin(is_read ? PostgresConnection::Kind::kRead : PostgresConnection::Kind::kWrite,
                    job.scope ? &*job.scope : nullptr);
  Status outcome = connection->perform(job.work);
  if (is_read || !outcome) {
    connection->end_without_waiting();
    const bool again = !outcome && (connection->is_lost() || connection->is_serialization_failure());
    return {.outcome = std::move(outcome), .may_run_again = again};
  }
  outcome = connection->commit();
  if (outcome) metrics_.commits.add();
  // After a connection that broke during COMMIT nobody knows the outcome: not again.
  return {.outcome = std::move(outcome), .may_run_again = connection->is_serialization_failure()};
}

Status PostgresDatabase::make_ready(std::unique_ptr<PostgresConnection>& connection, Random& random) {
  if (connection && !connection->is_lost()) return {};
  connection.reset();
  if (!backoff_.may_try()) return fail(ErrorCode::kStoreUnavailable, "The database is not reachable.");
  Result<std::unique_ptr<PostgresConnection>> connected = PostgresConnection::connect(options_);
  if (!connected) {
    if (backoff_.failed(random)) log::error("sql_unreachable", connected.error(), {{"engine", "postgres"}});
    return fail(std::move(connected.error()));
  }
  if (backoff_.succeeded()) log::info("sql_reachable", {{"engine", "postgres"}});
  connection = std::move(*connected);
  return {};
}

Status PostgresDatabase::migrate(const std::vector<Migration>& migrations) {
  PostgresOptions options = options_;
  options.statement_timeout = kMigrationTimeout;
  BH_TRY(const std::unique_ptr<PostgresConnection> connection, PostgresConnection::connect(options));
  connection->begin(PostgresConnection::Kind::kMigration, nullptr);
  // Dropping the connection after an error rolls back and releases the lock.
  BH_TRY_VOID(migrate_with(*connection, migrations));
  return connection->commit();
}

Status PostgresDatabase::migrate_with(PostgresConnection& connection, const std::vector<Migration>& migrations) {
  BH_TRY_VOID(connection.query("SELECT pg_advisory_xact_lock($1)", {kMigrationLock}));
  const std::string user = connection.user_identifier();
  BH_TRY_VOID(or_not_prepared(connection.run_script(kCreateMigrationTable),
                              "The database user " + user + " may not create tables.",
                              "ALTER DATABASE " + connection.database_identifier() + " OWNER TO " + user + ";"));
  BH_TRY(const Rows applied, connection.query(kSelectMigrations, {}));
  BH_TRY(const std::vector<const Migration*> missing, plan_migrations(migrations, applied, Engine::kPostgres));
  BH_TRY_VOID(prepare_tenant_role(connection));
  for (const Migration* migration : missing) {
    if (Status ran = connection.run_script(migration->text + "\n;" + tenant_access_script(migration->text)); !ran) {
      return fail_because(ErrorCode::kInternal, "Migration " + migration->room + "/" + migration->name + " failed.",
                          std::move(ran.error()));
    }
    BH_TRY_VOID(connection.execute(kInsertMigration, {migration->room, migration->number, migration->name,
                                                      checksum(*migration), SystemClock().now()}));
  }
  warn_about_collation(connection);
  if (!missing.empty()) log::info("sql_migrated", {{"engine", "postgres"}, {"applied", missing.size()}});
  return {};
}

}  // namespace bulkhead::sql
