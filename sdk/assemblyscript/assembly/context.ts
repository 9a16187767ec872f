// The context of a call and the user behind it. Shapes: api/abi/context.get.json, user.get.json.
// SPDX-License-Identifier: Apache-2.0

import { HostResult, call } from "./call";
import { Json } from "./json";

// @ts-ignore: decorator
@external("alga", "context.get") declare function hostContextGet(request: usize, size: usize, out: usize): i32;
// @ts-ignore: decorator
@external("alga", "user.get") declare function hostUserGet(request: usize, size: usize, out: usize): i32;

/** The context of this call; needs the capability context.read. */
export namespace context {
  /** The same as `Request.context`, from anywhere. */
  export function get(): HostResult {
    return call(hostContextGet, Json.object());
  }
}

/** The user behind this call; needs the capability user.read. */
export namespace user {
  /** Code.NotFound where no person or key is behind the call. */
  export function get(): HostResult {
    return call(hostUserGet, Json.object());
  }
}
