"""Where things are. BULKHEAD_BINARY names another build than the release one."""

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
CACHE = Path(os.environ.get("BH_CACHE") or Path.home() / ".cache" / "bulkhead")
RELEASE = ROOT / "build" / "release"
BULKHEAD = Path(os.environ.get("BULKHEAD_BINARY") or ROOT / "build" / "bulkhead").absolute()
GUESTS = RELEASE / "guests"
