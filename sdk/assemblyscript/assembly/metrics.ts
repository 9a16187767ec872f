// The extension's own metrics. Shapes: api/abi/metrics.*.json.
// SPDX-License-Identifier: Apache-2.0

import { Code, HostFunction, call } from "./call";
import { Json } from "./json";

// @ts-ignore: decorator
@external("alga", "metrics.counter") declare function hostMetricsCounter(request: usize, size: usize, out: usize): i32;
// @ts-ignore: decorator
@external("alga", "metrics.gauge") declare function hostMetricsGauge(request: usize, size: usize, out: usize): i32;
// @ts-ignore: decorator
@external("alga", "metrics.histogram") declare function hostMetricsHistogram(request: usize, size: usize, out: usize): i32;

/**
 * The extension's own metrics; need the capability metrics.emit. `labels` is an object of texts: each combination is a
 * series of its own and their number is limited, so never put ids into them.
 */
export namespace metrics {
  function send(host: HostFunction, name: string, value: f64, labels: Json): Code {
    const request = Json.object().set("name", Json.string(name)).set("value", Json.number(value));
    if (labels.length > 0) request.set("labels", labels);
    return call(host, request).code;
  }

  /** Adds to a counter. */
  export function counter(name: string, value: f64 = 1, labels: Json = Json.none): Code {
    return send(hostMetricsCounter, name, value, labels);
  }
  /** Sets a gauge. */
  export function gauge(name: string, value: f64, labels: Json = Json.none): Code {
    return send(hostMetricsGauge, name, value, labels);
  }
  /** Adds an observation to a histogram. */
  export function histogram(name: string, value: f64, labels: Json = Json.none): Code {
    return send(hostMetricsHistogram, name, value, labels);
  }
}
