// Which organization a request is about (contracts/extensions.md §4: "Tenant of a call").
//
// An API key's own; `x-tenant-id` (id or slug) may only repeat it. Platform admins and services have none, so theirs is
// the one that `x-tenant-id` names, or the only one there is. Says nothing about permission: that is the Authorizer's.
#pragma once

#include "base/error.h"
#include "features/access/organization.h"
#include "features/access/route.h"

namespace bulkhead::access {

class TenantResolver {
 public:
  // `organizations` outlives the resolver.
  explicit TenantResolver(OrganizationService& organizations) : organizations_(organizations) {}

  // The same without waiting, for principals that have a tenant of their own; nullopt where the store must be asked.
  static std::optional<Result<TenantId>> try_resolve(const RouteContext& context);
  // kTenantRequired, kTenantMismatch (the header names another organization), kNotFound (it names none), store errors.
  Task<Result<TenantId>> resolve(const RouteContext& context);
  // The organization that a path names by slug or id. Of an organization that is not the principal's own not even the
  // existence shows: kNotFound either way.
  Task<Result<TenantId>> resolve_named(const RouteContext& context, std::string slug_or_id);

 private:
  // Where a platform has one organization only, nobody needs to name it.
  Task<Result<TenantId>> sole_organization();
  OrganizationService& organizations_;
};

}  // namespace bulkhead::access
