// Counts visits by name in the install's own store. The endpoints are in manifest.json, the tests in tests/.
import { Code, Json, Request, Response, log, serve, storage } from "@bulkhead/assemblyscript";
export { alloc } from "@bulkhead/assemblyscript";

function visits(name: string, count: i64): Response {
  return Response.json(200, Json.object().set("name", Json.string(name)).set("visits", Json.integer(count)));
}

function failure(code: Code): Response {
  log.error("storage failed with code " + code.toString());
  return Response.problem(503, "storage_failed", "Try again in a moment.");
}

// Writes on condition of the version that was read: of two visits at once, one is refused and counts again.
function count(name: string): Response {
  let code = Code.Conflict;
  while (code == Code.Conflict) {
    const stored = storage.get(name);
    if (!stored.ok && stored.code != Code.NotFound) return failure(stored.code);
    const next = stored.value.asInteger(0) + 1;
    code = storage.set(name, Json.integer(next), stored.version).code;
    if (code == Code.Ok) {
      log.info("a visit by " + name);
      return visits(name, next);
    }
  }
  return failure(code);
}

function handle(request: Request): Response {
  const name = request.param("name");
  if (request.handler == "count") return count(name);
  const stored = storage.get(name);
  if (!stored.ok && stored.code != Code.NotFound) return failure(stored.code);
  return visits(name, stored.value.asInteger(0));
}

export function handler(request: usize, size: usize, out: usize): i32 {
  return serve(request, size, out, handle);
}
