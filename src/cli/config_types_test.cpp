#include "cli/config_types.h"

#include <gtest/gtest.h>

namespace bulkhead::cli {
namespace {

json::value schema() {
  return *parse_json(R"({"type":"object","required":["target"],"properties":{
    "target":{"type":"string","description":"Where to"},
    "level":{"type":"string","enum":["low","high"]},
    "retries":{"type":"integer","default":3},
    "share":{"type":"number","default":1},
    "rules":{"type":"array","items":{"type":"object","properties":{"on":{"type":"boolean"}}}},
    "tags":{"type":"array","items":{"type":"string"}},
    "more":{}}})");
}

TEST(ConfigTypes, TypeScriptHasAnInterfaceForEachObject) {
  EXPECT_EQ(*config_types(schema(), TypeLanguage::kTypeScript),
            R"(// Made by `bulkhead ext types` from manifest.json: change it there.

/** The install's settings. */
export interface ConfigRulesItem {
  on?: boolean;
}

/** The install's settings. */
export interface Config {
  /** Where to */
  target: string;
  level?: "low" | "high";
  retries?: number; // default: 3
  share?: number; // default: 1
  rules?: ConfigRulesItem[];
  tags?: string[];
  more?: unknown;
}
)");
}

TEST(ConfigTypes, RustHasStructsThatSerdeReads) {
  EXPECT_EQ(*config_types(schema(), TypeLanguage::kRust),
            R"(// Made by `bulkhead ext types` from manifest.json: change it there.

/// The install's settings.
#[derive(Clone, Debug, serde::Deserialize)]
pub struct ConfigRulesItem {
    #[serde(default)]
    pub on: Option<bool>,
}

/// The install's settings.
#[derive(Clone, Debug, serde::Deserialize)]
pub struct Config {
    /// Where to
    pub target: String,
    #[serde(default)]
    pub level: Option<String>,
    #[serde(default = "default_configretries")]
    pub retries: i64,
    #[serde(default = "default_configshare")]
    pub share: f64,
    #[serde(default)]
    pub rules: Vec<ConfigRulesItem>,
    #[serde(default)]
    pub tags: Vec<String>,
    #[serde(default)]
    pub more: Option<serde_json::Value>,
}

fn default_configretries() -> i64 {
    3
}
fn default_configshare() -> f64 {
    1.0
}
)");
}

TEST(ConfigTypes, AssemblyScriptHasClassesThatReadJson) {
  const std::string text = *config_types(schema(), TypeLanguage::kAssemblyScript);
  EXPECT_NE(text.find("  retries: i64 = 3;\n"), std::string::npos) << text;
  EXPECT_NE(text.find("    value.target = json.get(\"target\").asString(value.target);\n"), std::string::npos) << text;
  EXPECT_NE(text.find("value.rules.push(ConfigRulesItem.of(json.get(\"rules\").at(i)));\n"), std::string::npos) << text;
}

TEST(ConfigTypes, WhatIsNoSchemaOfSettingsIsRefused) {
  for (const char* text : {"true", "{}", R"({"type":"string"})", R"({"type":"object"})"}) {
    EXPECT_EQ(config_types(*parse_json(text), TypeLanguage::kRust).error().code, ErrorCode::kUnprocessable) << text;
  }
  for (const char* name : {"a-b", "1a", "class", ""}) {
    const json::value odd{{"type", "object"}, {"properties", {{name, json::object{}}}}};
    EXPECT_EQ(config_types(odd, TypeLanguage::kTypeScript).error().code, ErrorCode::kUnprocessable) << name;
  }
}

}  // namespace
}  // namespace bulkhead::cli
