-- tenant-scoped: extension_quarantine
-- The installs that are quarantined now; the audit log tells of those that were.
CREATE TABLE extension_quarantine (
  tenant_id TEXT NOT NULL,
  install_id TEXT NOT NULL,
  extension_id TEXT NOT NULL,
  reason TEXT NOT NULL,
  message TEXT NOT NULL,
  since BIGINT NOT NULL,
  until BIGINT,
  PRIMARY KEY (tenant_id, install_id)
);
