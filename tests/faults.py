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
    """Replace `old` by `new` in `file`: `test`, or of that file only `part`, must fail."""

    name: str
    file: str
    old: str
    new: str
    test: str
    part: str = ""  # a test or class of it, where the whole file takes long

    @property
    def selected(self) -> str:
        """What pytest is called with."""
        return "::".join(filter(None, (self.test, self.part)))


FAULTS = [
    Fault(
        "a sensor that was taken off listened to beside the one that was worn",
        "selfpab/sensors.py",
        "(here[NON_WEAR][number] or here[NON_WEAR_OF[s]][number])",
        "here[NON_WEAR][number]",
        "tests/test_sensors.py",
    ),
    Fault(
        "one sensor alone read on the axes of the other",
        "selfpab/downstream/waveform.py",
        "AXES[sensor]",
        "AXES[{'back': 'thigh', 'thigh': 'back'}[sensor]]",
        "tests/downstream/test_waveform.py",
    ),
    Fault(
        "what one sensor alone tells believed as much as both",
        "selfpab/inference/seconds.py",
        "source = told[seconds][here]",
        "source = np.zeros_like(told[seconds][here])",
        "tests/inference/test_seconds.py",
    ),
    Fault(
        "the sensor scored alone not the one that it is called",
        "selfpab/evaluation/loso.py",
        "if sensor not in (None, other)",
        "if sensor in (None, other) and sensor",
        "tests/downstream/test_single_sensor.py",
        "test_a_fold_is_also_scored_on_each_sensor_alone",
    ),
    Fault(
        "what lies behind the end seen by convolutions",
        "selfpab/downstream/waveform.py",
        "samples[rows, :count]).to",
        "samples[rows])[:, :count].to",
        "tests/downstream/test_waveform.py",
    ),
    Fault(
        "the first half of a frame taken for its middle",
        "selfpab/downstream/frame_inputs.py",
        "first = (pieces.shape[1] - self.samples) // 2",
        "first = 0",
        "tests/downstream/test_frame_inputs.py",
    ),
    Fault(
        "rare classes learnt as often as they were drawn",
        "selfpab/downstream/balance.py",
        "return logits + self.correction.to(logits.device)",
        "return logits",
        "tests/downstream/test_balance.py",
    ),
    Fault(
        "padding counted as seconds around a frame",
        "selfpab/downstream/context.py",
        "if valid is None else valid.sum(1, keepdim=True)",
        "if valid is None else torch.full_like(places[:, :1], frames)",
        "tests/downstream/test_context.py",
    ),
    Fault(
        "what stands beside the encoder left out of predictions",
        "selfpab/downstream/passes.py",
        "head.beside(own, self.bare[places], self._valid(places))[: len(part)]",
        "own[: len(part)]",
        "tests/downstream/test_context.py",
    ),
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
        "samples = recording.piece(low, high)",
        "samples = np.ascontiguousarray(recording.piece(low, high)[:, [3, 4, 5, 0, 1, 2]])",
        "tests/downstream/test_states.py",
    ),
    Fault(
        "frames that reach over a gap",
        "selfpab/downstream/cuts.py",
        "if (starts + frame_samples <= stops).all():",
        "if high - low >= frame_samples:",
        "tests/downstream/test_states.py",
    ),
    Fault(
        "threads' results out of order",
        "selfpab/core_threads.py",
        "waiting.popleft().result()",
        "waiting.pop().result()",
        "tests/test_core_threads.py",
    ),
    Fault(
        "no ReLU in packed products",
        "selfpab/upstream/packed_products.py",
        'return self._product(values, "relu")',
        'return self._product(values, "none")',
        "tests/upstream/test_packed_products.py",
    ),
    Fault(
        "no room kept for a second at the rim of a block",
        "selfpab/inference/seconds.py",
        "stop += same",
        "stop += 0 * same",
        "tests/inference/test_seconds.py",
    ),
    Fault(
        "never a second look",
        "selfpab/downstream/passes.py",
        "return before[places + counts] > before[places]",
        "return before[places + counts] < before[places]",
        "tests/downstream/test_passes.py",
    ),
    Fault(
        "back and thigh swapped in the corpus",
        "selfpab/data/windows.py",
        "counts[row, at:] = 0",
        "counts[row, at:] = 0; counts[row] = counts[row][:, [3, 4, 5, 0, 1, 2]]",
        "tests/data/test_windows.py",
    ),
    Fault(
        "gaps joined in the signal",
        "selfpab/downstream/cuts.py",
        "runs = recording.runs() if segments is None else",
        "from selfpab.downstream.release import without_gaps\n"
        "    runs = without_gaps(recording).runs() if segments is None else",
        "tests/downstream/test_states.py",
    ),
    Fault(
        "no normalisation",
        "selfpab/features/normalisation.py",
        "return (spectra - mean) / torch.from_numpy(self._divisor()).to(spectra)",
        "return spectra + 0 * mean",
        "tests/downstream/test_states.py",
    ),
    Fault(
        "no normalisation in pre-training",
        "selfpab/features/normalisation.py",
        "return torch.from_numpy(1 / std).float().to(device), torch.from_numpy(-self.mean / std).float().to(device)",
        "return torch.ones(len(std)).to(device), torch.zeros(len(std)).to(device)",
        "tests/upstream/test_batches.py",
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
    Fault(
        "a device's clock runs on through a gap",
        "selfpab/devices/clock.py",
        "return np.where((line >= 0) & (found < self.ends[line]), found, np.nan)",
        "return np.where(line >= 0, found, np.nan)",
        "tests/devices/test_clock.py",
        "TestRuns",
    ),
    Fault(
        "a night on a table outvotes the day",
        "selfpab/devices/calibration.py",
        "weights = 1 / counts[inverse.reshape(-1)]",
        "weights = np.ones(len(means_g))",
        "tests/devices/test_calibration.py",
        "test_a_night_on_a_table_does_not_outvote_the_rest",
    ),
    Fault(
        "the filter looks across a gap",
        "selfpab/devices/resampling.py",
        "wanted[begin:end], (run.first, run.stop))",
        "wanted[begin:end], (runs[0].first, runs[-1].stop))",
        "tests/devices/test_resampling.py",
        "TestGaps",
    ),
    Fault(
        "two people synchronised",
        "selfpab/devices/synchronisation.py",
        "if best.chance < ACCEPTED:",
        "if best.chance < 1:",
        "tests/devices/test_synchronisation.py",
        "TestStrangers",
    ),
    Fault(
        "wrong lags pull at the drift",
        "selfpab/devices/drift_lines.py",
        "return np.clip(1 - (rest / (4.685 * scale)) ** 2, 0, None) ** 2",
        "return np.ones_like(rest)",
        "tests/devices/test_drift_lines.py",
        "TestFit",
    ),
    Fault(
        "the drift between the clocks left out",
        "selfpab/data/device_pairs.py",
        '_thigh_ns(alignment, times_ns) if sensor == "thigh" else times_ns,',
        'times_ns + int(alignment.offset_ns[0]) if sensor == "thigh" else times_ns,',
        "tests/data/test_device_pairs.py",
        "TestOneClock::test_both_sensors_at_the_same_true_times",
    ),
    Fault(
        "a turn repaired the wrong way round",
        "selfpab/data/placement.py",
        "(wear.turn.matrix().T for wear in",
        "(wear.turn.matrix() for wear in",
        "tests/data/test_placement.py",
        "test_an_angle_is_turned_back",
    ),
    Fault(
        "a quiet sleeper taken for a table",
        "selfpab/data/wear.py",
        "lifeless = life < LIFE",
        "lifeless = True",
        "tests/data/test_wear.py",
        "test_breath_tells_the_quietest_sleeper_from_a_table",
    ),
    Fault(
        "the clock taken to have been set at the start",
        "selfpab/data/zones.py",
        "start if configured_at is None else _moment(configured_at, path)",
        "start",
        "tests/data/test_zones.py",
        "test_a_clock_set_in_winter_is_an_hour_behind_in_summer_and_the_other_way_round",
    ),
    Fault(
        "back and thigh swapped in a pair of files",
        "selfpab/data/sources.py",
        'sides["back"][0], sides["thigh"][0], subject)',
        'sides["thigh"][0], sides["back"][0], subject)',
        "tests/data/test_sources.py",
        "test_words_for_the_places_tell_a_pair",
    ),
    Fault(
        "the first second of a day forgets the one before",
        "selfpab/inference/days.py",
        "before = min(rows.start, 1)",
        "before = 0",
        "tests/inference/test_days.py",
        "test_what_happens_around_midnight_counts_on_one_day",
    ),
    Fault(
        "seconds of a long gap left out",
        "selfpab/inference/seconds.py",
        "for begin in empty:",
        "for begin in ():",
        "tests/inference/test_seconds.py",
        "test_a_table_in_pieces_is_the_same",
    ),
    Fault(
        "a bout cut in two where a table is",
        "selfpab/inference/seconds.py",
        "cut = len(worth) if decision is None else last_cut(worth[: len(worth) - around], decision)",
        "cut = len(worth)",
        "tests/inference/test_seconds.py",
        "test_a_bout_that_lies_across_two_pieces_is_decided_as_one",
    ),
    Fault(
        "no neighbours on the other side of a cut",
        "selfpab/inference/seconds.py",
        "known = mean if before is None else np.concatenate([before, mean])",
        "known = mean",
        "tests/inference/test_seconds.py",
    ),
    Fault(
        "pieces of a table in another order where the disk is full",
        "selfpab/scratch_tables.py",
        "size = 0 if in_memory else _laid(",
        "size = _laid(",
        "tests/test_scratch_tables.py",
        "test_what_the_disk_has_no_room_for_stays_in_memory_and_in_its_place",
    ),
    Fault(
        "gradients too small to matter that take all the time",
        "selfpab/upstream/engine.py",
        "torch.set_flush_denormal(True)",
        "pass",
        "tests/downstream/test_signal_classifier.py",
        "test_subnormal_gradients_do_not_slow_a_step_down",
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
            if fault.selected not in green and tests_pass(copy, fault.selected) is not True:
                missed.append(f"{fault.name}: {fault.selected} is red without the fault")
                continue
            green.add(fault.selected)
            path.write_text(text.replace(fault.old, fault.new))
            caught = not tests_pass(copy, fault.selected)
            path.write_text(text)
            print(f"{'caught' if caught else 'MISSED'}  {fault.name}  ({fault.selected})", flush=True)
            if not caught:
                missed.append(f"{fault.name}: {fault.selected} stays green")
    for line in missed:
        print(line, file=sys.stderr)
    print(f"{len(chosen) - len(missed)} of {len(chosen)} faults caught")
    return 1 if missed or not chosen else 0


def tests_pass(folder: Path, test: str) -> bool:
    """Is this test, or are those of this file, green, with the package of this folder?"""
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", test]
    environment = {**os.environ, "PYTHONPATH": str(folder)}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    if done.returncode not in (0, 1):  # 1: tests failed; anything else is no answer
        raise RuntimeError(f"{' '.join(command)} in {folder}:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    return done.returncode == 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
