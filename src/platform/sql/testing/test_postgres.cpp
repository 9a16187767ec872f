#include "platform/sql/test_postgres.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <libpq-fe.h>
#include <netinet/in.h>
#include <pwd.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <fstream>
#include <thread>

namespace bulkhead::sql {
namespace {

const std::string kPrograms = "/usr/lib/postgresql/15/bin/";
constexpr std::chrono::seconds kStartDeadline{30};
constexpr std::chrono::milliseconds kLookAgain{10};

int free_port() {
  const int listener = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t length = sizeof address;
  auto* generic = reinterpret_cast<sockaddr*>(&address);
  BH_ASSERT(::bind(listener, generic, length) == 0 && ::getsockname(listener, generic, &length) == 0);
  ::close(listener);
  return ntohs(address.sin_port);
}

pid_t spawn(const std::vector<std::string>& command, const std::string& log_file) {
  std::vector<char*> arguments;
  for (const std::string& argument : command) arguments.push_back(const_cast<char*>(argument.c_str()));
  arguments.push_back(nullptr);
  const pid_t child = ::fork();
  BH_ASSERT(child >= 0);
  if (child > 0) return child;
  const int log = ::open(log_file.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0644);
  ::dup2(log, STDOUT_FILENO);
  ::dup2(log, STDERR_FILENO);
  ::execvp(arguments[0], arguments.data());
  ::_exit(127);
}

void print_file(const std::string& path) {
  std::ifstream file(path);
  std::string line;
  while (std::getline(file, line)) std::fprintf(stderr, "%s\n", line.c_str());
}

}  // namespace

TestPostgres::TestPostgres() {
  BH_ASSERT(std::filesystem::exists(kPrograms + "postgres"));  // ./dev setup installs it
  initialize();
  start();
  execute_as_superuser("postgres", "CREATE ROLE bulkhead LOGIN CREATEROLE NOSUPERUSER NOBYPASSRLS");
}

TestPostgres::~TestPostgres() { stop(); }

// PostgreSQL refuses to run as root. --pdeathsig: the server must not outlive a test program that was killed.
std::vector<std::string> TestPostgres::as_unprivileged(std::vector<std::string> command) const {
  std::vector<std::string> whole = {"setpriv", "--pdeathsig", "SIGQUIT"};
  if (::geteuid() == 0) {
    whole.insert(whole.end(), {"--reuid=nobody", "--regid=nogroup", "--clear-groups"});
  }
  whole.insert(whole.end(), command.begin(), command.end());
  return whole;
}

void TestPostgres::initialize() {
  if (::geteuid() == 0) {
    const passwd* nobody = ::getpwnam("nobody");
    BH_ASSERT(nobody != nullptr);
    BH_ASSERT(::chown(folder_.path().c_str(), nobody->pw_uid, nobody->pw_gid) == 0);
  }
  const std::string log = folder_.path() / "initdb.log";
  // The C collation sorts text by its bytes, like SQLite.
  const pid_t child = spawn(as_unprivileged({kPrograms + "initdb", "-D", folder_.path() / "data", "-U", "postgres",
                                             "--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync"}),
                            log);
  int status = 0;
  BH_ASSERT(::waitpid(child, &status, 0) == child);
  if (status != 0) print_file(log);
  BH_ASSERT(status == 0);
}

void TestPostgres::start() {
  BH_ASSERT(server_ < 0);
  for (int attempt = 0; attempt < 5; ++attempt) {
    const bool first = port_ == 0;
    if (first) port_ = free_port();
    if (try_start()) return;
    if (first) port_ = 0;  // somebody else was faster
  }
  print_file(folder_.path() / "server.log");
  BH_ASSERT(server_ >= 0);
}

bool TestPostgres::try_start() {
  const std::string socket_folder = "unix_socket_directories=" + folder_.path().string();
  std::vector<std::string> command = {kPrograms + "postgres", "-D", folder_.path() / "data", "-p",
                                      std::to_string(port_)};
  for (const std::string& setting :
       {socket_folder, std::string("listen_addresses=127.0.0.1"), std::string("shared_buffers=16MB"),
        std::string("max_connections=64"), std::string("fsync=on"), std::string("max_wal_size=256MB"),
        std::string("autovacuum_max_workers=1"), std::string("max_parallel_workers=0")}) {
    command.insert(command.end(), {"-c", setting});
  }
  const pid_t child = spawn(as_unprivileged(std::move(command)), folder_.path() / "server.log");
  const SteadyTime deadline = std::chrono::steady_clock::now() + kStartDeadline;
  while (std::chrono::steady_clock::now() < deadline) {
    int status = 0;
    if (::waitpid(child, &status, WNOHANG) == child) return false;
    if (is_ready()) {
      server_ = child;
      return true;
    }
    std::this_thread::sleep_for(kLookAgain);
  }
  ::kill(child, SIGKILL);
  ::waitpid(child, nullptr, 0);
  return false;
}

bool TestPostgres::is_ready() const { return PQping(superuser_url("postgres").c_str()) == PQPING_OK; }

void TestPostgres::stop() {
  if (server_ < 0) return;
  ::kill(server_, SIGINT);
  BH_ASSERT(::waitpid(server_, nullptr, 0) == server_);
  server_ = -1;
}

// The server and its children, which are what answers the connections.
std::vector<pid_t> TestPostgres::processes() const {
  std::vector<pid_t> all = {server_};
  const std::string id = std::to_string(server_);
  std::ifstream children("/proc/" + id + "/task/" + id + "/children");
  for (pid_t child = 0; children >> child;) all.push_back(child);
  return all;
}

void TestPostgres::freeze() {
  for (const pid_t process : processes()) ::kill(process, SIGSTOP);
}

void TestPostgres::thaw() {
  for (const pid_t process : processes()) ::kill(process, SIGCONT);
}

std::string TestPostgres::create_database() {
  std::string name = "test_" + std::to_string(++databases_);
  execute_as_superuser("postgres", "CREATE DATABASE " + name + " OWNER bulkhead");
  return name;
}

void TestPostgres::drop_database(const std::string& name) {
  execute_as_superuser("postgres", "DROP DATABASE IF EXISTS " + name + " WITH (FORCE)");
}

std::string TestPostgres::url(const std::string& database) const {
  return "postgresql://bulkhead@127.0.0.1:" + std::to_string(port_) + "/" + database;
}

std::string TestPostgres::superuser_url(const std::string& database) const {
  return "postgresql://postgres@127.0.0.1:" + std::to_string(port_) + "/" + database;
}

void TestPostgres::execute_as_superuser(const std::string& database, const std::string& statements) {
  PGconn* connection = PQconnectdb(superuser_url(database).c_str());
  PGresult* result = PQexec(connection, statements.c_str());
  const bool good = PQresultStatus(result) == PGRES_COMMAND_OK || PQresultStatus(result) == PGRES_TUPLES_OK;
  if (!good) std::fprintf(stderr, "test postgres: %s", PQerrorMessage(connection));
  PQclear(result);
  PQfinish(connection);
  BH_ASSERT(good);
}

TestPostgres& shared_postgres() {
  static TestPostgres server;
  return server;
}

}  // namespace bulkhead::sql
