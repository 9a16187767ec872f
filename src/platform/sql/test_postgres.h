// A real PostgreSQL server for tests, started by the test program itself: data and socket in a temporary folder, a free
// port on 127.0.0.1, fsync on. Stopped when the object goes, and also when the test program is killed.
//
// Start it on the main thread: the server dies with the thread that started it. Rooms use test_database.h; this header
// is for tests that stop the server or need a second role.
#pragma once

#include <sys/types.h>

#include <string>

#include "platform/sql/test_database.h"

namespace bulkhead::sql {

class TestPostgres {
 public:
  TestPostgres();
  ~TestPostgres();
  TestPostgres(const TestPostgres&) = delete;
  TestPostgres& operator=(const TestPostgres&) = delete;

  // On the same port and data as before.
  void start();
  // Like `pg_ctl stop -m fast`: connections are told and closed.
  void stop();
  // Stops and continues the processes: the server is there but does not answer.
  void freeze();
  void thaw();

  // A fresh, empty database that belongs to the role "bulkhead", which is neither superuser nor may bypass row-level
  // security. Returns its name.
  std::string create_database();
  void drop_database(const std::string& name);
  std::string url(const std::string& database) const;  // as "bulkhead"
  // Runs statements as the superuser.
  void execute_as_superuser(const std::string& database, const std::string& statements);

 private:
  void initialize();
  bool try_start();
  bool is_ready() const;
  std::string superuser_url(const std::string& database) const;
  std::vector<std::string> as_unprivileged(std::vector<std::string> command) const;
  std::vector<pid_t> processes() const;

  TestFolder folder_;
  int port_ = 0;
  pid_t server_ = -1;
  int databases_ = 0;
};

// The server of this test program, started at the first call.
TestPostgres& shared_postgres();

}  // namespace bulkhead::sql
