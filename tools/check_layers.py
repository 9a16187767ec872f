#!/usr/bin/env python3
"""Proves the layers of ARCHITECTURE.md: an #include may only point down.

Rooms and their dependencies are read from the CMakeLists.txt files (bh_room calls), includes from the sources. What is
checked, and why:
  layer       an include of a layer above
  depends     an include of a room of the same layer that bh_room's DEPENDS does not name
  sandbox     the Wasmtime embedding is linked into runner and compiler only: nobody else includes or depends on it
  confined    headers of some libraries stay in one room, behind its port
  background  TenantScope::for_background_job is called only where tools/background_jobs.txt allows it
  cycle       rooms that depend on each other in a ring
Files over 600 lines are named as warnings. Exit code 1 if anything is wrong. Standard library only.
"""

import argparse
import re
import sys
from pathlib import Path

# From the lowest up. A platform room is found by its folder, a feature room likewise.
LAYERS = ("base", "protocol", "platform", "sandbox", "runner", "features", "server", "cli", "apps")
# The runner never sees the features (it has no database), whatever their height.
FORBIDDEN = {("features", "sandbox"), ("features", "runner"), ("server", "sandbox"), ("server", "runner")}
SANDBOX_USERS = {"sandbox", "runner", "compiler"}
# Header prefix → rooms that may include it. Everybody else goes through the room's port.
CONFINED = {
    "boost/beast": {"net"},
    "curl/": {"net"},
    "date/": {"schedules"},
    "hiredis/": {"bus"},
    "libpq-fe.h": {"sql"},
    "nats/": {"bus"},
    "spdlog/": {"observe"},
    "sqlite3.h": {"sql"},
    "bulkhead_native.h": {"sandbox", "schema"},
    "wasmtime": {"sandbox"},
    "wasm.h": {"sandbox"},
}
MAX_LINES = 600
SOURCES = (".h", ".cpp")
INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]')
ROOM = re.compile(r"bh_room\(\s*(\w+)([^)]*)\)")
KEYWORDS = {"DEPENDS", "LINKS", "TEST_LINKS"}


class Room:
    """A folder of sources: its name, its layer, the rooms it says it depends on."""

    def __init__(self, name, layer, folder, depends, line):
        self.name, self.layer, self.folder, self.depends, self.line = name, layer, folder, depends, line


def layer_of(path):
    """The layer of a path below src/ or of an include such as "platform/sql/database.h"; None for other headers."""
    first = Path(path).parts[0]
    if first == "compiler":
        first = "runner"  # the compiler stands where the runner stands
    return first if first in LAYERS else None


def room_of(path):
    """The room's name in an include: base/x.h → base, platform/sql/x.h → sql."""
    parts = Path(path).parts
    return parts[1] if parts[0] in ("platform", "features") and len(parts) > 2 else parts[0]


def read_depends(text):
    depends, keyword = set(), None
    for word in text.split():
        if word in KEYWORDS:
            keyword = word
        elif keyword == "DEPENDS":
            depends.add(word)
    return depends


def find_rooms(root):
    rooms = {}
    for file in sorted((root / "src").rglob("CMakeLists.txt")):
        text = re.sub(r"#.*", "", file.read_text(encoding="utf-8"))
        for match in ROOM.finditer(text):
            folder = file.parent
            line = text.count("\n", 0, match.start()) + 1
            layer = layer_of(folder.relative_to(root / "src")) or "unknown"
            rooms[match[1]] = Room(match[1], layer, folder, read_depends(match[2]), line)
    return rooms


