"""Where things are."""

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
CACHE = Path(os.environ.get("BH_CACHE") or Path.home() / ".cache" / "bulkhead")
RELEASE = ROOT / "build" / "release"
BULKHEAD = ROOT / "build" / "bulkhead"
GUESTS = RELEASE / "guests"
