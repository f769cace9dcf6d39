"""The same task for many items: here, on local processes, on a scheduler that is there; deaths and faults included."""

import operator
import os
import signal
import subprocess
import sys
import time
from functools import partial

import pytest

from selfpab import workers as module
from selfpab.config import ConfigError
from selfpab.workers import LOST, THREADS, in_parallel, part_of, threads_each


def outcomes(task, items, **settings):
    return dict(in_parallel(task, items, **settings))


def test_one_worker_is_this_process_in_order_and_without_dask():
    code = (
        "import os, sys\n"
        "from selfpab.workers import in_parallel\n"
        "assert list(in_parallel(lambda i: os.getpid(), [3, 1, 2])) == [(i, os.getpid()) for i in (3, 1, 2)]\n"
        "assert not {'dask', 'distributed', 'torch'} & set(sys.modules)"
    )
    subprocess.run((sys.executable, "-c", code), check=True)


def test_a_task_that_raises_does_not_stop_the_others():
    found = outcomes(partial(operator.floordiv, 6), [3, 0, 2])
    assert (found[3], found[2]) == (2, 3)
    assert isinstance(found[0], ZeroDivisionError)


def test_an_interrupt_is_no_outcome():
    def interrupted(item):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        list(in_parallel(interrupted, [1]))


@pytest.mark.parametrize("workers", [0, -2])
def test_fewer_than_one_worker_is_refused_at_once(workers):
    with pytest.raises(ConfigError, match=rf"workers must be at least 1 .*, got {workers}"):
        in_parallel(abs, [1], workers=workers)


def test_nothing_to_do_starts_no_cluster(monkeypatch):
    monkeypatch.setattr(module, "_on_workers", lambda *_: pytest.fail("started"))
    assert list(in_parallel(abs, [], workers=4)) == []
    assert list(in_parallel(abs, [], scheduler="tcp://127.0.0.1:1")) == []


def test_local_workers_are_other_processes_with_their_share_of_the_cores(monkeypatch):
    monkeypatch.setattr(module, "threads_each", lambda workers: {2: 3}[workers])
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    before = dict(os.environ)

    def look(item):
        import os
        import sys

        if item == "bad":
            raise ValueError("bad item")
        return os.getpid(), {name: os.environ.get(name) for name in THREADS}, "torch" in sys.modules

    found = outcomes(look, ["a", "b", "bad", "c", "d"], workers=2)
    assert str(found.pop("bad")) == "bad item"
    assert len({pid for pid, _, _ in found.values()} | {os.getpid()}) in (2, 3)
    assert os.getpid() not in {pid for pid, _, _ in found.values()}
    for _, threads, torch_was_there in found.values():
        assert threads == dict.fromkeys(THREADS, "3")
        assert not torch_was_there
    assert dict(os.environ) == before


def test_what_computes_on_a_worker_keeps_to_its_share(monkeypatch):
    """Not what is asked for, but what torch, polars and the matrix products of numpy then use."""
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    share = threads_each(2)

    def look(item):
        import polars
        import threadpoolctl
        import torch

        pools = {pool["user_api"]: pool["num_threads"] for pool in threadpoolctl.threadpool_info()}
        return {"torch": torch.get_num_threads(), "polars": polars.thread_pool_size()} | pools

    for found in outcomes(look, ["a", "b"], workers=2).values():
        assert found == {"torch": share, "polars": share, "openmp": share, "blas": share}


def test_the_cores_are_shared_out(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(7)), raising=False)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    assert [threads_each(n) for n in (1, 2, 3, 7, 20)] == [7, 3, 2, 1, 1]
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    assert [threads_each(n) for n in (1, 2, 3, 7, 20)] == [2, 2, 2, 1, 1]


@pytest.mark.parametrize(("deaths", "begun"), [(1, 2), pytest.param(99, 3, marks=pytest.mark.slow)])
def test_a_worker_that_dies_is_replaced_and_its_task_begun_anew_but_not_for_ever(tmp_path, deaths, begun):
    said = []

    def task(item):
        import os
        import signal

        before = len(list(tmp_path.glob(f"{item}-*")))
        (tmp_path / f"{item}-{before}").touch()
        if item == "mortal" and before < deaths:
            os.kill(os.getpid(), signal.SIGKILL)
        return item.upper()

    found = outcomes(task, ["a", "mortal", "b"], workers=2, say=said.append)
    assert (found["a"], found["b"]) == ("A", "B")
    assert said.count("a worker died (killed, or out of memory?) at mortal") == min(deaths, begun)
    assert len(list(tmp_path.glob("mortal-*"))) == begun
    if deaths == 1:
        assert found["mortal"] == "MORTAL"
    else:
        assert isinstance(found["mortal"], RuntimeError)
        assert "its worker died 3 times (killed, or out of memory?); take fewer workers=" in str(found["mortal"])


