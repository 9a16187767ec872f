"""An S3 server that checks signatures: versitygw on a temporary folder."""

import shutil
import subprocess
import tempfile
from pathlib import Path

from harness.paths import CACHE
from harness.waiting import DIES_WITH_US, free_port, listens, wait_until

ACCESS_KEY = "bulkhead-tests"
SECRET_KEY = "a secret of the tests only"


class ObjectStore:
    def __init__(self):
        self.folder = Path(tempfile.mkdtemp(prefix="bulkhead-s3-"))
        self.data = self.folder / "data"
        self.data.mkdir()
        self.port = free_port()
        self.process = None
        self.made = 0
        self.start()

    @property
    def endpoint(self):
        return f"http://127.0.0.1:{self.port}"

    def start(self):
        program = CACHE / "go" / "bin" / "versitygw"
        options = ["-a", ACCESS_KEY, "-s", SECRET_KEY, "-p", f"127.0.0.1:{self.port}", "--keep-alive"]
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [*DIES_WITH_US, program, *options, "posix", self.data], stdout=log, stderr=log
            )
        wait_until(self.ready, what="versitygw")

    def ready(self):
        if self.process.poll() is not None:
            raise AssertionError(f"versitygw ended:\n{(self.folder / 'log').read_text(errors='replace')}")
        return listens(self.port)

    def stop(self):
        """Ends it; `start()` brings it back on the same port with the same data."""
        if self.process and self.process.poll() is None:
            self.process.terminate()
            self.process.wait(30)

    def bucket(self):
        """The name of a new, empty bucket: with this backend, a folder."""
        self.made += 1
        name = f"bucket-{self.made}"
        (self.data / name).mkdir()
        return name

    def settings(self, bucket):
        """The platform's environment for this store."""
        return {
            "BULKHEAD_BLOB_S3_ENDPOINT": self.endpoint,
            "BULKHEAD_BLOB_S3_BUCKET": bucket,
            "BULKHEAD_BLOB_S3_ACCESS_KEY": ACCESS_KEY,
            "BULKHEAD_BLOB_S3_SECRET_KEY": SECRET_KEY,
        }

    def close(self):
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)
