// The install's own key-value store. Shapes: api/abi/storage.*.json.
// SPDX-License-Identifier: Apache-2.0

import { Code, HostResult, call } from "./call";
import { Json, Kind } from "./json";

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

/** A value and its version, or why there is none. */
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

  /** Code.NotFound if there is no such key. */
  export function get(key: string, space: string = ""): Stored {
    const result = call(hostStorageGet, open(space).set("key", Json.string(key)));
    return new Stored(result.code, result.value.get("value"), result.value.get("version").asInteger(0));
  }

  /** Code.Conflict if the key does not have the version `ifVersion`; with `ttlSeconds` the key is gone after that time. */
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

  /** Removing a key that is not there is Code.Ok, unless `ifVersion` says that it must be. */
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

  /** `items` is an array of up to 100 {"key","value"}: all are written, or none. */
  export function bulkPut(items: Json, space: string = ""): HostResult {
    assert(items.kind == Kind.Array, "bulkPut() needs an array");
    return call(hostStorageBulkPut, open(space).set("items", items));
  }
}
