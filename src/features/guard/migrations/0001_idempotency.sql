-- tenant-scoped: idempotency_record
-- One row per idempotency key, scoped to tenant + principal + endpoint (contracts/extensions.md §4).
-- state: in_flight, completed, unknown. node and epoch: which process began it (epoch = that process's boot id).
-- body_state: stored, empty, redacted, non_json, too_large; only a stored body is replayed.
CREATE TABLE idempotency_record (
  tenant_id TEXT NOT NULL,
  principal TEXT NOT NULL,
  endpoint TEXT NOT NULL,
  idempotency_key TEXT NOT NULL,
  fingerprint TEXT NOT NULL,
  state TEXT NOT NULL,
  node TEXT NOT NULL,
  epoch TEXT NOT NULL,
  started_at BIGINT NOT NULL,
  in_flight_until BIGINT NOT NULL,
  expires_at BIGINT NOT NULL,
  status BIGINT,
  headers TEXT,
  body TEXT,
  body_state TEXT,
  PRIMARY KEY (tenant_id, principal, endpoint, idempotency_key)
);
CREATE INDEX idempotency_record_expiry ON idempotency_record (expires_at);
