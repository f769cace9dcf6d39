"""A small corpus that several files share."""

import pytest

from selfpab.data.simulation import simulate, write_dataset
from selfpab.data.store import Corpus
from selfpab.upstream import ingest


@pytest.fixture(scope="session")
def small_corpus(tmp_path_factory) -> Corpus:
    """Five simulated people of six minutes."""
    folder = tmp_path_factory.mktemp("people")
    write_dataset(folder, simulate(5, 0.1, seed=5, scenario="protocol"))
    return ingest([folder], tmp_path_factory.mktemp("corpus"), quiet=True)[0]
