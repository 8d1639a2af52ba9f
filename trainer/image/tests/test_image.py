"""What an image must be able to do before a job uses it: train, be evicted, resume, export. No network, one core, 1 GiB."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path
from typing import Any, override

CONFIG = 'base = "QUICKTEST"\nepochs = 2\nthreads = 1\nsave_every_steps = 20\n'


class ImageTest(unittest.TestCase):
    """In a folder of its own, as the user that the image runs as."""

    @override
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        (self.folder / "config.toml").write_text(CONFIG)

    def start(self) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "trainer", "--config", str(self.folder / "config.toml"),
                   "--workdir", str(self.folder / "run")]  # fmt: skip
        environment = os.environ | {"TRAINER_METADATA_URL": "off"}
        return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)

    def test_a_run_is_evicted_resumes_and_exports_a_whole_model(self) -> None:
        process = self.start()
        assert process.stdout is not None
        for line in process.stdout:
            if json.loads(line)["event"] == "progress":
                process.send_signal(signal.SIGTERM)
                break
        process.stdout.read()
        process.stdout.close()
        self.assertEqual(process.wait(120), 75, "SIGTERM must end in the status that means: resume me")

        process = self.start()
        output, _ = process.communicate(timeout=240)
        told: list[dict[str, Any]] = [json.loads(line) for line in output.splitlines()]
        self.assertEqual(process.returncode, 0, told[-1])
        self.assertEqual((told[0]["event"], told[0]["exact"]), ("resumed", "yes"))

        from trainer.manifest import verify

        manifest = verify(self.folder / "run" / "export")
        self.assertGreater(manifest["metrics"]["test_accuracy"], 0.5)

    def test_the_image_does_not_run_as_root(self) -> None:
        if os.environ.get("TRAINER_REVISION") is None:
            self.skipTest("not in the image")
        self.assertNotEqual(os.getuid(), 0)


if __name__ == "__main__":
    unittest.main()
