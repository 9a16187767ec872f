-- tenant-scoped: extension_registry
-- tenant-scoped: extension_bundle
-- tenant-scoped: extension_version
-- tenant-scoped: tenant_extension_install
-- tenant-scoped: trust_entry
-- tenant-scoped: staged_upload

-- In the registry's three tables tenant_id is the organization that owns the extension's name. Other organizations read
-- public extensions through system transactions only.
CREATE TABLE extension_registry (
  id TEXT PRIMARY KEY,
  tenant_id TEXT NOT NULL,
  name TEXT NOT NULL UNIQUE,
  publisher TEXT NOT NULL,
  visibility TEXT NOT NULL,
  created_by TEXT NOT NULL,
  created_at BIGINT NOT NULL,
  updated_at BIGINT NOT NULL
);
CREATE INDEX extension_registry_by_owner ON extension_registry (tenant_id, name);

CREATE TABLE extension_bundle (
  content_hash TEXT PRIMARY KEY,
  tenant_id TEXT NOT NULL,
  size BIGINT NOT NULL,
  unpacked_size BIGINT NOT NULL,
  entries BIGINT NOT NULL,
  signature_form TEXT NOT NULL,
  created_at BIGINT NOT NULL
);

-- Rows are never changed but for the deprecated_ and yanked_ columns.
CREATE TABLE extension_version (
  id TEXT PRIMARY KEY,
  tenant_id TEXT NOT NULL,
  extension_id TEXT NOT NULL REFERENCES extension_registry (id),
  version TEXT NOT NULL,
  content_hash TEXT NOT NULL REFERENCES extension_bundle (content_hash),
  manifest TEXT NOT NULL,
  signer_key_id TEXT NOT NULL,
  signer_trust_id TEXT NOT NULL,
  signer_subject TEXT NOT NULL,
  published_by TEXT NOT NULL,
  published_at BIGINT NOT NULL,
  deprecated_at BIGINT,
  deprecated_reason TEXT,
  yanked_at BIGINT,
  yanked_reason TEXT,
  UNIQUE (extension_id, version)
);
CREATE INDEX extension_version_by_hash ON extension_version (content_hash);

-- granted_caps, granted_egress: JSON arrays; config, limits: JSON objects.
CREATE TABLE tenant_extension_install (
  id TEXT PRIMARY KEY,
  tenant_id TEXT NOT NULL,
  extension_id TEXT NOT NULL REFERENCES extension_registry (id),
  version_id TEXT NOT NULL REFERENCES extension_version (id),
  previous_version_id TEXT REFERENCES extension_version (id),
  rollout_version_id TEXT REFERENCES extension_version (id),
  rollout_percent BIGINT NOT NULL,
  granted_caps TEXT NOT NULL,
  granted_egress TEXT NOT NULL,
  config TEXT NOT NULL,
  limits TEXT NOT NULL,
  is_enabled BIGINT NOT NULL,
  status TEXT NOT NULL,
  runner_domain TEXT NOT NULL UNIQUE,
  runner_state TEXT NOT NULL,
  runner_message TEXT,
  runner_updated_at BIGINT NOT NULL,
  runner_ref TEXT,
  revision BIGINT NOT NULL,
  created_by TEXT NOT NULL,
  created_at BIGINT NOT NULL,
  updated_at BIGINT NOT NULL,
  UNIQUE (tenant_id, extension_id)
);
CREATE INDEX tenant_extension_install_unprovisioned ON tenant_extension_install (runner_updated_at)
  WHERE runner_state IN ('pending', 'provisioning');

-- tenant_id null: the platform's own entries, which count for every organization's extensions.
CREATE TABLE trust_entry (
  id TEXT PRIMARY KEY,
  tenant_id TEXT,
  label TEXT NOT NULL,
  kind TEXT NOT NULL,
  pem TEXT NOT NULL,
  key_id TEXT NOT NULL,
  prefixes TEXT NOT NULL,
  created_by TEXT NOT NULL,
  created_at BIGINT NOT NULL,
  revoked_at BIGINT
);
CREATE INDEX trust_entry_by_tenant ON trust_entry (tenant_id, id);

CREATE TABLE staged_upload (
  id TEXT PRIMARY KEY,
  tenant_id TEXT NOT NULL,
  content_hash TEXT NOT NULL,
  size BIGINT NOT NULL,
  created_by TEXT NOT NULL,
  created_at BIGINT NOT NULL
);
CREATE INDEX staged_upload_by_age ON staged_upload (created_at);
