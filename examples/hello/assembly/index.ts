import { Json, Request, Response, log, serve } from "@bulkhead/assemblyscript";
export { alloc } from "@bulkhead/assemblyscript";

function hello(request: Request): Response {
  const greeting = request.context.get("config").get("greeting").asString("Hello");
  const name = request.param("name").length > 0 ? request.param("name") : "world";
  log.info("greeting " + name);
  return Response.json(200, Json.object().set("message", Json.string(greeting + ", " + name + "!")));
}

export function handler(request: usize, size: usize, out: usize): i32 {
  return serve(request, size, out, hello);
}
