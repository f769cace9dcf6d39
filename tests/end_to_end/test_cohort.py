"""Cohorts: parts, schedulers and workers that die; what docs/how-to/cluster.md shows is run as it stands."""

import json
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import polars as pl
import pytest

from selfpab import simulate
from selfpab.cli import main
from selfpab.cohorts import file_stamps
from selfpab.cohorts.folders import predict_folder
from selfpab.cohorts.settings import PredictConfig
from selfpab.data.parquet import write_parquet
from selfpab.workers import LOST

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "how-to" / "cluster.md").read_text()
PEOPLE = 5


def lines(word: str) -> list[str]:
    """Commands of the page that hold a word."""
    return [
        line.removeprefix("$ ")
        for line in PAGE.splitlines()
        if re.match(r"(\$ )?(selfpab|dask) ", line) and word in line
    ]


@pytest.fixture
def cohort(tmp_path, tiny_model, monkeypatch):
    """A folder `cohort/` with one broken file of five, and `MODEL`, in the folder the test runs in."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "MODEL").symlink_to(tiny_model)
    for person in simulate(PEOPLE, 0.03, seed=1, labelled=False):
        file = tmp_path / "cohort" / f"{person.subject}.parquet"
        file.parent.mkdir(exist_ok=True)
        write_parquet(person, file)
        os.utime(file, (1e9, 1e9))
    Path("cohort/P002.parquet").write_bytes(b"")
    return tmp_path


def run(line: str) -> int:
    with pytest.raises(SystemExit) as end:
        main(shlex.split(os.path.expandvars(line))[1:])
    return end.value.code


def finished(out: Path) -> dict[str, int]:
    return {path.parent.name: path.stat().st_mtime_ns for path in out.glob("*/info.json")}


def test_the_parts_of_an_array_make_the_whole(cohort, monkeypatch, capsys):
    array, whole = *lines("part="), *lines("report=off")[-2:-1]
    assert "scheduler" not in whole
    made = {}
    for number in (1, 2):
        monkeypatch.setenv("SLURM_ARRAY_TASK_ID", str(number))
        monkeypatch.setenv("SLURM_ARRAY_TASK_COUNT", "2")
        assert run(array) == (number == 2)
        made[number] = finished(Path("out"))
        assert not list(Path("out").glob("*.csv"))
    assert set(made[1]) == {"P001", "P003", "P005"}
    assert set(made[2]) == {"P001", "P003", "P004", "P005"}
    assert capsys.readouterr().err.count("failed: cohort/P002.parquet: is no whole parquet file") == 1
    assert run(whole) == 1
    assert finished(Path("out")) == made[2]
    assert pl.read_csv("out/quality.csv")["name"].to_list() == ["P001", "P003", "P004", "P005"]
    assert pl.read_csv("out/failures.csv")["path"].to_list() == ["cohort/P002.parquet"]


@pytest.mark.parametrize("part", ["0/2", "3/2", "2", "a/b", "1/2/3"])
def test_a_part_that_cannot_be(cohort, capsys, part):
    assert run(f"selfpab predict cohort out model=MODEL part={part}") == 2
    assert (
        f"part must be the number of a part and how many there are, such as 2/8, got '{part}'"
        in capsys.readouterr().err
    )


def test_a_second_call_reads_no_recording_that_it_knows(cohort, monkeypatch):
    config = PredictConfig(model="MODEL", report=False, precision="fp32")
    first = predict_folder([Path("cohort")], Path("out"), config)
    before = finished(Path("out"))
    read = []
    real = file_stamps.file_checksum
    monkeypatch.setattr(file_stamps, "file_checksum", lambda files: (read.extend(files), real(files))[1])
    assert predict_folder([Path("cohort")], Path("out"), config) == first
    assert finished(Path("out")) == before
    assert read == [Path("cohort/P002.parquet")]


def test_what_a_killed_process_left_is_taken_away(cohort):
    left = Path("out/P001/.seconds.parquet.123.part")
    left.parent.mkdir(parents=True)
    left.write_bytes(b"half")
    predict_folder([Path("cohort")], Path("out"), PredictConfig(model="MODEL", report=False, precision="fp32"))
    assert not left.exists()
    assert "P001" in finished(Path("out"))


def test_workers_of_a_scheduler_write_what_this_process_writes(cohort):
    from distributed import LocalCluster

    (line,) = lines("scheduler=")
    with LocalCluster(
        n_workers=1, threads_per_worker=1, processes=False, dashboard_address="127.0.0.1:0", protocol="tcp"
    ) as one:
        assert run(line.replace("tcp://HOST:8786", one.scheduler_address)) == 1
    assert run("selfpab predict cohort here model=MODEL report=off") == 1
    assert set(finished(Path("out"))) == set(finished(Path("here"))) == {"P001", "P003", "P004", "P005"}
    for file in ("P001/seconds.parquet", "P005/daily.csv", "quality.csv", "failures.csv"):
        assert (Path("out") / file).read_bytes() == (Path("here") / file).read_bytes()


def test_the_job_script_of_slurm_has_one_thread_per_worker(monkeypatch, capsys):
    pytest.importorskip("dask_jobqueue")
    (code,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    monkeypatch.setattr("builtins.input", lambda _: "")
    code = code.replace('"port": 8786', '"port": 0').replace("cluster.scale(jobs=10)", "pass")  # there is no sbatch
    made = {"__name__": "__main__"}
    exec(compile(code, "cluster.py", "exec"), made)
    made["cluster"].close()
    script = capsys.readouterr().out
    assert "--nthreads 1 " in script
    assert "--nworkers 8 " in script
    assert "\nexport OMP_NUM_THREADS=1\n" in script
    assert re.search(r"distributed.cli.dask_worker tcp://\S+:\d+ ", script)


@pytest.mark.slow
def test_a_scheduler_that_goes_away_loses_nothing(cohort):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    line = lines("scheduler=")[0].replace("HOST:8786", f"127.0.0.1:{port}")
    begin, work = (
        [sys.executable, "-m", "dask", *shlex.split(command.replace("HOST", "127.0.0.1").replace("8786", port))[1:]]
        for command in lines("dask ")
    )
    begin, work = [*begin, "--host", "127.0.0.1"], [part if part != "8" else "1" for part in work]

    def started() -> list[subprocess.Popen]:
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        return [subprocess.Popen(command, **quiet) for command in (begin, work)]

    scheduler, worker = started()
    try:
        words = [sys.executable, "-m", "selfpab", *shlex.split(line)[1:]]
        call = subprocess.Popen(words, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
        end = time.monotonic() + 200
        while not finished(Path("out")):
            assert time.monotonic() < end, "nobody was done"
            time.sleep(0.01)
        scheduler.send_signal(signal.SIGKILL)
        said = call.communicate(timeout=60)[1]
    finally:
        for process in (scheduler, worker):
            process.kill()
            process.wait()
    before = finished(Path("out"))
    assert "Traceback" not in said, said
    lost = pl.read_csv("out/failures.csv").filter(pl.col("reason") == LOST)["path"].to_list()
    assert call.returncode == 1
    assert len(lost) + len(before) >= PEOPLE - 1
    assert lost
    assert LOST in said
    assert run("selfpab predict cohort out model=MODEL report=off") == 1
    after = finished(Path("out"))
    assert set(after) == {"P001", "P003", "P004", "P005"}
    assert {name: after[name] for name in before} == before


@pytest.mark.slow
def test_the_recipe_on_forty_people_and_a_killed_worker(tmp_path):
    words = (sys.executable, "-W", "ignore", str(ROOT / "recipes" / "check_cohort.py"), str(tmp_path))
    subprocess.run([*words, "people=40", "minutes=1"], check=True, stdout=subprocess.DEVNULL)
    found = json.loads((tmp_path / "results.json").read_text())["found"]
    assert (found["people"], found["broken"], found["rows_of_quality"]) == (40, 2, 38)
    for key in (
        "good_without_a_folder",
        "broken_without_their_reason",
        "failed_and_not_broken",
        "incomplete",
        "left_behind",
    ):
        assert found[key] == [], key
    assert found["made_again_by_the_second_call"] == 0
    assert found["first_call"]["workers_killed"] == 1
    assert (found["first_call"]["exit"], found["second_call"]["exit"]) == (1, 1)
