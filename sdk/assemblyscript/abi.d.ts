// Made by tools/sdk_reference.py from api/abi/*.json. Types of the guest ABI's JSON, for tests and tools.

/** What the export `handler` is given and what it answers. Members may be added to the request; a guest ignores those it does not know. */
export type HandlerRequest = {
  context: {
    request_id: string;
    tenant_id: string;
    extension_id: string;
    install_id: string;
    content_hash: string;
    version_id: string;
    /** the install's settings, valid against the manifest's config schema */
    config?: Record<string, unknown>;
    /** who calls, where a person or key is behind the call */
    user?: Record<string, unknown>;
  };
  http?: {
    method: string;
    /** decoded; starts with / */
    path: string;
    /** the endpoint's handler in the manifest */
    handler?: string;
    /** decoded path parameters */
    params?: Record<string, string>;
    /** of a repeated key the last value */
    query: Record<string, string>;
    /** every value of every key, in order */
    query_all?: Record<string, string[]>;
    /** names in lower case */
    headers: Record<string, string>;
    body_b64?: string;
  };
  event?: {
    topic: string;
    /** the emitter's name for the event; the same at every delivery */
    id: string;
    payload: unknown;
    /** the subscription's handler in the manifest */
    handler?: string;
    /** which delivery this is; absent: the first */
    attempt?: number;
    /** name of the extension that emitted it; absent: the platform */
    source?: string;
  };
  schedule?: {
    id: string;
    /** from the manifest, or of schedules.register */
    handler?: string;
    /** of schedules.register */
    payload?: unknown;
    /** when it was due */
    scheduled_at?: string;
  };
};

export type HandlerResponse = {
  status?: number;
  /** see extensions.md §4 for those that are passed on */
  headers?: Record<string, string>;
  body_b64?: string;
};

/** The context of this call, as in the handler's request. */
export type ContextGetRequest = Record<string, never>;

export type ContextGetResponse = {
  request_id: string;
  tenant_id: string;
  extension_id: string;
  install_id: string;
  content_hash: string;
  version_id: string;
  /** the install's settings, valid against the manifest's config schema */
  config?: Record<string, unknown>;
  /** who calls, where a person or key is behind the call */
  user?: Record<string, unknown>;
};

/** Publishes an event to the extensions of the organization that subscribe to its topic. It is kept before the answer and delivered at least once. */
export type EventsEmitRequest = {
  /** words joined by dots, e.g. order.created */
  topic: string;
  /** any JSON value; at most 256 KiB as text */
  payload: unknown;
  /** deduplication key: the same id of the same topic is published once by an install, for a week; made by the host if it is absent */
  id?: string;
};

export type EventsEmitResponse = {
  id: string;
};

/** One HTTP request to a host that the manifest names, the install grants and the address check lets pass; redirects are followed within the same rules. docs/guides/egress.md tells more. */
export type HttpFetchRequest = {
  /** absolute; without user name; ASCII; a fragment is dropped */
  url: string;
  method?: "GET" | "HEAD" | "POST" | "PUT" | "PATCH" | "DELETE" | "OPTIONS";
  /** names in any case; at most 16 KiB together; hop-by-hop headers, host, content-length, cookie, proxy-* and sec-* are refused */
  headers?: Record<string, string | {
    /** of secrets.get with handle: true; the host puts the secret's value in its place */
    secret_handle: string;
    /** stands before the value: "Bearer " */
    prefix?: string;
  }>;
  /** text; instead of body_b64 */
  body?: string;
  body_b64?: string;
  /** of the whole fetch; never beyond the deadline of the call */
  timeout_ms?: number;
  /** follow: at most 5, each within the same rules; manual: a redirect is the answer; error: it is a failure */
  redirect?: "follow" | "manual" | "error";
};

export type HttpFetchResponse = {
  status: number;
  /** names in lower case; several values of a name are joined by ", "; set-cookie is left out */
  headers: Record<string, string>;
  body_b64: string;
  /** where the answer came from, after redirects */
  url: string;
};

/** Adds to a counter. */
export type MetricsCounterRequest = {
  /** without a prefix; the host adds the tenant, extension and install */
  name: string;
  value?: number;
  /** texts; not le; each combination of values is a series of its own: never put ids into them */
  labels?: Record<string, string>;
};

export type MetricsCounterResponse = Record<string, never>;

/** Sets a gauge. */
export type MetricsGaugeRequest = {
  /** without a prefix; the host adds the tenant, extension and install */
  name: string;
  value: number;
  /** texts; not le; each combination of values is a series of its own: never put ids into them */
  labels?: Record<string, string>;
};

export type MetricsGaugeResponse = Record<string, never>;

/** Adds an observation to a histogram. */
export type MetricsHistogramRequest = {
  /** without a prefix; the host adds the tenant, extension and install */
  name: string;
  value: number;
  /** texts; not le; each combination of values is a series of its own: never put ids into them */
  labels?: Record<string, string>;
};

export type MetricsHistogramResponse = Record<string, never>;

/** Removes a schedule that schedules.register made. Those of the manifest stay. */
export type SchedulesCancelRequest = {
  id: string;
};

export type SchedulesCancelResponse = Record<string, never>;

