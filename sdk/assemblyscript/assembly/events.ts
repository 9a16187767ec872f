// Events to other extensions of the organization, and schedules of the install. Shapes: api/abi/events.emit.json,
// schedules.*.json.
// SPDX-License-Identifier: Apache-2.0

import { Code, HostResult, call } from "./call";
import { Json } from "./json";

// @ts-ignore: decorator
@external("alga", "events.emit") declare function hostEventsEmit(request: usize, size: usize, out: usize): i32;
// @ts-ignore: decorator
@external("alga", "schedules.register") declare function hostSchedulesRegister(request: usize, size: usize, out: usize): i32;
// @ts-ignore: decorator
@external("alga", "schedules.cancel") declare function hostSchedulesCancel(request: usize, size: usize, out: usize): i32;

/** Events to the extensions of the organization that subscribe to them; need the capability events.emit. */
export namespace events {
  /** The result's value is {"id"}. With an `id` of one's own the same id of the same topic is published once. */
  export function emit(topic: string, payload: Json, id: string = ""): HostResult {
    const request = Json.object().set("topic", Json.string(topic)).set("payload", payload);
    if (id.length > 0) request.set("id", Json.string(id));
    return call(hostEventsEmit, request);
  }
}

/** Schedules of the install, beside those of the manifest; need the capability schedules. */
export namespace schedules {
  /**
   * Makes a schedule, or replaces the one of the same id. `cron` has five fields; `timezone` is an IANA name, "" is UTC;
   * `handler` and `payload` are given back in the call. The result's value is {"id","next_at"}.
   */
  export function register(
    id: string,
    cron: string,
    handler: string = "",
    timezone: string = "",
    payload: Json = Json.none,
  ): HostResult {
    const request = Json.object().set("id", Json.string(id)).set("cron", Json.string(cron));
    if (handler.length > 0) request.set("handler", Json.string(handler));
    if (timezone.length > 0) request.set("timezone", Json.string(timezone));
    if (!payload.isNull) request.set("payload", payload);
    return call(hostSchedulesRegister, request);
  }

  /** Code.NotFound if `register` made no such schedule. */
  export function cancel(id: string): Code {
    return call(hostSchedulesCancel, Json.object().set("id", Json.string(id))).code;
  }
}
