"""All benchmarks, one after the other, each in its own process; appended to RESULTS.md. Keep the machine quiet.

python benchmarks/run_all.py                        # everything: an hour and a half, 10 GB of disk
python benchmarks/run_all.py features spectrogram   # these alone
"""

import datetime
import json
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
RUNS = (
    ["bench_ceilings.py"],
    ["bench_import.py"],
    ["bench_spectrogram.py"],
    ["bench_spectrogram.py", "--no-allocator"],
    ["bench_features.py"],
    ["bench_cwa.py"],
    ["bench_device_pair.py", "7", "1", "28"],
    ["bench_ingest.py", "24"],
    ["bench_corpus.py"],
    ["bench_pretrain.py", "attention", "small", "small-599"],
    ["bench_pretrain.py", "small-599", "--no-allocator"],
    ["bench_pretrain.py", "paper"],
    ["bench_predict.py"],
    ["bench_week.py", "bf16", "1", "7", "28"],
    ["bench_week.py", "fp32", "7"],
    ["bench_downstream.py", "folds"],
    ["bench_downstream.py", "average"],
    ["bench_scale.py", "10", "1000", "100000"],
)


def name_of(run: list[str]) -> str:
    return run[0].removeprefix("bench_").removesuffix(".py")


if __name__ == "__main__":
    blocks, failed = [], []
    wanted = sys.argv[1:]
    if unknown := set(wanted) - set(map(name_of, RUNS)):
        sys.exit(f"there is no bench_{', bench_'.join(sorted(unknown))}.py among those run here")
    for run in RUNS:
        if wanted and name_of(run) not in wanted:
            continue
        print("$", *run, flush=True)
        done = subprocess.run(
            [sys.executable, "-W", "ignore", str(HERE / run[0]), *run[1:]], capture_output=True, text=True, cwd=HERE
        )
        if done.returncode:  # the others are measured all the same
            failed.append(" ".join(run))
            print(f"failed:\n{done.stderr}", file=sys.stderr, flush=True)
            continue
        *table, last = done.stdout.splitlines()
        print(*table, sep="\n", flush=True)
        found = json.loads(last)
        rows = [f"| {what} | {v['value']:g} {v['unit']} |" for what, v in found["values"].items()]
        blocks.append(
            "\n".join([f"**{found['benchmark']}** (`{' '.join(run)}`)", "", "| what | median |", "|---|---|", *rows])
        )
    if not blocks:
        sys.exit("nothing was measured")
    versions = f"Python {found['python']}, torch {found['torch']}"
    if "commit" in found:
        versions += f"; commit {found['commit'][:8]}{'' if found['clean'] else ' and changes to it'}"
    about = f"{found['machine']}, {found['cpus']} cores, {found['threads']} threads; {versions}"
    heading = f"## {datetime.date.today().isoformat()}\n\n{about}\n"
    with open(HERE / "RESULTS.md", "a") as file:
        file.write("\n" + heading + "\n" + "\n\n".join(blocks) + "\n")
    if failed:
        sys.exit(f"failed: {', '.join(failed)}")
