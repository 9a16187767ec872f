-- tenant-scoped: extension_execution_log
CREATE TABLE extension_execution_log (
  id TEXT PRIMARY KEY,
  tenant_id TEXT NOT NULL,
  install_id TEXT NOT NULL,
  extension_id TEXT NOT NULL,
  version_id TEXT NOT NULL,
  kind TEXT NOT NULL,
  request_id TEXT NOT NULL,
  trace_id TEXT NOT NULL,
  method TEXT NOT NULL,
  path TEXT NOT NULL,
  status TEXT NOT NULL,
  http_status BIGINT NOT NULL,
  error_code TEXT,
  error_message TEXT,
  started_at BIGINT NOT NULL,
  ended_at BIGINT NOT NULL,
  cpu_us BIGINT NOT NULL,
  memory_bytes BIGINT NOT NULL,
  egress_bytes BIGINT NOT NULL,
  host_calls BIGINT NOT NULL,
  logs TEXT
);
-- Retention walks the primary key (UUIDv7 sorts by time), so this is the only other index on the hottest table.
CREATE INDEX extension_execution_log_by_install ON extension_execution_log (install_id, ended_at);

-- tenant-scoped: extension_quota_usage
CREATE TABLE extension_quota_usage (
  tenant_id TEXT NOT NULL,
  install_id TEXT NOT NULL,
  window_start BIGINT NOT NULL,
  invocations BIGINT NOT NULL,
  errors BIGINT NOT NULL,
  cpu_ms DOUBLE PRECISION NOT NULL,
  mem_mb_ms DOUBLE PRECISION NOT NULL,
  egress_bytes BIGINT NOT NULL,
  PRIMARY KEY (tenant_id, install_id, window_start)
);
