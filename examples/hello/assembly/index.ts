import { Json, Request, Response, log, serve } from "@bulkhead/assemblyscript";
import { Config } from "./config";
export { alloc } from "@bulkhead/assemblyscript";

function hello(request: Request): Response {
  const config = Config.of(request.context.get("config"));
  const name = request.param("name").length > 0 ? request.param("name") : "world";
  log.info("greeting " + name);
  return Response.json(200, Json.object().set("message", Json.string(config.greeting + ", " + name + "!")));
}

export function handler(request: usize, size: usize, out: usize): i32 {
  return serve(request, size, out, hello);
}
