"""Extensions for tests: made of a test guest (test/guests) or of a built folder (examples/, test/extensions/)."""

import json
import secrets
import shutil
import subprocess
from pathlib import Path

from harness.paths import BULKHEAD, GUESTS

ALL_METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")


class Extension:
    """A folder that can be packed and signed. Change `manifest` or `folder` before `bundle()`."""

    def __init__(self, folder, manifest):
        self.folder = Path(folder)
        self.manifest = manifest

    @classmethod
    def of_guest(cls, folder, guest, name=None, version="1.0.0", capabilities=(), **manifest):
        """An extension whose module is test/guests/GUEST.c and whose endpoints are every method of / and /:rest."""
        folder = Path(folder) / secrets.token_hex(4)
        (folder / "dist").mkdir(parents=True)
        shutil.copy(GUESTS / f"{guest}.wasm", folder / "dist" / "main.wasm")
        endpoints = [
            {"method": method, "path": path, "handler": "handle"} for method in ALL_METHODS for path in ("/", "/:rest")
        ]
        return cls(
            folder,
            {
                "name": name or f"com.example.{guest.replace('_', '-')}-{secrets.token_hex(3)}",
                "publisher": "Tests",
                "version": version,
                "runtime": "wasm-core@1",
                "entry": "dist/main.wasm",
                "capabilities": list(capabilities),
                "api": {"endpoints": endpoints},
                **manifest,
            },
        )

    @classmethod
    def of_folder(cls, source, folder):
        """A copy of a folder with a build.sh, built in place."""
        subprocess.run([Path(source) / "build.sh"], check=True, stdout=subprocess.DEVNULL)
        copy = Path(folder) / secrets.token_hex(4)
        copy.mkdir(parents=True)
        shutil.copytree(Path(source) / "dist", copy / "dist")
        return cls(copy, json.loads((Path(source) / "manifest.json").read_text()))

    @property
    def name(self):
        return self.manifest["name"]

    @property
    def version(self):
        return self.manifest["version"]

    def with_version(self, version):
        self.manifest["version"] = version
        return self

    def pack(self):
        """The path of the unsigned bundle."""
        (self.folder / "manifest.json").write_text(json.dumps(self.manifest), encoding="utf-8")
        bundle = self.folder.with_suffix(".tar.zst")
        subprocess.run([BULKHEAD, "ext", "pack", self.folder, "-o", bundle], check=True, stdout=subprocess.DEVNULL)
        return bundle

    def bundle(self, key, chain=None):
        """The path of the bundle, signed with `key`, whose certificates are in `chain` where there are any."""
        bundle = self.pack()
        certificates = ["--chain", chain] if chain else []
        command = [BULKHEAD, "ext", "sign", bundle, "--key", key, *certificates]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        return bundle