/** Makes or replaces a schedule of this install: from then on the handler is called with {"schedule":{"id", …}}. */
export type SchedulesRegisterRequest = {
  id: string;
  /** five fields: minute hour day month weekday */
  cron: string;
  /** given back in the call; the id if it is absent */
  handler?: string;
  /** IANA name */
  timezone?: string;
  /** any JSON value, given back in the call; at most 16 KiB as text */
  payload?: unknown;
};

export type SchedulesRegisterResponse = {
  id: string;
  next_at: string;
};

/** Reads a secret that the manifest names and the install's admin has set. With handle: true the value stays with the host: the handle stands for it in a header of http.fetch and dies with the call. */
export type SecretsGetRequest = {
  /** as in the manifest's secrets */
  key: string;
  /** answer a handle instead of the value */
  handle?: boolean;
};

export type SecretsGetResponse = {
  /** UTF-8, at most 64 KiB */
  value: string;
} | {
  /** means this secret in this call only; http.fetch sends it over https only */
  handle: string;
};

/** Writes up to 100 keys in one transaction: all of them or none. */
export type StorageBulkPutRequest = {
  /** a separate key space within the install */
  namespace?: string;
  items: ({
    /** UTF-8, at most 512 bytes, no control characters */
    key: string;
    /** any JSON value; at most 1 MiB as text */
    value: unknown;
  })[];
};

export type StorageBulkPutResponse = {
  /** in the order of items */
  versions: number[];
};

/** Removes one key. Removing a key that is not there succeeds, unless if_version says that it must be. */
export type StorageDeleteRequest = {
  /** a separate key space within the install */
  namespace?: string;
  /** UTF-8, at most 512 bytes, no control characters */
  key: string;
  /** remove only if the key has this version; else -4 (conflict) */
  if_version?: number;
};

export type StorageDeleteResponse = Record<string, never>;

/** Reads one key of the install's own storage. */
export type StorageGetRequest = {
  /** a separate key space within the install */
  namespace?: string;
  /** UTF-8, at most 512 bytes, no control characters */
  key: string;
};

export type StorageGetResponse = {
  /** any JSON value; at most 1 MiB as text */
  value: unknown;
  /** grows with every write of the key */
  version: number;
};

/** Lists keys in byte order, one page at a time. */
export type StorageListRequest = {
  /** a separate key space within the install */
  namespace?: string;
  prefix?: string;
  /** where the page before ended: its cursor, unchanged */
  cursor?: string;
  limit?: number;
};

export type StorageListResponse = {
  items: ({
    /** UTF-8, at most 512 bytes, no control characters */
    key: string;
    /** grows with every write of the key */
    version: number;
  })[];
  /** there only if more keys follow */
  cursor?: string;
};

/** Writes one key and gives its new version. Another name of storage.set. */
export type StoragePutRequest = {
  /** a separate key space within the install */
  namespace?: string;
  /** UTF-8, at most 512 bytes, no control characters */
  key: string;
  /** any JSON value; at most 1 MiB as text */
  value: unknown;
  /** write only if the key has this version; 0 = only if there is no such key; else -4 (conflict) */
  if_version?: number;
  /** the key is gone after this time; without it, it stays */
  ttl_seconds?: number;
};

export type StoragePutResponse = {
  /** grows with every write of the key */
  version: number;
};

/** Writes one key and gives its new version. */
export type StorageSetRequest = {
  /** a separate key space within the install */
  namespace?: string;
  /** UTF-8, at most 512 bytes, no control characters */
  key: string;
  /** any JSON value; at most 1 MiB as text */
  value: unknown;
  /** write only if the key has this version; 0 = only if there is no such key; else -4 (conflict) */
  if_version?: number;
  /** the key is gone after this time; without it, it stays */
  ttl_seconds?: number;
};

export type StorageSetResponse = {
  /** grows with every write of the key */
  version: number;
};

/** The user of this call. */
export type UserGetRequest = Record<string, never>;

export type UserGetResponse = Record<string, unknown>;

/** Every host call by its name. */
export interface HostCalls {
  "context.get": { request: ContextGetRequest; response: ContextGetResponse };
  "events.emit": { request: EventsEmitRequest; response: EventsEmitResponse };
  "http.fetch": { request: HttpFetchRequest; response: HttpFetchResponse };
  "metrics.counter": { request: MetricsCounterRequest; response: MetricsCounterResponse };
  "metrics.gauge": { request: MetricsGaugeRequest; response: MetricsGaugeResponse };
  "metrics.histogram": { request: MetricsHistogramRequest; response: MetricsHistogramResponse };
  "schedules.cancel": { request: SchedulesCancelRequest; response: SchedulesCancelResponse };
  "schedules.register": { request: SchedulesRegisterRequest; response: SchedulesRegisterResponse };
  "secrets.get": { request: SecretsGetRequest; response: SecretsGetResponse };
  "storage.bulk_put": { request: StorageBulkPutRequest; response: StorageBulkPutResponse };
  "storage.delete": { request: StorageDeleteRequest; response: StorageDeleteResponse };
  "storage.get": { request: StorageGetRequest; response: StorageGetResponse };
  "storage.list": { request: StorageListRequest; response: StorageListResponse };
  "storage.put": { request: StoragePutRequest; response: StoragePutResponse };
  "storage.set": { request: StorageSetRequest; response: StorageSetResponse };
  "user.get": { request: UserGetRequest; response: UserGetResponse };
}
