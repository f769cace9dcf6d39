"""One fault at a time is put into a copy of the package, and the test named beside it must go red (make faults).

    python tests/faults.py             # all
    python tests/faults.py "gaps"      # those whose name holds the word

A fault is a piece of text and what takes its place. The piece must be there exactly once: where the code has moved on, this
script says so instead of passing. The same test is run on the unharmed copy first, and must be green there.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

HOME = Path(__file__).parents[1]


@dataclass(frozen=True)
class Fault:
    """Replace `old` by `new` in `file`: `test` must fail."""

    name: str
    file: str
    old: str
    new: str
    test: str


FAULTS = [
    Fault(
        "labels one second late",
        "selfpab/downstream/material.py",
        "indices = activities.indices(recording.labels)",
        "indices = np.roll(activities.indices(recording.labels), 50)",
        "tests/downstream/test_material.py",
    ),
    Fault(
        "back and thigh swapped",
        "selfpab/downstream/cuts.py",
        "return recording.piece(low, high)[rows - low]",
        "return recording.piece(low, high)[rows - low][..., [3, 4, 5, 0, 1, 2]]",
        "tests/downstream/test_states.py",
    ),
    Fault(
        "back and thigh swapped in the corpus",
        "selfpab/data/windows.py",
        "counts[row, at : at + stop - start] = mapped[start:stop]",
        "counts[row, at : at + stop - start] = mapped[start:stop][:, [3, 4, 5, 0, 1, 2]]",
        "tests/data/test_windows.py",
    ),
    Fault(
        "gaps joined in the signal",
        "selfpab/downstream/cuts.py",
        "return [frame_starts(run, **sizes) for run in recording.runs()]",
        "from selfpab.downstream.release import without_gaps\n"
        "    return [frame_starts(run, **sizes) for run in without_gaps(recording).runs()]",
        "tests/downstream/test_states.py",
    ),
    Fault(
        "no normalisation",
        "selfpab/features/normalisation.py",
        "return (spectra - mean) / std",
        "return spectra + 0 * mean / std",
        "tests/downstream/test_states.py",
    ),
    Fault(
        "loss on unmasked parts",
        "selfpab/upstream/masking.py",
        ".abs().masked_fill(~mask, 0.0).sum((1, 2))",
        ".abs().sum((1, 2))",
        "tests/parity/test_upstream.py",
    ),
    Fault(
        "layer weights without gradient",
        "selfpab/downstream/head.py",
        "self.layer_weights.to(states.dtype)",
        "self.layer_weights.detach().to(states.dtype)",
        "tests/downstream/test_head.py",
    ),
    Fault(
        "encoder not loaded",
        "selfpab/downstream/classifier.py",
        "encoder = copy.deepcopy(upstream.encoder)",
        "encoder = Encoder(features, **asdict(shape))",
        "tests/test_methods.py",
    ),
    Fault(
        "encoder never thawed",
        "selfpab/downstream/finetuning.py",
        'optimizer.add_param_group({"params": network.encoder.parameters()})',
        "pass",
        "tests/downstream/test_finetuning.py",
    ),
    Fault(
        "test subject in training",
        "selfpab/evaluation/loso.py",
        "[recording for recording in [*recordings, *train_with] if recording.subject != subject]",
        "list(recordings)",
        "tests/evaluation/test_loso.py",
    ),
    Fault(
        "another normalisation than the encoder's",
        "selfpab/downstream/classifier.py",
        "return self.upstream.normalisation",
        "return Normalisation(self.upstream.normalisation.mean + 1, self.upstream.normalisation.std)",
        "tests/test_methods.py",
    ),
]


def main(words: list[str]) -> int:
    """Exit code: 0 if every fault was caught."""
    chosen = [fault for fault in FAULTS if not words or any(word in fault.name for word in words)]
    missed = []
    with tempfile.TemporaryDirectory() as scratch:
        copy = Path(scratch) / "copy"
        copy.mkdir()
        for name in ("selfpab", "tests", "pyproject.toml", "README.md"):
            whole = HOME / name
            (shutil.copytree if whole.is_dir() else shutil.copy)(whole, copy / name)
        green: set[str] = set()
        for fault in chosen:
            path = copy / fault.file
            text = path.read_text()
            if text.count(fault.old) != 1:
                missed.append(f"{fault.name}: {fault.file} has {text.count(fault.old)} times {fault.old!r}")
                continue
            if fault.test not in green and tests_pass(copy, fault.test) is not True:
                missed.append(f"{fault.name}: {fault.test} is red without the fault")
                continue
            green.add(fault.test)
            path.write_text(text.replace(fault.old, fault.new))
            caught = not tests_pass(copy, fault.test)
            path.write_text(text)
            print(f"{'caught' if caught else 'MISSED'}  {fault.name}  ({fault.test})", flush=True)
            if not caught:
                missed.append(f"{fault.name}: {fault.test} stays green")
    for line in missed:
        print(line, file=sys.stderr)
    print(f"{len(chosen) - len(missed)} of {len(chosen)} faults caught")
    return 1 if missed or not chosen else 0


def tests_pass(folder: Path, test: str) -> bool:
    """Are the tests of this file green, with the package of this folder?"""
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", test]
    environment = {**os.environ, "PYTHONPATH": str(folder)}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    if done.returncode not in (0, 1):  # 1: tests failed; anything else is no answer
        raise RuntimeError(f"{' '.join(command)} in {folder}:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    return done.returncode == 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
