#include "features/access/authorizer.h"

#include "features/access/roles.h"
#include "platform/observe/log.h"

namespace bulkhead::access {
namespace {

// Reading is not a privileged act: its denial is logged and counted, but leaves no audit row.
bool is_privileged(std::string_view permission) { return !permission.ends_with(":read"); }

Decision allowed(std::string_view reason) { return {true, reason, kPolicyVersion}; }
Decision denied(std::string_view reason) { return {false, reason, kPolicyVersion}; }

ErrorCode code_of(const Decision& decision, OtherTenant other) {
  if (decision.reason == "no_identity") return ErrorCode::kUnauthenticated;
  if (decision.reason != "other_tenant") return ErrorCode::kForbidden;
  return other == OtherTenant::kNotFound ? ErrorCode::kNotFound : ErrorCode::kTenantMismatch;
}

std::string message_of(std::string_view permission, const Decision& decision) {
  if (decision.reason == "not_platform") return "Only the platform's operators may do this.";
  if (decision.reason == "missing_permission") return "The permission " + std::string(permission) + " is missing.";
  return {};
}

}  // namespace

Authorizer::Authorizer(metrics::Registry& registry, DenialLog* denials) : registry_(registry), denials_(denials) {}

Decision Authorizer::decide(const Principal& principal, std::string_view permission, const TenantId& tenant) const {
  switch (principal.kind) {
    case PrincipalKind::kAnonymous:
      return denied("no_identity");
    case PrincipalKind::kPlatformAdmin:
      return allowed("platform_admin");
    case PrincipalKind::kApiKey:
      if (!principal.tenant || *principal.tenant != tenant) return denied("other_tenant");
      return principal.has(permission) ? allowed("role") : denied("missing_permission");
    case PrincipalKind::kService:
      if (principal.tenant && *principal.tenant != tenant) return denied("other_tenant");
      return principal.has(permission) ? allowed("service") : denied("missing_permission");
  }
  return denied("no_identity");
}

Decision Authorizer::decide_platform(const Principal& principal, std::string_view permission) const {
  switch (principal.kind) {
    case PrincipalKind::kAnonymous:
      return denied("no_identity");
    case PrincipalKind::kPlatformAdmin:
      return allowed("platform_admin");
    case PrincipalKind::kApiKey:
      return denied("not_platform");  // an owner's "*" reaches to the border of the organization
    case PrincipalKind::kService:
      if (principal.tenant) return denied("not_platform");
      return principal.has(permission) ? allowed("service") : denied("missing_permission");
  }
  return denied("no_identity");
}

Result<TenantScope> Authorizer::authorize(const Principal& principal, std::string_view permission,
                                          const TenantId& tenant, std::string_view route, OtherTenant other) {
  const Decision decision = decide(principal, permission, tenant);
  if (decision.allow) [[likely]] {
    return TenantScope(tenant);
  }
  return fail(deny(principal, permission, decision, route, other));
}

Result<TenantScope> Authorizer::authorize(const RouteContext& context, std::string_view permission,
                                          const TenantId& tenant, OtherTenant other) {
  const Decision decision = decide(*context.principal, permission, tenant);
  if (decision.allow) [[likely]] {
    return TenantScope(tenant);
  }
  note(context, permission, decision);
  return fail(deny(*context.principal, permission, decision, context.route, other));
}

Status Authorizer::authorize_platform(const Principal& principal, std::string_view permission, std::string_view route) {
  const Decision decision = decide_platform(principal, permission);
  if (decision.allow) return {};
  return fail(deny(principal, permission, decision, route, OtherTenant::kForbidden));
}

Status Authorizer::authorize_platform(const RouteContext& context, std::string_view permission) {
  const Decision decision = decide_platform(*context.principal, permission);
  if (decision.allow) return {};
  note(context, permission, decision);
  return fail(deny(*context.principal, permission, decision, context.route, OtherTenant::kForbidden));
}

void Authorizer::note(const RouteContext& context, std::string_view permission, const Decision& decision) {
  if (denials_ == nullptr || context.principal->is_anonymous() || !is_privileged(permission)) return;
  denials_->note({context.actor(), context.principal->tenant, std::string(permission), std::string(context.route),
                  std::string(decision.reason)});
}

Error Authorizer::deny(const Principal& principal, std::string_view permission, const Decision& decision,
                       std::string_view route, OtherTenant other) {
  registry_
      .counter("authz_denied_total", "Denied acts by route and reason",
               {{"route", std::string(route)}, {"reason", std::string(decision.reason)}})
      .add();
  log::info("authz_denied", {{"credential", principal.credential_id},
                             {"permission", permission},
                             {"route", route},
                             {"reason", decision.reason},
                             {"policy_version", decision.policy_version}});
  return fail(code_of(decision, other), message_of(permission, decision)).error();
}

}  // namespace bulkhead::access