@pytest.mark.slow
def test_an_interrupt_of_the_whole_process_group_ends_everything_quietly(tmp_path):
    """Ctrl-C on a terminal goes to the workers too; a task that is under way does not hold them."""
    program = tmp_path / "program.py"
    program.write_text(
        "import os, time\nfrom pathlib import Path\nfrom selfpab.workers import in_parallel\n"
        f"def task(item):\n    Path({str(tmp_path)!r}, f'{{item}}-{{os.getpid()}}').touch()\n    time.sleep(60)\n"
        "if __name__ == '__main__':\n    list(in_parallel(task, ['a', 'b', 'c'], workers=2))\n"
    )
    child = subprocess.Popen((sys.executable, program), stderr=subprocess.PIPE, text=True, start_new_session=True)
    end = time.monotonic() + 30
    while len(list(tmp_path.glob("*-*"))) < 2:
        assert time.monotonic() < end, "the tasks were never begun"
        time.sleep(0.05)
    os.killpg(child.pid, signal.SIGINT)
    said = child.communicate(timeout=20)[1]
    assert said.splitlines()[-1] == "KeyboardInterrupt"
    assert said.count("Traceback") == 1
    begun = [path.name for path in tmp_path.glob("*-*")]
    assert sorted(name[0] for name in begun) == ["a", "b"]
    for name in begun:
        with pytest.raises(ProcessLookupError):
            os.kill(int(name[2:]), 0)


def test_a_scheduler_that_is_not_there_is_named_with_what_to_do(monkeypatch):
    monkeypatch.setattr(module, "CONNECT_S", 0.5)
    with pytest.raises(
        ConfigError, match=r"no Dask scheduler answers at scheduler=tcp://127.0.0.1:9 within 0.5 s; start"
    ):
        list(in_parallel(abs, [1], scheduler="tcp://127.0.0.1:9"))


def test_a_scheduler_that_is_there_is_used_and_left_running():
    from distributed import Client, LocalCluster

    with LocalCluster(
        n_workers=1, threads_per_worker=1, processes=False, dashboard_address="127.0.0.1:0", protocol="tcp"
    ) as one:
        found = outcomes(partial(operator.floordiv, 6), [3, 0, 2], scheduler=one.scheduler_address)
        assert (found[3], found[2]) == (2, 3)
        with Client(one.scheduler_address, set_as_default=False) as client:
            assert len(client.nthreads()) == 1


def test_a_scheduler_that_goes_away_leaves_an_outcome_for_every_item():
    from distributed import LocalCluster

    def task(item):
        time.sleep(0.05)
        return item

    said = []
    with LocalCluster(
        n_workers=1, threads_per_worker=1, processes=False, dashboard_address="127.0.0.1:0", protocol="tcp"
    ) as one:
        found = []
        for item, outcome in in_parallel(task, list(range(40)), scheduler=one.scheduler_address, say=said.append):
            found.append((item, outcome))
            if len(found) == 3:
                one.close()
    done = [item for item, outcome in found if item == outcome]
    lost = [item for item, outcome in found if isinstance(outcome, ConnectionError) and str(outcome) == LOST]
    assert sorted(done + lost) == list(range(40))
    assert len(done) < 20
    assert said[-1] == LOST


def test_parts_cover_all_once():
    items = list("abcdefgh")
    parts = [part_of(items, f"{number}/3") for number in (1, 2, 3)]
    assert sorted(item for part in parts for item in part) == items
    assert part_of(items[:1], "2/2") == []
    with pytest.raises(ConfigError, match=r"such as 2/8, got '4/3'"):
        part_of(items, "4/3")


def test_workers_that_do_two_things_at_a_time_are_refused():
    from distributed import LocalCluster

    with (
        LocalCluster(
            n_workers=1, threads_per_worker=2, processes=False, dashboard_address="127.0.0.1:0", protocol="tcp"
        ) as two,
        pytest.raises(ConfigError, match=r"runs 2 tasks at a time, .* start workers with --nthreads 1"),
    ):
        list(in_parallel(abs, [1], scheduler=two.scheduler_address))
