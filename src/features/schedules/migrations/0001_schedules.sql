-- tenant-scoped: extension_schedule
-- tenant-scoped: extension_schedule_firing

-- origin: manifest | guest. missed: skip | run_once | all. next_at is what nodes compare and set to claim a firing.
CREATE TABLE extension_schedule (
  id TEXT PRIMARY KEY,
  tenant_id TEXT NOT NULL,
  install_id TEXT NOT NULL,
  schedule_id TEXT NOT NULL,
  origin TEXT NOT NULL,
  cron TEXT NOT NULL,
  timezone TEXT NOT NULL,
  handler TEXT NOT NULL,
  payload TEXT,
  missed TEXT NOT NULL,
  is_enabled BIGINT NOT NULL,
  install_enabled BIGINT NOT NULL,
  next_at BIGINT NOT NULL,
  created_at BIGINT NOT NULL,
  updated_at BIGINT NOT NULL,
  UNIQUE (install_id, schedule_id)
);
CREATE INDEX extension_schedule_due ON extension_schedule (next_at) WHERE is_enabled = 1 AND install_enabled = 1;

-- One row a firing. state: running | ok | failed | skipped. lease_until: a running one whose node died is taken up.
CREATE TABLE extension_schedule_firing (
  id TEXT PRIMARY KEY,
  tenant_id TEXT NOT NULL,
  install_id TEXT NOT NULL,
  schedule_row_id TEXT NOT NULL,
  scheduled_at BIGINT NOT NULL,
  kind TEXT NOT NULL,
  state TEXT NOT NULL,
  attempts BIGINT NOT NULL,
  lease_owner TEXT,
  lease_until BIGINT,
  execution_id TEXT,
  error_code TEXT,
  error_message TEXT,
  started_at BIGINT NOT NULL,
  ended_at BIGINT
);
CREATE INDEX extension_schedule_firing_of_schedule ON extension_schedule_firing (schedule_row_id, id);
CREATE INDEX extension_schedule_firing_running ON extension_schedule_firing (lease_until) WHERE state = 'running';
CREATE INDEX extension_schedule_firing_ended ON extension_schedule_firing (ended_at) WHERE state <> 'running';
