-- tenant-scoped: organization
-- tenant-scoped: api_key
-- tenant-scoped: audit_log
-- tenant-scoped: audit_head
-- Organizations are the tenants: tenant_id is the organization's own id.
CREATE TABLE organization (
  tenant_id TEXT PRIMARY KEY,
  slug TEXT NOT NULL UNIQUE,
  name TEXT NOT NULL,
  revision BIGINT NOT NULL,
  created_at BIGINT NOT NULL,
  updated_at BIGINT NOT NULL
);

-- hash: hex SHA-256 of the key's text. scopes: JSON array, or null for all that the role allows.
CREATE TABLE api_key (
  id TEXT PRIMARY KEY,
  tenant_id TEXT NOT NULL REFERENCES organization (tenant_id),
  name TEXT NOT NULL,
  hint TEXT NOT NULL,
  hash TEXT NOT NULL UNIQUE,
  role TEXT NOT NULL,
  scopes TEXT,
  ip_allowlist TEXT NOT NULL,
  created_by TEXT NOT NULL,
  created_at BIGINT NOT NULL,
  expires_at BIGINT,
  revoked_at BIGINT,
  last_used_at BIGINT,
  rotated_from TEXT REFERENCES api_key (id)
);
CREATE INDEX api_key_tenant ON api_key (tenant_id, id);

-- One chain per organization; hash covers every other column and the previous row's hash (features/access/audit.h).
CREATE TABLE audit_log (
  tenant_id TEXT NOT NULL,
  seq BIGINT NOT NULL,
  id TEXT NOT NULL,
  at BIGINT NOT NULL,
  actor TEXT NOT NULL,
  action TEXT NOT NULL,
  resource TEXT NOT NULL,
  before_json TEXT NOT NULL,
  after_json TEXT NOT NULL,
  ip TEXT NOT NULL,
  request_id TEXT NOT NULL,
  outcome TEXT NOT NULL,
  prev_hash TEXT NOT NULL,
  hash TEXT NOT NULL,
  PRIMARY KEY (tenant_id, seq)
);
CREATE TABLE audit_head (
  tenant_id TEXT PRIMARY KEY,
  count BIGINT NOT NULL,
  hash TEXT NOT NULL
);

-- The platform's own chain: acts outside any organization. Same columns, with the nil UUID as its tenant_id.
CREATE TABLE platform_audit_log (
  tenant_id TEXT NOT NULL,
  seq BIGINT NOT NULL,
  id TEXT NOT NULL,
  at BIGINT NOT NULL,
  actor TEXT NOT NULL,
  action TEXT NOT NULL,
  resource TEXT NOT NULL,
  before_json TEXT NOT NULL,
  after_json TEXT NOT NULL,
  ip TEXT NOT NULL,
  request_id TEXT NOT NULL,
  outcome TEXT NOT NULL,
  prev_hash TEXT NOT NULL,
  hash TEXT NOT NULL,
  PRIMARY KEY (tenant_id, seq)
);
CREATE TABLE platform_audit_head (
  tenant_id TEXT PRIMARY KEY,
  count BIGINT NOT NULL,
  hash TEXT NOT NULL
);
