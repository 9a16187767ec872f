// HTTP to other hosts. Shape: api/abi/http.fetch.json.
// SPDX-License-Identifier: Apache-2.0

import { decodeBase64, encodeBase64 } from "./bytes";
import { Code, call } from "./call";
import { Json } from "./json";
import { Secret } from "./secrets";

// @ts-ignore: decorator
@external("alga", "http.fetch") declare function hostHttpFetch(request: usize, size: usize, out: usize): i32;

/** An answer of any status, or why there is none. */
export class FetchAnswer {
  constructor(
    public code: Code,
    private document: Json,
    /** Why there is no answer, in words for a log. */
    public message: string = "",
  ) {}

  /** Whether there is an answer, whatever its status. */
  get ok(): bool {
    return this.code == Code.Ok;
  }
  /** The HTTP status; 0 without an answer. */
  get status(): i32 {
    return this.document.get("status").asInteger(0) as i32;
  }
  /** Where the answer came from, after redirects. */
  get url(): string {
    return this.document.get("url").asString("");
  }
  /** `name` in lower case. */
  header(name: string): string {
    return this.document.get("headers").get(name).asString("");
  }
  bytes(): ArrayBuffer {
    const bytes = decodeBase64(this.document.get("body_b64").asString(""));
    return bytes === null ? new ArrayBuffer(0) : bytes;
  }
  text(): string {
    return String.UTF8.decode(this.bytes());
  }
  /** The body as JSON; null if it isn't JSON. */
  json(): Json | null {
    return Json.parse(this.text());
  }
}

/** A request that is being made; `send` sends it. */
export class Fetch {
  private request: Json = Json.object();
  private headers: Json = Json.object();

  constructor(method: string, url: string) {
    this.request.set("method", Json.string(method)).set("url", Json.string(url));
  }

  header(name: string, value: string): Fetch {
    this.headers.set(name, Json.string(value));
    return this;
  }
  /** A header of `prefix` and a secret's value, which the host puts in: see `secrets.handle`. */
  secretHeader(name: string, prefix: string, secret: Secret): Fetch {
    const value = Json.object().set("secret_handle", Json.string(secret.text));
    if (prefix.length > 0) value.set("prefix", Json.string(prefix));
    this.headers.set(name, value);
    return this;
  }
  bytes(body: ArrayBuffer): Fetch {
    this.request.set("body_b64", Json.string(encodeBase64(body)));
    return this;
  }
  text(body: string): Fetch {
    return this.bytes(String.UTF8.encode(body));
  }
  /** Sets `content-type` too. */
  json(body: Json): Fetch {
    return this.header("content-type", "application/json").text(body.toString());
  }
  /** How long it may take; never beyond the deadline of the call. */
  timeout(milliseconds: i32): Fetch {
    this.request.set("timeout_ms", Json.integer(milliseconds));
    return this;
  }
  /** "follow" (at most 5 times, each within the same rules; the default), "manual" or "error". */
  redirect(mode: string): Fetch {
    this.request.set("redirect", Json.string(mode));
    return this;
  }

  send(): FetchAnswer {
    if (this.headers.length > 0) this.request.set("headers", this.headers);
    const result = call(hostHttpFetch, this.request);
    return new FetchAnswer(result.code, result.value, result.message);
  }
}

/** HTTP to the hosts that the manifest names and the install grants; needs the capability http.fetch. */
export namespace http {
  /** GET, HEAD, OPTIONS, POST, PUT, PATCH or DELETE. */
  export function request(method: string, url: string): Fetch {
    return new Fetch(method, url);
  }
  export function get(url: string): Fetch {
    return new Fetch("GET", url);
  }
  export function post(url: string): Fetch {
    return new Fetch("POST", url);
  }
  export function put(url: string): Fetch {
    return new Fetch("PUT", url);
  }
}
