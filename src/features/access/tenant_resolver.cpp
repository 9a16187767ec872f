#include "features/access/tenant_resolver.h"

namespace bulkhead::access {
namespace {

bool names(std::string_view slug_or_id, const Principal& principal) {
  if (slug_or_id == principal.tenant_slug) return true;
  const auto id = TenantId::parse(slug_or_id);
  return id && id == principal.tenant;
}

}  // namespace

std::optional<Result<TenantId>> TenantResolver::try_resolve(const RouteContext& context) {
  const Principal& principal = *context.principal;
  const auto header = context.request.headers.find("x-tenant-id");
  if (principal.tenant) {
    if (header && !names(*header, principal)) return fail(ErrorCode::kTenantMismatch);
    return *principal.tenant;
  }
  return std::nullopt;
}

Task<Result<TenantId>> TenantResolver::resolve(const RouteContext& context) {
  if (auto known = try_resolve(context)) co_return std::move(*known);
  const auto header = context.request.headers.find("x-tenant-id");
  if (!header) co_return co_await sole_organization();
  const auto found = co_await organizations_.find(std::string(*header));
  if (!found) co_return fail(found.error());
  co_return found->id;
}

Task<Result<TenantId>> TenantResolver::sole_organization() {
  BH_CO_TRY(const auto all, co_await organizations_.list("", 2));
  if (all.size() == 1) co_return all.front().id;
  co_return fail(ErrorCode::kTenantRequired, "Send x-tenant-id: this credential belongs to no organization.");
}

Task<Result<TenantId>> TenantResolver::resolve_named(const RouteContext& context, std::string slug_or_id) {
  const Principal& principal = *context.principal;
  if (principal.tenant) {
    if (names(slug_or_id, principal)) co_return *principal.tenant;
    co_return fail(ErrorCode::kNotFound, "There is no such organization.");
  }
  const auto found = co_await organizations_.find(std::move(slug_or_id));
  if (!found) co_return fail(found.error());
  co_return found->id;
}

}  // namespace bulkhead::access
