// Makes every host call that needs a grant, with the grants, and answers with the names of the checks that failed.
import {
  Code,
  Json,
  Request,
  Response,
  context,
  events,
  http,
  metrics,
  schedules,
  secrets,
  serve,
} from "@bulkhead/assemblyscript";
export { alloc } from "@bulkhead/assemblyscript";

const failed = Json.array();

function check(name: string, holds: bool): void {
  if (!holds) failed.push(Json.string(name));
}

function checkEventsAndSchedules(): void {
  const payload = Json.object().set("n", Json.integer(1));
  const emitted = events.emit("checks.made", payload);
  check("emit: " + emitted.message, emitted.ok && emitted.value.get("id").asString("").length > 0);
  check("own id", events.emit("checks.made", payload, "own").value.get("id").asString("") == "own");
  const wrong = events.emit("Not a topic", payload);
  check("topic", wrong.code == Code.Invalid && wrong.message.length > 0);
  const made = schedules.register("report", "0 3 * * *", "report", "Europe/Berlin", payload);
  check("register: " + made.message, made.ok && made.value.get("next_at").asString("").length >= 20);
  check("cancel", schedules.cancel("report") == Code.Ok);
  check("cancel again", schedules.cancel("report") == Code.NotFound);
  check("cron", schedules.register("wrong", "every day").code == Code.Invalid);
}

function checkMetrics(): void {
  const labels = Json.object().set("kind", Json.string("a"));
  check("counter", metrics.counter("made_total", 1, labels) == Code.Ok);
  check("gauge", metrics.gauge("level", -0.5) == Code.Ok);
  check("histogram", metrics.histogram("seconds", 0.001) == Code.Ok);
  check("another kind", metrics.counter("level") == Code.Invalid);
  check("name", metrics.counter("1") == Code.Invalid);
}

function checkOutside(): void {
  check("secret", secrets.get("key").code == Code.NotFound && secrets.handle("key").code == Code.NotFound);
  check("another secret", secrets.get("another").code == Code.Denied);
  check("elsewhere", http.get("https://example.com/").send().code == Code.Denied);
  const nowhere = http.post("http://example.invalid/").json(Json.object()).redirect("manual").timeout(2000).send();
  check("nowhere: " + nowhere.code.toString(), nowhere.code == Code.Internal || nowhere.code == Code.Timeout);
}

function handle(request: Request): Response {
  check("context", context.get().ok);
  checkEventsAndSchedules();
  checkMetrics();
  checkOutside();
  return Response.json(200, Json.object().set("failed", failed));
}

export function handler(request: usize, size: usize, out: usize): i32 {
  return serve(request, size, out, handle);
}
