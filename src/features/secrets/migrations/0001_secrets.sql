-- tenant-scoped: extension_secret
-- value_enc: an encryption envelope v1 (contracts/access.md), sealed for (extension_secret, value_enc,
-- <install_id>/<key>, tenant_id). kid: that envelope's key version, so that rotation finds what still needs one.
CREATE TABLE extension_secret (
  tenant_id TEXT NOT NULL,
  install_id TEXT NOT NULL,
  key TEXT NOT NULL,
  value_enc TEXT NOT NULL,
  kid TEXT NOT NULL,
  created_at BIGINT NOT NULL,
  updated_at BIGINT NOT NULL,
  updated_by TEXT NOT NULL,
  PRIMARY KEY (tenant_id, install_id, key)
);
CREATE INDEX extension_secret_by_kid ON extension_secret (kid);
