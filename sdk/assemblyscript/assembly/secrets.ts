// The install's secrets. Shape: api/abi/secrets.get.json.
// SPDX-License-Identifier: Apache-2.0

import { Code, HostResult, call } from "./call";
import { Json } from "./json";

// @ts-ignore: decorator
@external("alga", "secrets.get") declare function hostSecretsGet(request: usize, size: usize, out: usize): i32;

/** A secret's value, or a handle of it; or why there is none. */
export class Secret {
  constructor(
    public code: Code,
    public text: string,
  ) {}

  get ok(): bool {
    return this.code == Code.Ok;
  }
}

/** The install's secrets: named in the manifest, set by the install's admin. Need the capability secrets.get. */
export namespace secrets {
  /** The value; Code.NotFound if it is not set. Prefer `handle` where it only goes into a header. */
  export function get(key: string): Secret {
    const result: HostResult = call(hostSecretsGet, Json.object().set("key", Json.string(key)));
    return new Secret(result.code, result.value.get("value").asString(""));
  }

  /** For `Fetch.secretHeader`, within this call: the value never enters the guest. */
  export function handle(key: string): Secret {
    const request = Json.object().set("key", Json.string(key)).set("handle", Json.boolean(true));
    const result: HostResult = call(hostSecretsGet, request);
    return new Secret(result.code, result.value.get("handle").asString(""));
  }
}
