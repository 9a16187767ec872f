-- tenant-scoped: organization_plan
-- Organizations without a row have the plan "default".
CREATE TABLE organization_plan (
  tenant_id TEXT PRIMARY KEY,
  plan TEXT NOT NULL,
  updated_at BIGINT NOT NULL
);
