-- tenant-scoped: extension_kv_store
-- Keys sort by their bytes on both engines: list pages by key and bounds a prefix from both sides.
CREATE TABLE extension_kv_store (
  tenant_id TEXT NOT NULL,
  install_id TEXT NOT NULL,
  namespace TEXT NOT NULL,
  key TEXT COLLATE "C" NOT NULL,
  value TEXT NOT NULL,
  version BIGINT NOT NULL,
  expires_at BIGINT,
  updated_at BIGINT NOT NULL,
  PRIMARY KEY (tenant_id, install_id, namespace, key)
);
CREATE INDEX extension_kv_store_by_expiry ON extension_kv_store (expires_at) WHERE expires_at IS NOT NULL;
