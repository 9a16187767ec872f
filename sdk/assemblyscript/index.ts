// SPDX-License-Identifier: Apache-2.0
export { Json, Kind } from "./assembly/json";
export { Code, HostResult, Stored, alloc, context, log, storage, user } from "./assembly/host";
export { Request, Response, serve } from "./assembly/http";
export { decodeBase64, encodeBase64 } from "./assembly/bytes";
