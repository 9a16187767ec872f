#!/usr/bin/env python3
"""Writes the guest libraries' reference from what is true anyway: api/abi/*.json and the comments in the sources.

  docs/sdk/rust.md, docs/sdk/assemblyscript.md, docs/sdk/c.md   the host calls and every public declaration
  sdk/assemblyscript/abi.d.ts                                   TypeScript types of every request and response

`--check` writes nothing and fails where a file is not up to date. Standard library only.
"""

import argparse
import json
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
ABI = ROOT / "api" / "abi"
RUST = ROOT / "sdk" / "rust" / "src"
ASSEMBLYSCRIPT = ROOT / "sdk" / "assemblyscript"
NOTE = "<!-- Made by tools/sdk_reference.py: run it after changing api/abi/ or the library. -->\n\n"


def calls():
    """The schemas of all host calls, by name; the handler's is not among them."""
    documents = [json.loads(path.read_text()) for path in sorted(ABI.glob("*.json"))]
    return [document for document in documents if document["title"] != "handler"]


# --- JSON Schema in words --------------------------------------------------------------------------------------------


def type_words(schema):
    if "enum" in schema:
        return " \\| ".join(f"`{json.dumps(value)}`" for value in schema["enum"])
    if "oneOf" in schema:
        return " or ".join(type_words(option) for option in schema["oneOf"])
    kind = schema.get("type", "any JSON")
    if kind == "array":
        return "list of " + type_words(schema.get("items", {}))
    if kind == "object" and schema.get("properties"):
        return "{" + ", ".join(f"`{name}`" for name in schema["properties"]) + "}"
    return kind


def limits(schema):
    names = {"minimum": "at least", "maximum": "at most", "maxLength": "at most", "maxItems": "at most"}
    units = {"maxLength": " characters", "maxItems": " items"}
    found = [f"{words} {schema[name]}{units.get(name, '')}" for name, words in names.items() if name in schema]
    if "pattern" in schema:
        found.append(f"`{schema['pattern'].replace('|', chr(92) + '|')}`")
    if "default" in schema:
        found.append(f"default `{json.dumps(schema['default'])}`")
    return found


def fields(schema):
    """Lines of a list of an object's members; of a choice of objects the members of each."""
    if "oneOf" in schema:
        return [line for option in schema["oneOf"] for line in fields(option)]
    lines = []
    for name, member in schema.get("properties", {}).items():
        needed = "" if name in schema.get("required", []) else "?"
        words = [type_words(member), *([member["description"]] if "description" in member else []), *limits(member)]
        lines.append(f"  - `{name}{needed}`: {'; '.join(words)}")
    return lines


def call_section(document):
    lines = [f"### `{document['title']}`", "", document["description"], ""]
    if "x-capability" in document:
        lines.append(f"- Capability: `{document['x-capability']}`")
    for part in ("request", "response"):
        members = fields(document["$defs"][part])
        if members:
            lines += [f"- {part.capitalize()}:", *members]
    if document["x-codes"]:
        lines.append("- Refusals: " + "; ".join(f"{code} {words}" for code, words in document["x-codes"].items()))
    return "\n".join(lines) + "\n"


def host_calls():
    return "## Host calls\n\n" + "\n".join(call_section(document) for document in calls())


# --- declarations and their comments ---------------------------------------------------------------------------------