class Check:
    def __init__(self, root):
        self.root = root
        self.rooms = find_rooms(root)
        self.errors = []
        self.warnings = []

    def error(self, path, line, message):
        self.errors.append(f"{path.relative_to(self.root)}:{line}: {message}")

    def run(self):
        for room in self.rooms.values():
            self.check_depends(room)
        self.check_cycles()
        allowed = self.read_allowlist()
        for folder in ("src", "apps"):
            for path in sorted((self.root / folder).rglob("*")):
                if path.suffix in SOURCES:
                    self.check_file(path, allowed)

    def check_depends(self, room):
        path = room.folder / "CMakeLists.txt"
        if room.layer == "unknown":
            self.error(path, room.line, f"room {room.name} is in none of the layers {', '.join(LAYERS)}")
            return
        for name in sorted(room.depends):
            other = self.rooms.get(name)
            if other is None:
                self.error(path, room.line, f"room {room.name} depends on {name}, which is no room")
            elif other.layer in LAYERS:
                self.check_direction(path, room.line, room.name, room.layer, other.name, other.layer, "depends on")

    def check_direction(self, path, line, name, layer, other_name, other_layer, verb):
        if other_layer == "sandbox" and name not in SANDBOX_USERS and layer != "apps":
            self.error(path, line, f"{name} {verb} sandbox; it is linked into runner and compiler only")
        elif LAYERS.index(other_layer) > LAYERS.index(layer):
            self.error(path, line, f"{name} ({layer}) {verb} {other_name} ({other_layer}), which is a layer above")
        elif (layer, other_layer) in FORBIDDEN:
            self.error(
                path, line, f"{name} ({layer}) {verb} {other_name} ({other_layer}); they only share src/protocol"
            )

    def check_cycles(self):
        done, trail = set(), []

        def visit(name):
            if name in trail:
                ring = [*trail[trail.index(name) :], name]
                room = self.rooms[name]
                self.error(room.folder / "CMakeLists.txt", room.line, "rooms depend in a ring: " + " → ".join(ring))
                return
            if name in done or name not in self.rooms:
                return
            trail.append(name)
            for other in sorted(self.rooms[name].depends):
                visit(other)
            trail.pop()
            done.add(name)

        for name in sorted(self.rooms):
            visit(name)

    def read_allowlist(self):
        """Paths that may call for_background_job, one per line with the reason behind #."""
        file = self.root / "tools" / "background_jobs.txt"
        if not file.exists():
            return set()
        lines = (re.sub(r"#.*", "", line).strip() for line in file.read_text(encoding="utf-8").splitlines())
        return {line for line in lines if line}

    def check_file(self, path, allowed):
        relative = path.relative_to(self.root)
        inside = Path(*relative.parts[1:]) if relative.parts[0] == "src" else relative
        layer = layer_of(inside)
        lines = path.read_text(encoding="utf-8").splitlines()
        if len(lines) > MAX_LINES:
            self.warnings.append(f"{relative}:{len(lines)}: over {MAX_LINES} lines; split it")
        if layer is None:
            return  # src/precompiled.h: third-party headers only
        name = room_of(inside)
        for number, line in enumerate(lines, 1):
            match = INCLUDE.match(line)
            if match:
                self.check_include(path, number, name, layer, match[1], match[2])
            elif "TenantScope::for_background_job(" in line and not self.is_test(path) and str(relative) not in allowed:
                self.error(path, number, "for_background_job outside tools/background_jobs.txt: use authorize's scope")

    @staticmethod
    def is_test(path):
        return re.search(r"_(test|bench|fuzz)\.cpp$|/testing/|_testing\.(h|cpp)$", str(path)) is not None

    def check_include(self, path, line, name, layer, quote, header):
        for prefix, owners in CONFINED.items():
            if header.startswith(prefix) and name not in owners:
                self.error(path, line, f"<{header}> belongs to {', '.join(sorted(owners))}; go through its port")
        other_layer = layer_of(header) if quote == '"' else None
        if other_layer is None or (name, layer) == (room_of(header), other_layer):
            return
        other = room_of(header)
        self.check_direction(path, line, name, layer, other, other_layer, f'includes "{header}" of')
        room = self.rooms.get(name)
        if room and layer == other_layer and other in self.rooms and other not in room.depends:
            self.error(path, line, f'{name} includes "{header}" but does not name {other} in its DEPENDS')


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("root", nargs="?", type=Path, default=Path(__file__).resolve().parent.parent)
    check = Check(parser.parse_args().root.resolve())
    check.run()
    for warning in check.warnings:
        print(f"warning: {warning}", file=sys.stderr)
    for error in check.errors:
        print(error, file=sys.stderr)
    print(f"layers: {len(check.rooms)} rooms, {len(check.errors)} errors, {len(check.warnings)} warnings")
    return 1 if check.errors else 0


if __name__ == "__main__":
    sys.exit(main())
