// What /v1/execute's JSON costs, beside Boost.JSON's DOM on the same text (the baseline).
#include <benchmark/benchmark.h>

#include <boost/json.hpp>

#include "protocol/execute_json.h"
#include "protocol/frames.h"

namespace bulkhead::protocol {
namespace {

ExecuteRequest sample_request() {
  ExecuteRequest request;
  SeededRandom random(1);
  request.context.request_id = "0197f5a4-9d2e-7c31-b0f1-3a8d4e0c9b77";
  request.context.tenant_id = TenantId::v4(random);
  request.context.extension_id = ExtensionId::v4(random);
  request.context.install_id = InstallId::v4(random);
  request.context.content_hash = ContentHash::of("bundle");
  request.context.version_id = VersionId::v4(random);
  request.context.config_json = R"({"currency":"EUR","rates":[1.0,0.19],"notify":true})";
  HttpCall call;
  call.method = "POST";
  call.path = "/agreements/42";
  call.handler = "updateAgreement";
  call.params = {{"id", "42"}};
  call.query = {{"expand", "lines"}};
  call.headers = {{"accept", "application/json"}, {"content-type", "application/json"}, {"user-agent", "bench/1.0"}};
  call.body = R"({"title":"Maintenance 2026","lines":[{"sku":"A-1","count":2},{"sku":"B-7","count":1}]})";
  request.call = call;
  return request;
}

void parse_request(benchmark::State& state) {
  const std::string text = serialize_execute_request(sample_request());
  for (auto _ : state) benchmark::DoNotOptimize(parse_execute_request(text));
  state.SetLabel(std::to_string(text.size()) + " bytes");
}
BENCHMARK(parse_request);

void parse_request_dom_only_baseline(benchmark::State& state) {
  const std::string text = serialize_execute_request(sample_request());
  for (auto _ : state) {
    unsigned char buffer[16 * 1024];
    boost::json::monotonic_resource memory(buffer, sizeof(buffer));
    benchmark::DoNotOptimize(boost::json::parse(text, &memory));
  }
}
BENCHMARK(parse_request_dom_only_baseline);

void write_guest_request(benchmark::State& state) {
  const ExecuteRequest request = sample_request();
  for (auto _ : state) {
    std::string out;
    append_guest_request(out, request);
    benchmark::DoNotOptimize(out);
  }
}
BENCHMARK(write_guest_request);

void parse_guest_answer(benchmark::State& state) {
  const std::string text =
      R"({"status":200,"headers":{"content-type":"application/json"},"body_b64":"eyJvayI6dHJ1ZSwiaWQiOjQyfQ=="})";
  for (auto _ : state) benchmark::DoNotOptimize(parse_guest_response(text));
}
BENCHMARK(parse_guest_answer);

void write_response(benchmark::State& state) {
  ExecuteResponse response;
  response.headers = {{"content-type", "application/json"}};
  response.body = R"({"ok":true,"id":42})";
  for (auto _ : state) benchmark::DoNotOptimize(serialize_execute_response(response));
}
BENCHMARK(write_response);

void execute_frame_there_and_back(benchmark::State& state) {
  const ExecuteRequest request = sample_request();
  std::string out;
  for (auto _ : state) {
    out.clear();
    append_execute(out, 1, request);
    benchmark::DoNotOptimize(parse_execute(std::string_view(out).substr(kFrameHeaderSize)));
  }
}
BENCHMARK(execute_frame_there_and_back);

void parse_request_with_ten_megabytes(benchmark::State& state) {
  ExecuteRequest request = sample_request();
  std::get<HttpCall>(request.call).body = std::string(10'000'000, 'x');
  const std::string text = serialize_execute_request(request);
  for (auto _ : state) benchmark::DoNotOptimize(parse_execute_request(text));
}
BENCHMARK(parse_request_with_ten_megabytes)->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace bulkhead::protocol

BENCHMARK_MAIN();
