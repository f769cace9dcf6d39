"""A folder of simulated people is a data set."""

import numpy as np

from selfpab.data.datasets import open_dataset
from selfpab.data.simulated_dataset import SimulateConfig, simulate_folder
from selfpab.data.simulation import simulate


def test_the_folder_opens_and_holds_who_was_simulated(tmp_path):
    config = SimulateConfig(people=2, hours=0.02, seed=4, scenario="protocol")
    data = open_dataset(simulate_folder(tmp_path / "people", config))
    direct = simulate(2, 0.02, seed=4, scenario="protocol")
    assert [r.subject for r in data.recordings()] == [r.subject for r in direct]
    for read, made in zip(data.recordings(), direct, strict=True):
        np.testing.assert_array_equal(read.acceleration_g, made.acceleration_g)
        np.testing.assert_array_equal(read.labels, made.labels)


def test_unlabelled_people_have_no_labels(tmp_path):
    folder = simulate_folder(tmp_path, SimulateConfig(people=1, hours=0.01, labelled=False))
    (recording,) = open_dataset(folder).recordings()
    assert recording.labels is None


def test_devices_are_pairs_of_raw_files_with_their_truth(tmp_path):
    folder = simulate_folder(tmp_path, SimulateConfig(people=1, hours=0.05, devices=True, scenario="protocol"))
    assert sorted(path.name for path in folder.iterdir()) == ["P001_back.cwa", "P001_thigh.cwa", "truth.json"]
