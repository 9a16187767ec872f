// Requests, answers and the loop body of `handler`. Shape: api/abi/handler.json.
// SPDX-License-Identifier: Apache-2.0

import { decodeBase64, encodeBase64 } from "./bytes";
import { Json } from "./json";

export class Request {
  constructor(private document: Json) {}

  private get http(): Json {
    return this.document.get("http");
  }
  get method(): string {
    return this.http.get("method").asString("");
  }
  /** Decoded; starts with "/". */
  get path(): string {
    return this.http.get("path").asString("");
  }
  /** The `handler` in the manifest: of the endpoint, the subscription or the schedule. */
  get handler(): string {
    const http = this.http;
    const reason = http.isNull ? (this.event.isNull ? this.schedule : this.event) : http;
    return reason.get("handler").asString("");
  }
  /** request_id, tenant_id, install_id, config, user, … */
  get context(): Json {
    return this.document.get("context");
  }
  /** {"topic","id","payload"} where an event is the reason of the call; else a JSON null. */
  get event(): Json {
    return this.document.get("event");
  }
  /** {"id"} where a schedule is the reason of the call; else a JSON null. */
  get schedule(): Json {
    return this.document.get("schedule");
  }

  /** A path parameter, decoded; "" if there is none of this name. */
  param(name: string): string {
    return this.http.get("params").get(name).asString("");
  }
  /** The last value of a query key. */
  query(name: string, fallback: string = ""): string {
    return this.http.get("query").get(name).asString(fallback);
  }
  /** `name` in lower case. */
  header(name: string): string {
    return this.http.get("headers").get(name).asString("");
  }
  bytes(): ArrayBuffer {
    const bytes = decodeBase64(this.http.get("body_b64").asString(""));
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

export class Response {
  private headers: Json = Json.object();

  constructor(
    private status: i32,
    private body: ArrayBuffer,
  ) {}

  static json(status: i32, value: Json): Response {
    return new Response(status, String.UTF8.encode(value.toString())).header("content-type", "application/json");
  }
  static text(status: i32, text: string): Response {
    return new Response(status, String.UTF8.encode(text)).header("content-type", "text/plain; charset=utf-8");
  }
  static empty(status: i32): Response {
    return new Response(status, new ArrayBuffer(0));
  }
  /** A problem document (RFC 9457). */
  static problem(status: i32, code: string, detail: string): Response {
    const document = Json.object()
      .set("status", Json.integer(status))
      .set("code", Json.string(code))
      .set("detail", Json.string(detail));
    return Response.json(status, document).header("content-type", "application/problem+json");
  }

  header(name: string, value: string): Response {
    this.headers.set(name, Json.string(value));
    return this;
  }

  toJson(): Json {
    const document = Json.object().set("status", Json.integer(this.status)).set("headers", this.headers);
    if (this.body.byteLength > 0) document.set("body_b64", Json.string(encodeBase64(this.body)));
    return document;
  }
}

/** The body of `handler`: reads the request, asks `handle`, writes the answer. */
export function serve(request: usize, size: usize, out: usize, handle: (request: Request) => Response): i32 {
  const document = Json.parse(String.UTF8.decodeUnsafe(request, size));
  if (document === null) return 1;
  const bytes = String.UTF8.encode(handle(new Request(document)).toJson().toString());
  store<u32>(out, changetype<usize>(bytes) as u32);
  store<u32>(out, bytes.byteLength, 4);
  return 0;
}
