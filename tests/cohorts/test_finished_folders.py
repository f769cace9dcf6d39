"""Half a folder is none."""

from datetime import datetime

from selfpab.cohorts.finished_folders import classes_of, facts_of, predictions_in
from tests.predicted_lives import THREE, write_life


def test_only_whole_predictions_count(tmp_path):
    for name in ("b", "a", "c", "d"):
        write_life(tmp_path, name, [7, 1], datetime(2024, 5, 1))
    (tmp_path / "b" / "daily.csv").unlink()
    (tmp_path / "c" / "info.json").write_text('{"subject": "c", "fi')
    (tmp_path / "d" / "info.json").write_text('{"subject": "d", "files": [], "width": 12}')  # an embedding
    (found,) = predictions_in(tmp_path)
    assert found == (tmp_path / "a", facts_of(tmp_path / "a"))
    assert facts_of(tmp_path / "b") == facts_of(tmp_path / "c") == facts_of(tmp_path / "nobody") == {}
    assert facts_of(tmp_path / "d")["width"] == 12


def test_the_classes_are_those_of_the_prediction(tmp_path):
    activities = classes_of(facts_of(write_life(tmp_path, "a", [7], datetime(2024, 5, 1))))
    assert (activities.codes, activities.names) == (THREE.codes, THREE.names)
