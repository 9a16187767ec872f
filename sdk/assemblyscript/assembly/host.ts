// The host's functions: logs, storage, context. Shapes: api/abi/*.json.
// SPDX-License-Identifier: Apache-2.0

import { Json, Kind } from "./json";

/** What a host call came to. A missing grant is an answer (Denied), never a trap. */
export enum Code {
  Ok = 0,
  Denied = -1,
  Invalid = -2,
  NotFound = -3,
  Conflict = -4,
  TooLarge = -5,
  Timeout = -6,
  Internal = -7,
  Quota = -8,
}

/** Room for `size` bytes; the host writes requests and answers there. Export it from the entry file. */
export function alloc(size: usize): usize {
  return heap.alloc(size);
}

// @ts-ignore: decorator
@external("alga", "log_info") declare function hostLogInfo(text: usize, size: usize): void;
// @ts-ignore: decorator
@external("alga", "log_warn") declare function hostLogWarn(text: usize, size: usize): void;
// @ts-ignore: decorator
@external("alga", "log_error") declare function hostLogError(text: usize, size: usize): void;
// @ts-ignore: decorator
@external("alga", "storage.get") declare function hostStorageGet(request: usize, size: usize, out: usize): i32;
// @ts-ignore: decorator
@external("alga", "storage.set") declare function hostStorageSet(request: usize, size: usize, out: usize): i32;
// @ts-ignore: decorator
@external("alga", "storage.delete") declare function hostStorageDelete(request: usize, size: usize, out: usize): i32;
// @ts-ignore: decorator
@external("alga", "storage.list") declare function hostStorageList(request: usize, size: usize, out: usize): i32;
// @ts-ignore: decorator
@external("alga", "storage.bulk_put") declare function hostStorageBulkPut(request: usize, size: usize, out: usize): i32;
// @ts-ignore: decorator
@external("alga", "context.get") declare function hostContextGet(request: usize, size: usize, out: usize): i32;
// @ts-ignore: decorator
@external("alga", "user.get") declare function hostUserGet(request: usize, size: usize, out: usize): i32;

export class HostResult {
  constructor(
    public code: Code,
    public value: Json,
  ) {}

  get ok(): bool {
    return this.code == Code.Ok;
  }
}

type HostFunction = (request: usize, size: usize, out: usize) => i32;

function call(host: HostFunction, request: Json): HostResult {
  const bytes = String.UTF8.encode(request.toString());
  const out = heap.alloc(8);
  store<u64>(out, 0);
  const code = host(changetype<usize>(bytes), bytes.byteLength, out);
  if (code != 0) return new HostResult(code as Code, Json.none);
  const value = Json.parse(String.UTF8.decodeUnsafe(load<u32>(out), load<u32>(out, 4)));
  return value === null ? new HostResult(Code.Internal, Json.none) : new HostResult(Code.Ok, value);
}

export namespace log {
  export function info(line: string): void {
    const bytes = String.UTF8.encode(line);
    hostLogInfo(changetype<usize>(bytes), bytes.byteLength);
  }
  export function warn(line: string): void {
    const bytes = String.UTF8.encode(line);
    hostLogWarn(changetype<usize>(bytes), bytes.byteLength);
  }
  export function error(line: string): void {
    const bytes = String.UTF8.encode(line);
    hostLogError(changetype<usize>(bytes), bytes.byteLength);
  }
}

export class Stored {
  constructor(
    public code: Code,
    public value: Json,
    public version: i64,
  ) {}

  get ok(): bool {
    return this.code == Code.Ok;
  }
}

/** The install's own key-value store; needs the capability storage.kv. `space` "" is the default key space. */
export namespace storage {
  /** For `ifVersion`: write whatever is there. */
  export const ANY: i64 = -1;
  /** For `ifVersion`: write only if there is no such key. */
  export const ABSENT: i64 = 0;

  function open(space: string): Json {
    const request = Json.object();
    if (space.length > 0) request.set("namespace", Json.string(space));
    return request;
  }

  export function get(key: string, space: string = ""): Stored {
    const result = call(hostStorageGet, open(space).set("key", Json.string(key)));
    return new Stored(result.code, result.value.get("value"), result.value.get("version").asInteger(0));
  }

  /** Code.Conflict if the key does not have the version `ifVersion`. */
  export function set(
    key: string,
    value: Json,
    ifVersion: i64 = ANY,
    ttlSeconds: i64 = 0,
    space: string = "",
  ): Stored {
    const request = open(space).set("key", Json.string(key)).set("value", value);
    if (ifVersion != ANY) request.set("if_version", Json.integer(ifVersion));
    if (ttlSeconds > 0) request.set("ttl_seconds", Json.integer(ttlSeconds));
    const result = call(hostStorageSet, request);
    return new Stored(result.code, value, result.value.get("version").asInteger(0));
  }

  export function remove(key: string, ifVersion: i64 = ANY, space: string = ""): Code {
    const request = open(space).set("key", Json.string(key));
    if (ifVersion != ANY) request.set("if_version", Json.integer(ifVersion));
    return call(hostStorageDelete, request).code;
  }

  /** A page {"items":[{"key","version"}],"cursor"?}; pass the cursor on for the next one. */
  export function list(prefix: string = "", cursor: string = "", limit: i32 = 0, space: string = ""): HostResult {
    const request = open(space);
    if (prefix.length > 0) request.set("prefix", Json.string(prefix));
    if (cursor.length > 0) request.set("cursor", Json.string(cursor));
    if (limit > 0) request.set("limit", Json.integer(limit));
    return call(hostStorageList, request);
  }

  /** `items` is an array of {"key","value"}: all are written, or none. */
  export function bulkPut(items: Json, space: string = ""): HostResult {
    assert(items.kind == Kind.Array, "bulkPut() needs an array");
    return call(hostStorageBulkPut, open(space).set("items", items));
  }
}

/** The context of this call; needs the capability context.read. */
export namespace context {
  export function get(): HostResult {
    return call(hostContextGet, Json.object());
  }
}

/** The user behind this call, Code.NotFound where there is none; needs the capability user.read. */
export namespace user {
  export function get(): HostResult {
    return call(hostUserGet, Json.object());
  }
}
