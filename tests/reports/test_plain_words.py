"""The page's fixed sentences name what there is, and claim nothing else."""

from selfpab.reports.plain_words import FILES, LIMITS, TERMS


def test_the_files_are_those_that_are_written(prediction, tmp_path):
    prediction.write(tmp_path)
    assert {name for name, _ in FILES} == {path.name for path in tmp_path.iterdir()} | {"info.json"}


def test_sleep_is_only_named_to_deny_it():
    sentences = [*LIMITS, *(words for _, words in TERMS)]
    assert [words for words in sentences if "sleep" in words] == [
        "Lying is a posture. It is never called sleep, and sitting is never called rest."
    ]


def test_terms_are_in_order():
    names = [name.lower() for name, _ in TERMS]
    assert names == sorted(names)
