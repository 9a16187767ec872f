-- tenant-scoped: extension_event
-- tenant-scoped: extension_event_subscription
-- tenant-scoped: extension_event_delivery

-- filter: the admin's in place of the manifest's; null: the manifest's. install_enabled follows the install.
CREATE TABLE extension_event_subscription (
  id TEXT PRIMARY KEY,
  tenant_id TEXT NOT NULL,
  install_id TEXT NOT NULL,
  topic TEXT NOT NULL,
  handler TEXT NOT NULL,
  ordinal BIGINT NOT NULL,
  manifest_filter TEXT NOT NULL,
  filter TEXT,
  is_enabled BIGINT NOT NULL,
  install_enabled BIGINT NOT NULL,
  created_at BIGINT NOT NULL,
  updated_at BIGINT NOT NULL,
  UNIQUE (install_id, topic, handler, ordinal)
);
CREATE INDEX extension_event_subscription_by_topic ON extension_event_subscription (tenant_id, topic);

-- What was emitted. install_id: the emitter, null for the platform's own. event_id: the emitter's name for it, which it
-- uses once per topic as long as the row is kept.
CREATE TABLE extension_event (
  id TEXT PRIMARY KEY,
  tenant_id TEXT NOT NULL,
  install_id TEXT,
  source TEXT NOT NULL,
  event_id TEXT NOT NULL,
  topic TEXT NOT NULL,
  payload TEXT NOT NULL,
  hops BIGINT NOT NULL,
  trace_parent TEXT NOT NULL,
  created_at BIGINT NOT NULL,
  matched_at BIGINT,
  UNIQUE (tenant_id, install_id, topic, event_id)
);
CREATE INDEX extension_event_unmatched ON extension_event (id) WHERE matched_at IS NULL;

-- One event for one subscription, until it was handled. due_at is when somebody may take it: while a node works on it,
-- the end of that node's lease, so a node that dies only delays it. state: pending | paused | dead.
CREATE TABLE extension_event_delivery (
  id TEXT PRIMARY KEY,
  tenant_id TEXT NOT NULL,
  install_id TEXT NOT NULL,
  subscription_id TEXT NOT NULL,
  event_row_id TEXT NOT NULL,
  source_install_id TEXT,
  state TEXT NOT NULL,
  attempts BIGINT NOT NULL,
  due_at BIGINT NOT NULL,
  lease_token TEXT,
  lease_owner TEXT,
  error_code TEXT,
  error_message TEXT,
  created_at BIGINT NOT NULL,
  updated_at BIGINT NOT NULL
);
CREATE INDEX extension_event_delivery_due ON extension_event_delivery (due_at) WHERE state = 'pending';
CREATE INDEX extension_event_delivery_of_install ON extension_event_delivery (install_id, state, id);
CREATE INDEX extension_event_delivery_of_event ON extension_event_delivery (event_row_id);
CREATE INDEX extension_event_delivery_of_source ON extension_event_delivery (source_install_id) WHERE state <> 'dead';
CREATE INDEX extension_event_delivery_leased ON extension_event_delivery (lease_owner) WHERE lease_owner IS NOT NULL;