def rust_declarations(module):
    """[signature, text] of everything public in a module; fields and variants are a list in their type's text."""
    text = (RUST / f"{module}.rs").read_text().split("#[cfg(test)]")[0]
    owner, comment, found, signature, members = "", [], [], "", False
    for line in text.splitlines():
        bare = line.strip()
        if signature:
            signature += " " + bare
        elif bare.startswith("///"):
            comment.append(bare[3:].removeprefix(" "))
            continue
        elif match := re.match(r"impl(?:<[^>]*>)? (\w+)", line):
            owner = match[1] if " for " not in line else ""
        elif line.startswith("}"):
            owner, members = "", False
        elif members:
            match = re.match(r"    (?:pub )?(\w+)(?:: (.*),|,|\(.*\),| \{)$", line)
            if comment and match:
                name = match[1] + (f": {match[2]}" if match[2] else "")
                found[-1][1] += f"\n- `{name}`: {without_hidden_lines(' '.join(comment))}"
            if not bare.startswith("#["):
                comment = []
            continue
        elif re.match(r"\s*pub (?:fn|struct|enum|trait)|macro_rules!", line):
            signature = bare
        if signature and (signature.endswith(("{", ";", "}")) or signature.startswith("macro_rules")):
            clean = re.sub(r"\s*(?:where .*)?[{;]\s*$", "", signature).replace("( ", "(").replace(", )", ")")
            clean = clean.removeprefix("pub ").split("(pub(crate)")[0]
            if owner:
                clean = clean.replace("fn ", f"fn {owner}::", 1)
            if comment:
                found.append([clean, without_hidden_lines("\n".join(comment))])
                members = clean.startswith(("struct", "enum")) and signature.endswith("{")
                found[-1][1] += "\n" if members else ""
            comment, signature = [], ""
        elif not signature and bare and not bare.startswith(("#[", "//")):
            comment = []
    return found


def module_comment(path, prefix):
    lines = []
    for line in path.read_text().splitlines():
        if not line.startswith(prefix):
            break
        lines.append(line[len(prefix) :].removeprefix(" "))
    return "\n".join(line for line in lines if not line.startswith("SPDX"))


def without_hidden_lines(text):
    """Rust's documentation examples hide lines that begin with "# ", and code blocks without a language are Rust."""
    lines, inside = [], False
    for line in text.splitlines():
        if line.startswith("```"):
            line = line if inside or line not in ("```", "```no_run") else "```rust"
            inside = not inside
        elif inside and (line == "#" or line.startswith("# ")):
            continue
        lines.append(line)
    return re.sub(r"\[`([^`\]]+)`\](?:\([^)]*\))?", r"`\1`", "\n".join(lines))


def rust():
    parts = [NOTE + "# Rust: `bulkhead-extension`\n\n"]
    modules = re.findall(r"^(?:pub )?mod (?!abi|base64)(\w+);", (RUST / "lib.rs").read_text(), re.MULTILINE)
    for module in ["lib", *modules]:
        path = RUST / f"{module}.rs"
        parts.append(f"## {'The crate' if module == 'lib' else f'`{module}`'}\n\n")
        if comment := without_hidden_lines(module_comment(path, "//!")):
            parts.append(comment.replace("\n# ", "\n### ") + "\n\n")
        for signature, text in rust_declarations(module):
            parts.append(f"```rust\n{signature}\n```\n\n{text}\n\n")
    return "".join(parts) + host_calls()


