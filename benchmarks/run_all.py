"""All benchmarks, one after the other, each in its own process; appended to RESULTS.md. Keep the machine quiet."""

import datetime
import json
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
RUNS = (
    ["bench_import.py"],
    ["bench_spectrogram.py"],
    ["bench_spectrogram.py", "--no-allocator"],
    ["bench_features.py"],
    ["bench_cwa.py"],
    ["bench_device_pair.py"],
    ["bench_corpus.py"],
    ["bench_pretrain.py", "attention", "small", "small-599"],
    ["bench_pretrain.py", "small-599", "--no-allocator"],
    ["bench_pretrain.py", "paper"],
    ["bench_predict.py"],
    ["bench_week.py"],
    ["bench_downstream.py", "folds"],
    ["bench_downstream.py", "average"],
    ["bench_scale.py"],
)

if __name__ == "__main__":
    blocks = []
    for run in RUNS:
        print("$", *run, flush=True)
        done = subprocess.run(
            [sys.executable, "-W", "ignore", str(HERE / run[0]), *run[1:]], capture_output=True, text=True, cwd=HERE
        )
        if done.returncode:
            sys.exit(f"{run} failed:\n{done.stderr}")
        *table, last = done.stdout.splitlines()
        print(*table, sep="\n", flush=True)
        found = json.loads(last)
        rows = [f"| {what} | {v['value']:g} {v['unit']} |" for what, v in found["values"].items()]
        blocks.append(
            "\n".join([f"**{found['benchmark']}** (`{' '.join(run)}`)", "", "| what | median |", "|---|---|", *rows])
        )
    versions = f"Python {found['python']}, torch {found['torch']}"
    if "commit" in found:
        versions += f"; commit {found['commit'][:8]}{'' if found['clean'] else ' and changes to it'}"
    about = f"{found['machine']}, {found['cpus']} cores, {found['threads']} threads; {versions}"
    heading = f"## {datetime.date.today().isoformat()}\n\n{about}\n"
    with open(HERE / "RESULTS.md", "a") as file:
        file.write("\n" + heading + "\n" + "\n\n".join(blocks) + "\n")
