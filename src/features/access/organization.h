// Organizations: the tenants. Rules and storage; no HTTP. Who may call what is checked by the routes (authorizer.h).
//
// A slug never changes (it is part of domains and URLs); a name does, guarded by the revision that the ETag shows.
// Used on any core; transactions run on database threads.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/ids.h"
#include "base/tenant_scope.h"
#include "features/access/audit.h"
#include "platform/async/task.h"
#include "platform/sql/database.h"

namespace bulkhead::access {

struct Organization {
  TenantId id;
  std::string slug;
  std::string name;
  std::int64_t revision = 1;
  UtcMicros created_at;
  UtcMicros updated_at;
};

// 2 to 40 of a-z 0-9 and single inner '-', starting with a letter.
bool is_valid_slug(std::string_view slug);

class OrganizationService {
 public:
  // All outlive the service; `random` is thread-safe (shared_random.h).
  OrganizationService(sql::Database& database, const Clock& clock, Random& random);

  // kAlreadyExists when the slug is taken, kUnprocessable for a bad slug or name. An audit row on the platform's chain.
  Task<Result<Organization>> create(Actor actor, std::string slug, std::string name);
  // By slug or id. kNotFound.
  Task<Result<Organization>> find(std::string slug_or_id);
  // Ordered by slug, those after `after_slug` (empty: from the start).
  Task<Result<std::vector<Organization>>> list(std::string after_slug, std::size_t limit);
  // kPreconditionFailed when `expected_revision` is not the present one.
  Task<Result<Organization>> rename(Actor actor, TenantScope scope, std::string name,
                                    std::optional<std::int64_t> expected_revision);

 private:
  sql::Database& database_;
  const Clock& clock_;
  Random& random_;
};

}  // namespace bulkhead::access
