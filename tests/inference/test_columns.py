"""The dictionary of columns speaks of the label set at hand; that it is complete is held by test_prediction."""

from selfpab.activities import Activities
from selfpab.inference.columns import column_dictionary


def test_classes_stand_in_it_by_name():
    table = column_dictionary(Activities("mine", (5, 3), ("lie down", "p_walk (fast)")))
    rows = {(file, column): (unit, text) for file, column, unit, text in table.rows()}
    assert rows["seconds.parquet", "p_lie_down"] == (
        "0 to 1",
        "probability of lie down, mean over the second's samples",
    )
    named = "named p_walk (fast) (activity of seconds.parquet)"
    assert rows["daily.csv", "minutes_p_walk_fast"] == ("min", f"worn time {named}")
    assert rows["people.csv", "minutes_p_walk_fast"] == ("min", f"worn time {named}; mean over the valid days")
    assert rows["diary.csv", "minutes_p_walk_fast"] == ("min", f"worn time in it {named}")
    assert len(rows) == len(table)
