"""What the paper reports. Its settings are the defaults of the config dataclasses, not here.

Logacjov, Herland, Ustad, Bach: Large-Scale Pre-Training for Dual-Accelerometer Human Activity Recognition.
"""

from __future__ import annotations

from collections.abc import Iterable

from selfpab.activities import HAR70PLUS, HARTH

TABLE_1 = {  # average F1 in per cent and its standard error over subjects: (HARTH v1.2, HAR70+)
    "svm": ((71.7, 2.0), (64.3, 2.9)),
    "xgb": ((74.2, 1.9), (63.7, 2.4)),
    "deepconvlstm-ts": ((51.2, 6.2), (54.7, 3.3)),
    "deepconvlstm-spectr": ((60.2, 2.2), (59.3, 1.9)),
    "spectr-mlp": ((60.5, 2.4), (61.9, 2.5)),
    "spectr-te": ((66.1, 2.0), (64.5, 2.5)),
    "selfpab": ((81.3, 1.3), (78.5, 2.1)),
}
MINUTES = {"harth": 2221.6, "har70plus": 756.0}  # section 4.2
SUBJECTS = {"harth": 22, "har70plus": 18}
VERSIONS = {"harth": "1.2", "har70plus": "1.0"}  # of HAR70+ there was only one
CLASSES = {"harth": frozenset(HARTH.codes), "har70plus": frozenset(HAR70PLUS.codes)}  # section 4.2
APART = "they are not shown beside each other"
PRETRAINING_HOURS = (10, 100, 1_000, 10_000, 100_000)  # section 4.1, Figure 3
FIGURE_3 = {  # hours of pre-training -> average F1 in per cent and its standard error, as far as the text says them
    # section 5.2: "HARTH v1.2 SelfPAB pre-trained on 10 hours ... with 73.9%" (no error given); 100,000 hours: Table 1
    "harth": {10: (73.9, None), 100_000: TABLE_1["selfpab"][0]},
    "har70plus": {100_000: TABLE_1["selfpab"][1]},
}
# The other points of Figure 3, and all of Figure 2, are printed as pictures only; nothing here was read off a picture.


def why_not_beside(
    dataset: str, version: str, people: int, codes: Iterable[int], train_with: Iterable[str] = ()
) -> str:
    """Why the paper's numbers of a data set may not stand beside these, or nothing where they may.

    codes : of the classes told apart. train_with : names of data sets whose people were trained on as well.

    >>> why_not_beside("har70plus", "1.0", 18, (1, 3, 4, 5, 6, 7, 8))
    ''
    """
    if dataset not in SUBJECTS:
        return f"the paper reports nothing of {dataset}"
    if (version, people) != (VERSIONS[dataset], SUBJECTS[dataset]):
        return (
            f"the paper's numbers are of {dataset} {VERSIONS[dataset]} with {SUBJECTS[dataset]} people, these of version "
            f"{version} with {people}: {APART}"
        )
    if (found := frozenset(codes)) != CLASSES[dataset]:
        wanted = CLASSES[dataset]
        missing, more = (", ".join(map(str, sorted(some))) for some in (wanted - found, found - wanted))
        told = " and ".join(filter(None, (missing and f"without the codes {missing}", more and f"with {more}")))
        return f"the paper tells {len(wanted)} activities of {dataset} apart, these {len(found)} ({told}): {APART}"
    if others := sorted(set(train_with)):
        return f"the paper trained on {dataset} alone, these were trained with {', '.join(others)} too: {APART}"
    return ""
