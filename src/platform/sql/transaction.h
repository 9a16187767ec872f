// Transaction: what both engines' connections share: a statement that fails fails the whole transaction, so that the
// same code behaves the same on both (PostgreSQL aborts a transaction at its first error, SQLite would go on).
//
// Belongs to the thread that runs the transaction.
#pragma once

#include <optional>

#include "platform/sql/database.h"

namespace bulkhead::sql {

class Transaction : public Connection {
 public:
  Result<Rows> query(std::string_view statement, const Values& values) final;
  Result<std::int64_t> execute(std::string_view statement, const Values& values) final;

  // Runs `work` and answers its error, or the error of the first statement that failed even if `work` ignored it.
  // An exception that escapes `work` becomes kInternal: one transaction must not end the program.
  Status perform(Database::Work& work);

 protected:
  struct Outcome {
    Rows rows;
    std::int64_t changed = 0;
  };
  virtual Result<Outcome> run(std::string_view statement, const Values& values) = 0;

 private:
  Result<Outcome> run_unless_failed(std::string_view statement, const Values& values);
  std::optional<Error> failure_;
};

}  // namespace bulkhead::sql
