// SPDX-License-Identifier: Apache-2.0
export { Json, Kind } from "./assembly/json";
export { Code, HostResult, alloc } from "./assembly/call";
export { log } from "./assembly/log";
export { Stored, storage } from "./assembly/storage";
export { context, user } from "./assembly/context";
export { Secret, secrets } from "./assembly/secrets";
export { Fetch, FetchAnswer, http } from "./assembly/fetch";
export { events, schedules } from "./assembly/events";
export { metrics } from "./assembly/metrics";
export { Request, Response, serve } from "./assembly/http";
export { decodeBase64, encodeBase64 } from "./assembly/bytes";
