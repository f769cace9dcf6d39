"""Seconds to `import selfpab` in a fresh interpreter, beside an empty interpreter and `import torch`."""

import subprocess
import sys

from timing import median_s, report


def fresh(code: str) -> float:
    return median_s(lambda: subprocess.run([sys.executable, "-c", code], check=True), repeat=9)


if __name__ == "__main__":
    codes = ("pass", "import selfpab", "import selfpab; selfpab.Recording", "import torch")
    nothing, ours, recording, torch = map(fresh, codes)
    report(
        "import",
        [
            ("empty interpreter", nothing, "s"),
            ("import selfpab, beyond it", ours - nothing, "s"),
            ("import selfpab; selfpab.Recording (numpy), beyond it", recording - nothing, "s"),
            ("import torch, beyond it", torch - nothing, "s"),
        ],
    )
