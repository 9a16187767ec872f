"""Tests of check_layers.py: small trees, most of them wrong in one way, and the message each must give."""

import sys
import tempfile
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
from check_layers import Check

GOOD = {
    "src/base/CMakeLists.txt": "bh_room(base LINKS OpenSSL::Crypto)\n",
    "src/base/ids.h": "#include <string>\n",
    "src/protocol/CMakeLists.txt": "bh_room(protocol DEPENDS base)\n",
    "src/protocol/frames.h": '#include "base/ids.h"\n',
    "src/platform/net/CMakeLists.txt": "bh_room(net DEPENDS base)\n",
    "src/platform/net/http.h": "#pragma once\n",
    "src/platform/net/http_server.cpp": '#include <boost/beast/http.hpp>\n#include "platform/net/http.h"\n',
    "src/platform/sql/CMakeLists.txt": "bh_room(sql DEPENDS base)\n",
    "src/platform/sql/database.h": '#include "base/ids.h"\n',
    "src/sandbox/CMakeLists.txt": "bh_room(sandbox DEPENDS base protocol)\n",
    "src/sandbox/engine.h": "#include <wasmtime.h>\n",
    "src/runner/CMakeLists.txt": "bh_room(runner DEPENDS sandbox protocol net)\n",
    "src/runner/loop.cpp": '#include "sandbox/engine.h"\n#include "protocol/frames.h"\n',
    "src/features/access/CMakeLists.txt": "bh_room(access DEPENDS base sql)\n",
    "src/features/access/route.h": '#include "platform/sql/database.h"\n',
    "src/features/jobs/CMakeLists.txt": "bh_room(jobs\n  DEPENDS base access  # for its routes\n)\n",
    "src/features/jobs/relay.cpp": '#include "features/access/route.h"\nTenantScope::for_background_job(t, "x");\n',
    "src/features/jobs/relay_test.cpp": 'TenantScope::for_background_job(t, "x");\n',
    "src/server/CMakeLists.txt": "bh_room(server DEPENDS access jobs)\n",
    "src/server/wiring.cpp": '#include "features/jobs/relay.h"\n',
    "apps/bulkhead/main.cpp": '#include "server/run.h"\n#include "runner/run.h"\n',
    "tools/background_jobs.txt": "# why\nsrc/features/jobs/relay.cpp  # a stored row\n",
}

# What is changed in the good tree, and the error that this must be.
BAD = {
    "base sees the platform": (
        {"src/base/ids.h": '\n#include "platform/net/http.h"\n'},
        'src/base/ids.h:2: base (base) includes "platform/net/http.h" of net (platform), which is a layer above',
    ),
    "the platform sees a feature": (
        {"src/platform/sql/database.h": '#include "features/access/route.h"\n'},
        "which is a layer above",
    ),
    "a feature sees the server": (
        {"src/features/jobs/relay.h": '#include "server/run.h"\n'},
        "which is a layer above",
    ),
    "a feature sees the sandbox": (
        {"src/features/jobs/relay.h": '#include "sandbox/engine.h"\n'},
        "it is linked into runner and compiler only",
    ),
    "a feature sees the runner": (
        {"src/features/jobs/relay.h": '#include "runner/loop.h"\n'},
        "they only share src/protocol",
    ),
    "the runner sees a feature": (
        {"src/runner/loop.cpp": '#include "features/access/route.h"\n'},
        "which is a layer above",
    ),
    "the server is linked with the sandbox": (
        {"src/server/CMakeLists.txt": "bh_room(server DEPENDS access sandbox)\n"},
        "src/server/CMakeLists.txt:1: server depends on sandbox; it is linked into runner and compiler only",
    ),
    "a room that DEPENDS does not name": (
        {"src/features/access/route.h": '#include "features/jobs/relay.h"\n'},
        'access includes "features/jobs/relay.h" but does not name jobs in its DEPENDS',
    ),
    "a room that does not exist": (
        {"src/features/access/CMakeLists.txt": "bh_room(access DEPENDS base sequel)\n"},
        "room access depends on sequel, which is no room",
    ),
    "a room outside the layers": (
        {"src/helpers/CMakeLists.txt": "bh_room(helpers DEPENDS base)\n"},
        "room helpers is in none of the layers",
    ),
    "rooms in a ring": (
        {"src/features/access/CMakeLists.txt": "bh_room(access DEPENDS base sql jobs)\n"},
        "rooms depend in a ring: access → jobs → access",
    ),
    "Beast outside net": (
        {"src/features/access/route.cpp": "#include <boost/beast/http.hpp>\n"},
        "<boost/beast/http.hpp> belongs to net; go through its port",
    ),
    "SQLite outside sql": (
        {"src/features/access/store.cpp": "#include <sqlite3.h>\n"},
        "<sqlite3.h> belongs to sql; go through its port",
    ),
    "a scope out of nothing": (
        {"src/features/access/service.cpp": 'auto s = TenantScope::for_background_job(t, "x");\n'},
        "src/features/access/service.cpp:1: for_background_job outside tools/background_jobs.txt",
    ),
}


class CheckLayersTest(unittest.TestCase):
    def check(self, changes):
        with tempfile.TemporaryDirectory() as folder:
            root = Path(folder).resolve()
            for name, text in {**GOOD, **changes}.items():
                (root / name).parent.mkdir(parents=True, exist_ok=True)
                (root / name).write_text(text, encoding="utf-8")
            check = Check(root)
            check.run()
            return check

    def test_a_good_tree_has_no_errors(self):
        self.assertEqual(self.check({}).errors, [])

    def test_each_wrong_tree_has_its_error_and_no_other(self):
        for name, (changes, message) in BAD.items():
            with self.subTest(name):
                errors = self.check(changes).errors
                self.assertEqual(len(errors), 1, errors)
                self.assertIn(message, errors[0])

    def test_long_files_are_named(self):
        warnings = self.check({"src/base/long.cpp": "int x;\n" * 601}).warnings
        self.assertEqual(warnings, ["src/base/long.cpp:601: over 600 lines; split it"])


if __name__ == "__main__":
    unittest.main()
