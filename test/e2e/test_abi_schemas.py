"""api/abi and api/ext-test.schema.json are valid JSON Schemas, and the project's own test files follow the latter."""

import json
import re

import jsonschema
import pytest
from harness.paths import ROOT

ABI = sorted((ROOT / "api" / "abi").glob("*.json"))
CASES = sorted(
    path
    for pattern in ("examples/*/tests/*.json", "test/extensions/*/tests/*.json", "sdk/templates/*/tests/*.json")
    for path in ROOT.glob(pattern)
)


@pytest.mark.parametrize("path", ABI, ids=lambda path: path.stem)
def test_abi_schema_is_valid(path):
    document = json.loads(path.read_text())
    assert document["title"] == path.stem
    for part in ("request", "response"):
        jsonschema.Draft202012Validator.check_schema(document["$defs"][part])


def test_the_schemas_are_those_of_the_sandboxs_imports():
    text = (ROOT / "src" / "sandbox" / "host_calls.h").read_text()
    functions = re.findall(r'"([a-z]+\.[a-z_]+)"', text.split("kHostFunctions = {")[1].split("}")[0])
    assert sorted(functions) == sorted(path.stem for path in ABI if "." in path.stem)


@pytest.mark.parametrize("library", ["rust/src", "assemblyscript/assembly", "c"])
def test_every_library_makes_every_host_call(library):
    text = "".join(path.read_text() for path in (ROOT / "sdk" / library).iterdir() if path.is_file())
    # storage.put is another name of storage.set.
    wanted = {path.stem for path in ABI} - {"handler", "storage.put"}
    assert {name for name in wanted if f'"{name}"' not in text} == set()


@pytest.mark.parametrize("path", CASES, ids=lambda path: str(path.relative_to(ROOT)))
def test_extension_tests_follow_their_schema(path):
    schema = json.loads((ROOT / "api" / "ext-test.schema.json").read_text())
    jsonschema.validate(json.loads(path.read_text()), schema, jsonschema.Draft202012Validator)