def assemblyscript():
    parts = [NOTE + "# AssemblyScript: `@bulkhead/assemblyscript`\n\n"]
    comment = r"(?:^[ \t]*/\*\*(?P<comment>(?:(?!\*/).)*)\*/\n)?"
    signature = r"(?:(?:export )?(?:function|class|namespace|enum|const) \w+|(?:static |get )?\w+\()[^\n]*"
    declaration = re.compile(rf"{comment}^(?P<indent>[ ]*)(?P<signature>{signature})", re.MULTILINE | re.DOTALL)
    for name in re.findall(r'"\./assembly/(\w+)"', (ASSEMBLYSCRIPT / "index.ts").read_text()):
        text = (ASSEMBLYSCRIPT / "assembly" / f"{name}.ts").read_text()
        public = []
        owner_is_public = False
        for match in declaration.finditer(text):
            indent, signature = len(match["indent"]), match["signature"]
            if indent == 0:
                owner_is_public = signature.startswith("export")
            is_member = indent == 2 and re.match(r"export |static |get |\w+\([^)]*\)?.*(?:\{|,|\()$", signature)
            keyword = re.match(r"(?:if|for|while|switch|return|call|store|assert|super|constructor)\b", signature)
            if (indent == 0 and not owner_is_public) or (indent == 2 and (not owner_is_public or not is_member)):
                continue
            if indent > 2 or keyword or "private" in signature:
                continue
            end = text.find("{", match.start("signature"))
            whole = text[match.start("signature") : end] if end > 0 else signature
            whole = " ".join(whole.split()).removeprefix("export ").replace("( ", "(").replace(", )", ")")
            if whole.startswith("const"):
                whole = signature.removeprefix("export ")
            words = " ".join(re.sub(r"^\s*\* ?", "", line) for line in (match["comment"] or "").splitlines()).strip()
            public.append("  " * (indent // 2) + f"- `{whole.strip()}`" + (f": {words}" if words else ""))
        if public:
            parts.append(f"## {name}\n\n" + "\n".join(public) + "\n\n")
    return "".join(parts) + host_calls()


def c():
    text = (ROOT / "sdk" / "c" / "bulkhead.h").read_text()
    intro = "\n".join(line.removeprefix("//").removeprefix(" ") for line in text.splitlines() if line.startswith("//"))
    intro = intro.split("SPDX")[0]
    parts = [NOTE + "# C: `bulkhead.h`\n\n"]
    parts.append(re.sub(r"((?:^  .*\n)+)", r"```c\n\1```\n", intro, flags=re.MULTILINE) + "\n")
    for section in re.split(r"^// ---- ", text, flags=re.MULTILINE)[1:]:
        title, _, body = section.partition("\n")
        body = body.split("#ifdef BULKHEAD_IMPLEMENTATION")[0].strip()
        parts.append(f"## {title[0].upper()}{title[1:].rstrip(' -')}\n\n```c\n{body}\n```\n\n")
    return "".join(parts) + host_calls()


# --- TypeScript ------------------------------------------------------------------------------------------------------


def typescript_type(schema, indent="  "):
    if "enum" in schema:
        return " | ".join(json.dumps(value) for value in schema["enum"])
    if "oneOf" in schema and "properties" not in schema:
        return " | ".join(typescript_type(option, indent) for option in schema["oneOf"])
    kind = schema.get("type")
    if kind == "array":
        item = typescript_type(schema.get("items", {}), indent)
        return f"({item})[]" if " " in item else f"{item}[]"
    if kind == "object" and schema.get("properties"):
        lines = ["{"]
        for name, member in schema["properties"].items():
            if "description" in member:
                lines.append(f"{indent}/** {member['description']} */")
            needed = "" if name in schema.get("required", []) else "?"
            lines.append(f"{indent}{name}{needed}: {typescript_type(member, indent + '  ')};")
        return "\n".join([*lines, indent[2:] + "}"])
    if kind == "object":
        more = schema.get("additionalProperties")
        if more is False:
            return "Record<string, never>"
        return f"Record<string, {typescript_type(more, indent) if isinstance(more, dict) else 'unknown'}>"
    return {"string": "string", "integer": "number", "number": "number", "boolean": "boolean", "null": "null"}.get(
        kind, "unknown"
    )


def pascal(name):
    return "".join(part.capitalize() for part in re.split(r"[._]", name))


def typescript():
    handler = json.loads((ABI / "handler.json").read_text())
    parts = [
        "// Made by tools/sdk_reference.py from api/abi/*.json. Types of the guest ABI's JSON, for tests and tools.\n"
    ]
    for document in [handler, *(one for one in calls() if not one["title"].startswith("log_"))]:
        for part in ("request", "response"):
            name = pascal(document["title"]) + part.capitalize()
            parts.append(f"\n/** {document['description']} */\n" if part == "request" else "\n")
            parts.append(f"export type {name} = {typescript_type(document['$defs'][part])};\n")
    parts.append("\n/** Every host call by its name. */\nexport interface HostCalls {\n")
    for document in calls():
        title = document["title"]
        if title.startswith("log_"):
            continue
        parts.append(f'  "{title}": {{ request: {pascal(title)}Request; response: {pascal(title)}Response }};\n')
    return "".join(parts) + "}\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="fail where a file is not up to date")
    check = parser.parse_args().check
    stale = []
    for path, make in {
        "docs/sdk/rust.md": rust,
        "docs/sdk/assemblyscript.md": assemblyscript,
        "docs/sdk/c.md": c,
        "sdk/assemblyscript/abi.d.ts": typescript,
    }.items():
        file, text = ROOT / path, re.sub(r"\n{3,}", "\n\n", make()).rstrip() + "\n"
        if check and (not file.exists() or file.read_text() != text):
            stale.append(path)
        if not check:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
    for path in stale:
        print(f"{path} is not up to date: run tools/sdk_reference.py", file=sys.stderr)
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main())
