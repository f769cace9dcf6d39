"""By name."""

import pytest

from selfpab.config import ConfigError
from selfpab.reproduce.collected_results import ReproduceConfig
from selfpab.reproduce.paper_results import NAMES, write


@pytest.fixture(scope="module")
def results(put_results, tmp_path_factory):
    folder = tmp_path_factory.mktemp("results")
    put_results(folder / "har70plus", {"svm": 0.6}, seeds=(0,), people=["501", "502"])
    for hours in (1.0, 2.0):
        put_results(folder / f"har70plus-{hours:g}h", {"selfpab": 0.6}, seeds=(0,), people=["501", "502"], hours=hours)
    return folder


@pytest.mark.parametrize("name", NAMES)
def test_what_is_written_bears_the_name(results, tmp_path, name):
    paths = write(name, tmp_path, ReproduceConfig(str(results), without="502"))
    assert sorted(paths) == sorted(tmp_path.iterdir())
    assert all(path.name.startswith(name) for path in paths)
    assert "1 person, without 502" in (tmp_path / f"{name}.txt").read_text()
    rows = (tmp_path / f"{name}.csv").read_text()
    assert ("selfpab," in rows and "2.0" in rows) if name == "figure3" else ("svm," in rows)


def test_another_name_is_a_wrong_call(tmp_path):
    with pytest.raises(
        ConfigError, match="nothing to reproduce is called 'figure4'; there are table1, figure2, figure3"
    ):
        write("figure4", tmp_path, ReproduceConfig())
