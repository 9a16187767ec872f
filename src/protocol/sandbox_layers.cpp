#include "protocol/sandbox_layers.h"

#include <algorithm>

#include "base/json.h"
#include "protocol/json_text.h"

namespace bulkhead::protocol {

std::string to_json(const SandboxLayers& layers) {
  std::string out = "[";
  for (const SandboxLayer& layer : layers) {
    if (out.size() > 1) out += ',';
    out += R"({"layer":)";
    append_json_string(out, layer.layer);
    out += layer.active ? R"(,"active":true,"reason":)" : R"(,"active":false,"reason":)";
    append_json_string(out, layer.reason);
    out += '}';
  }
  return out + "]";
}

Status check_layer_names(std::span<const std::string> names) {
  const std::vector<std::string_view> known(kSandboxLayerNames.begin(), kSandboxLayerNames.end());
  for (const std::string& name : names) {
    if (std::ranges::find(known, name) != known.end()) continue;
    std::string message = "\"" + name + "\" is not a sandbox layer";
    if (const auto nearest = nearest_name(name, known)) message += "; did you mean \"" + *nearest + "\"?";
    return fail(ErrorCode::kUnprocessable, std::move(message));
  }
  return {};
}

Status check_required_layers(const SandboxLayers& layers, std::span<const std::string> required) {
  for (const std::string& name : required) {
    const auto found = std::ranges::find(layers, name, &SandboxLayer::layer);
    if (found != layers.end() && found->active) continue;
    const std::string why = found == layers.end() ? "it was not tried" : found->reason;
    return fail(ErrorCode::kUnavailable,
                "The sandbox layer \"" + name + "\" is required (runner.require_layers) and not active: " + why + ".");
  }
  return {};
}

}  // namespace bulkhead::protocol
