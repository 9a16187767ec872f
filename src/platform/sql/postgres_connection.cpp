#include "platform/sql/postgres_connection.h"

#include <poll.h>

#include <charconv>

#include "platform/sql/placeholders.h"
#include "platform/sql/postgres_errors.h"
#include "platform/sql/postgres_values.h"

namespace bulkhead::sql {
namespace {

constexpr std::size_t kMostStatements = 256;
// The server ends a statement after statement_timeout; this much later we stop believing in the connection.
constexpr Millis kNetworkGrace{3'000};

constexpr const char* kBeginRead = "bh_begin_read";
constexpr const char* kBeginWrite = "bh_begin_write";
constexpr const char* kBeginMigration = "bh_begin_migration";
constexpr const char* kBecomeTenant = "bh_become_tenant";
constexpr const char* kCommit = "bh_commit";
constexpr const char* kRollback = "bh_rollback";

struct Prepared {
  const char* name;
  const char* statement;
};
constexpr std::array kControl = {
    Prepared{kBeginRead, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"},
    Prepared{kBeginWrite, "BEGIN ISOLATION LEVEL SERIALIZABLE READ WRITE"},
    Prepared{kBeginMigration, "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE"},
    // The same as SET LOCAL ROLE and SET LOCAL, in one statement and with the tenant as a parameter.
    Prepared{kBecomeTenant,
             "SELECT set_config('role', 'bulkhead_tenant', true), set_config('bulkhead.tenant', $1, true)"},
    Prepared{kCommit, "COMMIT"},
    Prepared{kRollback, "ROLLBACK"},
};

const char* begin_name(PostgresConnection::Kind kind) {
  switch (kind) {
    case PostgresConnection::Kind::kRead:
      return kBeginRead;
    case PostgresConnection::Kind::kWrite:
      return kBeginWrite;
    case PostgresConnection::Kind::kMigration:
      return kBeginMigration;
  }
  return kBeginWrite;
}

bool is_good(const PGresult* result) {
  const ExecStatusType status = PQresultStatus(result);
  return status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK || status == PGRES_EMPTY_QUERY;
}

void ignore_notice(void*, const PGresult*) {}

}  // namespace

Result<std::unique_ptr<PostgresConnection>> PostgresConnection::connect(const PostgresOptions& options) {
  const auto seconds = std::max<std::int64_t>(2, (options.connect_timeout.count() + 999) / 1000);
  const std::string connect_timeout = std::to_string(seconds);
  const std::string unacknowledged = std::to_string((options.statement_timeout + kNetworkGrace).count());
  // What stands before `dbname` are defaults that the URL may replace, what stands after it is not negotiable.
  const std::array<const char*, 9> names = {"application_name", "keepalives_idle", "keepalives_interval",
                                            "keepalives_count", "dbname",          "connect_timeout",
                                            "tcp_user_timeout", "client_encoding", nullptr};
  const std::array<const char*, 9> settings = {
      "bulkhead", "30",   "10", "3", options.url.c_str(), connect_timeout.c_str(), unacknowledged.c_str(),
      "UTF8",     nullptr};
  PGconn* handle = PQconnectdbParams(names.data(), settings.data(), 1);
  BH_ASSERT(handle != nullptr);
  std::unique_ptr<PostgresConnection> connection(new PostgresConnection(handle, options));
  if (PQstatus(handle) != CONNECTION_OK) {
    return fail(ErrorCode::kStoreUnavailable, "The database is not reachable.", PQerrorMessage(handle));
  }
  BH_TRY_VOID(connection->set_up());
  return connection;
}

PostgresConnection::PostgresConnection(PGconn* connection, const PostgresOptions& options)
    : connection_(connection), statement_timeout_(options.statement_timeout) {
  PQsetNoticeReceiver(connection, &ignore_notice, nullptr);
}

std::string PostgresConnection::quoted(std::string_view name) const {
  const std::unique_ptr<char, decltype(&PQfreemem)> text(
      PQescapeIdentifier(connection_.get(), name.data(), name.size()), &PQfreemem);
  return text ? text.get() : std::string(name);
}

Status PostgresConnection::set_up() {
  if (PQsetnonblocking(connection_.get(), 1) != 0 || PQenterPipelineMode(connection_.get()) != 1) {
    return fail(lost_error(PQerrorMessage(connection_.get())));
  }
  // An open transaction of a node that stopped in the middle must not hold its locks for ever.
  const std::string settings =
      "SELECT set_config('statement_timeout', '" + std::to_string(statement_timeout_.count()) +
      "', false), set_config('idle_in_transaction_session_timeout', '60000', false), "
      "set_config('bytea_output', 'hex', false), set_config('client_min_messages', 'warning', false), "
      "set_config('timezone', 'UTC', false), set_config('extra_float_digits', '1', false)";
  BH_TRY_VOID(send_text(settings));
  for (const Prepared& control : kControl) {
    BH_TRY_VOID(sent(PQsendPrepare(connection_.get(), control.name, control.statement, 0, nullptr)));
  }
  BH_TRY_VOID(exchange(1 + static_cast<int>(kControl.size())));
  return {};
}

void PostgresConnection::begin(Kind kind, const TenantScope* scope) {
  BH_ASSERT(stage_ == Stage::kIdle);
  stage_ = Stage::kPromised;
  kind_ = kind;
  tenant_ = scope == nullptr ? std::nullopt : std::optional(scope->tenant());
  serialization_failure_ = false;
}

Result<int> PostgresConnection::send_begin() {
  if (stage_ != Stage::kPromised) return 0;
  stage_ = Stage::kOpen;
  int commands = 0;
  // libpq 15 has no call for the protocol's Close.
  for (const std::string& name : std::exchange(forgotten_, {})) {
    BH_TRY_VOID(send_text("DEALLOCATE " + name));
    ++commands;
  }
  BH_TRY_VOID(send_execute(begin_name(kind_), {}));
  ++commands;
  if (!tenant_) return commands;
  BH_TRY_VOID(send_execute(kBecomeTenant, {Value(*tenant_)}));
  return commands + 1;
}

Result<Transaction::Outcome> PostgresConnection::run(std::string_view statement, const Values& values) {
  BH_ASSERT(stage_ != Stage::kIdle);
  BH_TRY(int commands, send_begin());
  std::string key(statement);
  key += '\0';
  key += type_signature(values);
  std::string name = name_of(key);
  const bool is_new = name.empty();
  if (is_new) {
    BH_ASSERT(uses_exactly(find_placeholders(statement), values.size()));
    name = "bh_" + std::to_string(++names_given_);
    BH_TRY_VOID(send_prepare(name, statement, values));
    ++commands;
  }
  BH_TRY_VOID(send_execute(name, values));
  ++commands;
  Result<ResultHandle> result = exchange(commands);
  if (is_new && completed_ >= commands - 1) remember(std::move(key), std::move(name));
  if (!result) {
    result.error().detail += " in: " + std::string(statement.substr(0, 300));
    return fail(std::move(result.error()));
  }

  Outcome outcome;
  outcome.rows = result_rows(result->get());
  const std::string_view changed = PQcmdTuples(result->get());
  std::from_chars(changed.data(), changed.data() + changed.size(), outcome.changed);
  return outcome;
}

Status PostgresConnection::commit() {
  const Stage before = std::exchange(stage_, Stage::kIdle);
  if (before != Stage::kOpen) return {};  // nothing was sent
  BH_TRY_VOID(send_execute(kCommit, {}));
  Result<ResultHandle> result = exchange(1);
  if (!result && lost_) {
    return fail(ErrorCode::kStoreUnavailable,
                "The database connection broke during the commit: its outcome is unknown.",
                std::move(result.error().detail));
  }
  if (!result) return fail(std::move(result.error()));
  // The server answers COMMIT of a failed transaction with success and the tag ROLLBACK.
  if (std::string_view(PQcmdStatus(result->get())) != "COMMIT") {
    return fail(ErrorCode::kInternal, {}, "the server rolled the transaction back");
  }
  return {};
}

void PostgresConnection::end_without_waiting() {
  const Stage before = std::exchange(stage_, Stage::kIdle);
  if (before != Stage::kOpen || lost_) return;
  // A read has nothing to commit either. Errors show as a lost connection, the next time it is used.
  if (!send_execute(kRollback, {})) return;
  if (!sent(PQpipelineSync(connection_.get()))) return;
  ++syncs_to_skip_;
  if (PQflush(connection_.get()) < 0) lost_ = true;
}

Status PostgresConnection::send_text(const std::string& statement) {
  return sent(PQsendQueryParams(connection_.get(), statement.c_str(), 0, nullptr, nullptr, nullptr, nullptr, 0));
}

Status PostgresConnection::send_prepare(const std::string& name, std::string_view statement, const Values& values) {
  const std::vector<Oid> types = parameter_types(values);
  return sent(PQsendPrepare(connection_.get(), name.c_str(), std::string(statement).c_str(),
                            static_cast<int>(types.size()), types.data()));
}

Status PostgresConnection::send_execute(const std::string& name, const Values& values) {
  const PostgresParameters parameters(values);
  return sent(PQsendQueryPrepared(connection_.get(), name.c_str(), parameters.count(), parameters.pointers(),
                                  parameters.lengths(), parameters.formats(), 0));
}

Status PostgresConnection::sent(int ok) {
  if (ok == 1) return {};
  return fail(lost_error(PQerrorMessage(connection_.get())));
}

Result<PostgresConnection::ResultHandle> PostgresConnection::exchange(int count) {
  BH_TRY_VOID(sent(PQpipelineSync(connection_.get())));
  const SteadyTime deadline = std::chrono::steady_clock::now() + statement_timeout_ + kNetworkGrace;
  for (; syncs_to_skip_ > 0; --syncs_to_skip_) BH_TRY_VOID(skip_to_sync(deadline));
  ResultHandle last;
  for (completed_ = 0; completed_ < count; ++completed_) {
    BH_TRY(last, next_result(deadline));
    if (!is_good(last.get())) {
      Error error = result_error(last.get());
      if (!lost_) BH_TRY_VOID(skip_to_sync(deadline));  // what follows in the batch was skipped by the server
      return fail(std::move(error));
    }
    BH_TRY(const ResultHandle end, next_result(deadline));
    BH_ASSERT(end == nullptr);  // one result a command: every statement goes by the extended protocol
  }
  BH_TRY_VOID(skip_to_sync(deadline));
  return last;
}

Status PostgresConnection::skip_to_sync(SteadyTime deadline) {
  int empty = 0;
  while (true) {
    BH_TRY(const ResultHandle result, next_result(deadline));
    if (result == nullptr) {
      // One null ends each command; two in a row mean that nothing more will come.
      if (++empty > 1) return fail(lost_error("the server's answers are out of step"));
      continue;
    }
    empty = 0;
    if (PQresultStatus(result.get()) == PGRES_PIPELINE_SYNC) return {};
    if (PQstatus(connection_.get()) == CONNECTION_BAD) return fail(result_error(result.get()));
  }
}

Result<PostgresConnection::ResultHandle> PostgresConnection::next_result(SteadyTime deadline) {
  while (PQisBusy(connection_.get()) != 0) BH_TRY_VOID(wait_for_server(deadline));
  return ResultHandle(PQgetResult(connection_.get()));
}

Status PostgresConnection::wait_for_server(SteadyTime deadline) {
  const int unsent = PQflush(connection_.get());
  if (unsent < 0) return fail(lost_error(PQerrorMessage(connection_.get())));
  const auto left = std::chrono::duration_cast<Millis>(deadline - std::chrono::steady_clock::now()).count();
  if (left <= 0) return fail(lost_error("no answer from the server"));
  pollfd socket{.fd = PQsocket(connection_.get()), .events = POLLIN, .revents = 0};
  if (unsent > 0) socket.events |= POLLOUT;
  ::poll(&socket, 1, static_cast<int>(left));
  if (PQconsumeInput(connection_.get()) != 1) return fail(lost_error(PQerrorMessage(connection_.get())));
  return {};
}

Status PostgresConnection::run_script(const std::string& script) {
  BH_ASSERT(syncs_to_skip_ == 0);
  BH_TRY(const int commands, send_begin());
  if (commands > 0) BH_TRY_VOID(exchange(commands));
  // Several statements in one text only go by the simple protocol, outside of pipeline mode.
  BH_TRY_VOID(sent(PQexitPipelineMode(connection_.get())));
  BH_TRY_VOID(sent(PQsendQuery(connection_.get(), script.c_str())));
  const SteadyTime deadline = std::chrono::steady_clock::now() + statement_timeout_ + kNetworkGrace;
  Status outcome;
  while (true) {
    BH_TRY(const ResultHandle result, next_result(deadline));
    if (result == nullptr) break;
    if (!is_good(result.get()) && outcome) outcome = fail(result_error(result.get()));
  }
  BH_TRY_VOID(sent(PQenterPipelineMode(connection_.get())));
  return outcome;
}

std::string PostgresConnection::name_of(const std::string& key) {
  const auto found = statements_.find(key);
  if (found == statements_.end()) return {};
  recency_.splice(recency_.begin(), recency_, found->second.recency);
  return found->second.name;
}

void PostgresConnection::remember(std::string key, std::string name) {
  if (statements_.size() >= kMostStatements) {
    const auto oldest = statements_.find(recency_.back());
    forgotten_.push_back(std::move(oldest->second.name));
    statements_.erase(oldest);
    recency_.pop_back();
  }
  recency_.push_front(key);
  statements_.emplace(std::move(key), Statement{.name = std::move(name), .recency = recency_.begin()});
}

Error PostgresConnection::lost_error(std::string detail) {
  lost_ = true;
  return fail(ErrorCode::kStoreUnavailable, "The connection to the database broke.", std::move(detail)).error();
}

Error PostgresConnection::result_error(const PGresult* result) {
  const char* state_field = PQresultErrorField(result, PG_DIAG_SQLSTATE);
  if (state_field == nullptr || PQstatus(connection_.get()) == CONNECTION_BAD) {
    return lost_error(PQresultErrorMessage(result));
  }
  const std::string_view state = state_field;
  // The primary message names columns and constraints; PG_DIAG_MESSAGE_DETAIL would show stored values.
  const char* primary = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
  std::string detail = primary == nullptr ? std::string() : std::string(primary);
  detail += " [" + std::string(state) + "]";
  if (ends_connection(state, detail)) return lost_error(std::move(detail));
  serialization_failure_ = is_serialization_state(state);
  return error_for_state(state, std::move(detail));
}

}  // namespace bulkhead::sql
