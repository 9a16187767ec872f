#include "features/access/organization.h"

#include <algorithm>

#include "base/utf8.h"

namespace bulkhead::access {
namespace {

constexpr std::string_view kColumns = "tenant_id, slug, name, revision, created_at, updated_at";
constexpr std::size_t kNameLimit = 100;

Organization organization_of(const sql::Row& row) {
  return {row.id<TenantId>(0), row.text(1), row.text(2), row.integer(3), row.time(4), row.time(5)};
}

json::value audit_view(const Organization& organization) {
  return {{"slug", organization.slug}, {"name", organization.name}};
}

Status check_name(const std::string& name) {
  const bool control = std::ranges::any_of(name, [](char c) { return static_cast<unsigned char>(c) < 0x20; });
  if (!name.empty() && name.size() <= kNameLimit && !control && is_valid_utf8(name)) return {};
  Error error = fail(ErrorCode::kUnprocessable, "The organization's name is not valid.").error();
  error.fields.push_back({"/name", "must be 1 to 100 bytes of text without control characters"});
  return fail(std::move(error));
}

Status check_slug(const std::string& slug) {
  if (is_valid_slug(slug)) return {};
  Error error = fail(ErrorCode::kUnprocessable, "The organization's slug is not valid.").error();
  error.fields.push_back({"/slug", "must be 2 to 40 of a-z, 0-9 and single inner '-', starting with a letter"});
  return fail(std::move(error));
}

}  // namespace

bool is_valid_slug(std::string_view slug) {
  if (slug.size() < 2 || slug.size() > 40 || slug.front() < 'a' || slug.front() > 'z' || slug.back() == '-') {
    return false;
  }
  if (slug.find("--") != std::string_view::npos) return false;  // separates the two parts of install domains
  return std::ranges::all_of(slug, [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-'; });
}

OrganizationService::OrganizationService(sql::Database& database, const Clock& clock, Random& random)
    : database_(database), clock_(clock), random_(random) {}

Task<Result<Organization>> OrganizationService::create(Actor actor, std::string slug, std::string name) {
  BH_CO_TRY_VOID(check_slug(slug));
  BH_CO_TRY_VOID(check_name(name));
  const UtcMicros now = clock_.now();
  Organization made{TenantId::v4(random_), std::move(slug), std::move(name), 1, now, now};
  auto result = co_await database_.system_write([this, actor = std::move(actor), made,
                                                 now](sql::SystemTx& tx) -> Result<Organization> {
    BH_TRY_VOID(
        tx.execute("INSERT INTO organization (tenant_id, slug, name, revision, created_at, updated_at) "
                   "VALUES ($1, $2, $3, $4, $5, $6)",
                   {made.id, made.slug, made.name, made.revision, made.created_at, made.updated_at}));
    BH_TRY_VOID(append_platform_audit(
        tx, audit_entry(actor, "organization.create", "organization:" + made.id.to_string(), nullptr, audit_view(made)),
        now, random_));
    return made;
  });
  if (!result && result.error().code == ErrorCode::kAlreadyExists) {
    result.error().message = "There is already an organization with the slug \"" + made.slug + "\".";
  }
  co_return result;
}

Task<Result<Organization>> OrganizationService::find(std::string slug_or_id) {
  const bool by_id = TenantId::parse(slug_or_id).has_value();
  if (!by_id && !is_valid_slug(slug_or_id)) co_return fail(ErrorCode::kNotFound, "There is no such organization.");
  if (by_id) slug_or_id = TenantId::parse(slug_or_id)->to_string();
  co_return co_await database_.system_read(
      [by_id, wanted = std::move(slug_or_id)](sql::SystemTx& tx) -> Result<Organization> {
        BH_TRY(const auto rows, tx.query("SELECT " + std::string(kColumns) + " FROM organization WHERE " +
                                             (by_id ? "tenant_id" : "slug") + " = $1",
                                         {wanted}));
        if (rows.empty()) return fail(ErrorCode::kNotFound, "There is no such organization.");
        return organization_of(rows[0]);
      });
}

Task<Result<std::vector<Organization>>> OrganizationService::list(std::string after_slug, std::size_t limit) {
  co_return co_await database_.system_read(
      [after = std::move(after_slug), limit](sql::SystemTx& tx) -> Result<std::vector<Organization>> {
        BH_TRY(const auto rows,
               tx.query("SELECT " + std::string(kColumns) + " FROM organization WHERE slug > $1 ORDER BY slug LIMIT $2",
                        {after, static_cast<std::int64_t>(limit)}));
        std::vector<Organization> found;
        found.reserve(rows.size());
        for (const sql::Row& row : rows) found.push_back(organization_of(row));
        return found;
      });
}

Task<Result<Organization>> OrganizationService::rename(Actor actor, TenantScope scope, std::string name,
                                                       std::optional<std::int64_t> expected_revision) {
  BH_CO_TRY_VOID(check_name(name));
  co_return co_await database_.write(
      scope,
      [this, actor = std::move(actor), name = std::move(name), expected_revision,
       now = clock_.now()](sql::TenantTx& tx) -> Result<Organization> {
        BH_TRY(const sql::Row row,
               tx.query_one("SELECT " + std::string(kColumns) + " FROM organization WHERE tenant_id = $1" +
                            (tx.engine() == sql::Engine::kPostgres ? " FOR UPDATE" : "")));
        const Organization before = organization_of(row);
        if (expected_revision && *expected_revision != before.revision) {
          return fail(ErrorCode::kPreconditionFailed, "The organization has changed since it was read.");
        }
        Organization after = before;
        after.name = name;
        after.revision = before.revision + 1;
        after.updated_at = now;
        BH_TRY_VOID(tx.execute("UPDATE organization SET name = $2, revision = $3, updated_at = $4 WHERE tenant_id = $1",
                               {after.name, after.revision, after.updated_at}));
        BH_TRY_VOID(append_audit(tx,
                                 audit_entry(actor, "organization.update", "organization:" + after.id.to_string(),
                                             audit_view(before), audit_view(after)),
                                 now, random_));
        return after;
      });
}

}  // namespace bulkhead::access
