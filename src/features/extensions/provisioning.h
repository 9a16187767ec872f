// Provisioning of install domains as a durable job (contracts/extensions.md §2): pending → provisioning → ready |
// error.
//
// The state is in the install's row, so a crash at any point is taken up by the next run. On one machine there is
// nothing to do but to write "ready"; a DomainProvisioner for Knative makes a DomainMapping. Runs on any core.
#pragma once

#include <string>

#include "base/error.h"
#include "base/ids.h"
#include "base/time.h"
#include "platform/async/task.h"
#include "platform/sql/database.h"

namespace bulkhead::extensions {

class DomainProvisioner {
 public:
  virtual ~DomainProvisioner() = default;
  // Idempotent. What the platform calls the result (`runner_ref`).
  virtual Task<Result<std::string>> provision(InstallId install, std::string domain) = 0;
};

// One machine: every Host reaches this server.
class LocalProvisioner final : public DomainProvisioner {
 public:
  Task<Result<std::string>> provision(InstallId install, std::string domain) override;
};

class Provisioning {
 public:
  // All outlive this.
  Provisioning(sql::Database& database, DomainProvisioner& provisioner, const Clock& clock)
      : database_(database), provisioner_(provisioner), clock_(clock) {}

  // Brings every pending install, and every one that was left half-way, to ready or error. Two runs at once are fine.
  Task<Status> run_once();

 private:
  Task<Status> provision(InstallId install, std::string domain);
  sql::Database& database_;
  DomainProvisioner& provisioner_;
  const Clock& clock_;
};

}  // namespace bulkhead::extensions
