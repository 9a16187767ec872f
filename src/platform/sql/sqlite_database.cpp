#include "platform/sql/sqlite_database.h"

#include "platform/observe/log.h"
#include "platform/sql/migration_plan.h"

namespace bulkhead::sql {
namespace {

// A group ends when it has this many transactions or has run this long: later callers wait for the next one.
constexpr std::size_t kMostInGroup = 512;
constexpr std::chrono::milliseconds kLongestGroup{5};
constexpr Millis kMigrationTimeout{120'000};

}  // namespace

Result<std::unique_ptr<Database>> open_sqlite(const SqliteOptions& options, metrics::Registry& registry) {
  auto database = std::make_unique<SqliteDatabase>(options, registry);
  BH_TRY_VOID(database->start());
  return database;
}

SqliteDatabase::SqliteDatabase(SqliteOptions options, metrics::Registry& registry)
    : options_(std::move(options)),
      metrics_(registry, Engine::kSqlite),
      writes_(options_.queue_limit, options_.queue_patience, metrics_),
      reads_(options_.queue_limit, options_.queue_patience, metrics_) {
  BH_ASSERT(options_.readers > 0);
}

SqliteDatabase::~SqliteDatabase() { close(); }

Status SqliteDatabase::start() {
  BH_TRY_VOID(make_ready(writer_, options_, SqliteConnection::Access::kWriter));
  threads_.emplace_back([this] { write_loop(); });
  for (std::size_t i = 0; i < options_.readers; ++i) threads_.emplace_back([this] { read_loop(); });
  return {};
}

void SqliteDatabase::close() {
  writes_.close();
  reads_.close();
  const std::scoped_lock lock(close_mutex_);
  for (std::thread& thread : threads_) thread.join();
  threads_.clear();
  writer_.reset();
}

void SqliteDatabase::submit(Mode mode, const TenantScope* scope, Work work, Done done) {
  Job job{.mode = mode,
          .scope = scope == nullptr ? std::nullopt : std::optional(*scope),
          .work = std::move(work),
          .done = std::move(done)};
  (mode == Mode::kWrite ? writes_ : reads_).push(std::move(job));
}

Status SqliteDatabase::make_ready(std::unique_ptr<SqliteConnection>& connection, const SqliteOptions& options,
                                  SqliteConnection::Access access) {
  if (connection && !connection->must_reopen()) return {};
  connection.reset();
  BH_TRY(connection, SqliteConnection::open(options, access));
  return {};
}

void SqliteDatabase::write_loop() {
  while (std::optional<Job> job = writes_.take()) {
    std::vector<Job> jobs;
    jobs.push_back(std::move(*job));
    while (!jobs.empty()) jobs = run_group(std::move(jobs));
  }
}

std::vector<Job> SqliteDatabase::run_group(std::vector<Job> jobs) {
  Status begun = make_ready(writer_, options_, SqliteConnection::Access::kWriter);
  if (begun) begun = writer_->control("BEGIN IMMEDIATE");
  if (!begun) {
    note_health(begun);
    for (Job& job : jobs) job.finish(metrics_, begun);
    return {};
  }
  std::vector<Ran> group = run_savepoints(std::move(jobs));
  metrics_.group_size.observe(static_cast<double>(group.size()));
  if (!writer_->in_transaction()) return after_lost_group(std::move(group));
  const Status committed = commit(group);
  for (Ran& ran : group) ran.job.finish(metrics_, ran.outcome && !committed ? committed : std::move(ran.outcome));
  writer_->checkpoint_if_due();
  return {};
}

std::vector<SqliteDatabase::Ran> SqliteDatabase::run_savepoints(std::vector<Job> jobs) {
  const SteadyTime end = std::chrono::steady_clock::now() + kLongestGroup;
  std::vector<Ran> group;
  for (Job& job : jobs) group.push_back({.job = std::move(job), .outcome = {}});
  for (std::size_t next = 0; next < group.size(); ++next) {
    group[next].outcome = run_in_savepoint(group[next].job);
    if (!writer_->in_transaction()) break;
    if (next + 1 < group.size() || group.size() >= kMostInGroup || std::chrono::steady_clock::now() >= end) continue;
    if (std::optional<Job> more = writes_.try_take()) group.push_back({.job = std::move(*more), .outcome = {}});
  }
  return group;
}

Status SqliteDatabase::run_in_savepoint(Job& job) {
  BH_TRY_VOID(writer_->control("SAVEPOINT one_write"));
  Status outcome = writer_->perform(job.work);
  if (!writer_->in_transaction()) return outcome;  // nothing is left to roll back
  if (outcome && writer_->has_unresolved_foreign_keys()) outcome = fail(ErrorCode::kConflict);
  Status ended;
  if (!outcome) ended = writer_->control("ROLLBACK TO one_write");
  if (ended) ended = writer_->control("RELEASE one_write");
  if (ended) return outcome;
  // What this write did can't be told apart from its neighbours' any more, so nothing of the group may be committed.
  roll_back();
  return ended;
}

void SqliteDatabase::roll_back() {
  if (!writer_->in_transaction()) return;
  if (const Status undone = writer_->control("ROLLBACK"); !undone) log::error("sql_rollback_failed", undone.error());
  BH_ASSERT(!writer_->in_transaction());
}

Status SqliteDatabase::commit(const std::vector<Ran>& group) {
  bool anything = false;
  for (const Ran& ran : group) anything |= ran.outcome.has_value();
  Status outcome;
  if (anything) {
    outcome = writer_->control("COMMIT");
    if (outcome) metrics_.commits.add();
    note_health(outcome);
  }
  roll_back();  // after a COMMIT that failed, or that was not worth it
  return outcome;
}

void SqliteDatabase::note_health(const Status& outcome) {
  if (!outcome && !failing_) log::error("sql_write_failing", outcome.error());
  if (outcome && failing_) log::info("sql_write_recovered", {{"engine", "sqlite"}});
  failing_ = !outcome;
}

// A statement that was interrupted, or found no space or memory, may cost the whole SQLite transaction. The one that
// caused it fails; the others, which did nothing wrong, run again. After an I/O error all fail: the connection is gone.
std::vector<Job> SqliteDatabase::after_lost_group(std::vector<Ran> group) {
  Status cause;
  for (const Ran& ran : group) {
    if (!ran.outcome) cause = ran.outcome;  // the last failure ended the transaction
  }
  if (cause) cause = fail(ErrorCode::kInternal, {}, "the transaction ended without an error");
  const bool rerun = !writer_->must_reopen();
  std::vector<Job> again;
  for (Ran& ran : group) {
    if (!ran.outcome) {
      ran.job.finish(metrics_, std::move(ran.outcome));
    } else if (rerun) {
      metrics_.retries.add();
      again.push_back(std::move(ran.job));
    } else {
      ran.job.finish(metrics_, cause);
    }
  }
  return again;
}

void SqliteDatabase::read_loop() {
  std::unique_ptr<SqliteConnection> connection;
  while (std::optional<Job> job = reads_.take()) {
    Status outcome = make_ready(connection, options_, SqliteConnection::Access::kReader);
    if (outcome) outcome = run_read(*connection, *job);
    job->finish(metrics_, std::move(outcome));
  }
}

Status SqliteDatabase::run_read(SqliteConnection& connection, Job& job) {
  BH_TRY_VOID(connection.control("BEGIN"));
  Status outcome = connection.perform(job.work);
  if (connection.in_transaction()) BH_TRY_VOID(connection.control("ROLLBACK"));  // there is nothing to commit
  return outcome;
}

Status SqliteDatabase::migrate(const std::vector<Migration>& migrations) {
  SqliteOptions options = options_;
  options.statement_timeout = kMigrationTimeout;
  options.busy_timeout = kMigrationTimeout;
  BH_TRY(const std::unique_ptr<SqliteConnection> connection,
         SqliteConnection::open(options, SqliteConnection::Access::kWriter));
  // The lock that other processes with this file respect; closing the connection rolls back.
  BH_TRY_VOID(connection->control("BEGIN EXCLUSIVE"));
  BH_TRY_VOID(connection->run_script(kCreateMigrationTable));
  BH_TRY(const Rows applied, connection->query(kSelectMigrations, {}));
  BH_TRY(const std::vector<const Migration*> missing, plan_migrations(migrations, applied, Engine::kSqlite));
  for (const Migration* migration : missing) {
    if (Status ran = connection->run_script(migration->text); !ran) {
      return fail_because(ErrorCode::kInternal, "Migration " + migration->room + "/" + migration->name + " failed.",
                          std::move(ran.error()));
    }
    BH_TRY_VOID(connection->execute(kInsertMigration, {migration->room, migration->number, migration->name,
                                                       checksum(*migration), SystemClock().now()}));
  }
  BH_TRY_VOID(connection->control("COMMIT"));
  if (!missing.empty()) log::info("sql_migrated", {{"engine", "sqlite"}, {"applied", missing.size()}});
  return {};
}

}  // namespace bulkhead::sql
