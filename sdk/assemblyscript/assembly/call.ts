// How a host call is made: request JSON in, a code and response JSON out. Shapes: api/abi/*.json.
// SPDX-License-Identifier: Apache-2.0

import { Json } from "./json";

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

/** What a host call answered. */
export class HostResult {
  constructor(
    public code: Code,
    /** The response; a JSON null unless `ok`. */
    public value: Json,
    /** Why it was refused, in words for a log; may be empty. */
    public message: string = "",
  ) {}

  get ok(): bool {
    return this.code == Code.Ok;
  }
}

export type HostFunction = (request: usize, size: usize, out: usize) => i32;

export function call(host: HostFunction, request: Json): HostResult {
  const bytes = String.UTF8.encode(request.toString());
  const out = heap.alloc(8);
  store<u64>(out, 0);
  const code = host(changetype<usize>(bytes), bytes.byteLength, out);
  const size = load<u32>(out, 4);
  let value: Json | null = null;
  if (size > 0) value = Json.parse(String.UTF8.decodeUnsafe(load<u32>(out), size));
  if (code != 0) {
    const message = value === null ? "" : value.get("error").get("message").asString("");
    return new HostResult(code as Code, Json.none, message);
  }
  return value === null ? new HostResult(Code.Internal, Json.none, "no JSON") : new HostResult(Code.Ok, value);
}
