"""The label sets: which code is which activity, in which order, merged how, drawn in which colour.

HARTH has 12 codes merged to 10 classes (paper, section 4.2); HAR70+ has 7 classes in the authors' order
(BEHAVIOUR (e): their order decides ties). Colours are our choice, after Okabe and Ito, distinct to the colour-blind.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from selfpab.recording import UNLABELLED

NAMES = {
    1: "walking",
    2: "running",
    3: "shuffling",
    4: "stairs (ascending)",
    5: "stairs (descending)",
    6: "standing",
    7: "sitting",
    8: "lying",
    13: "cycling (sit)",
    14: "cycling (stand)",
    130: "cycling (sit, inactive)",
    140: "cycling (stand, inactive)",
}
COLOURS = {
    1: "#0072B2",
    2: "#D55E00",
    3: "#56B4E9",
    4: "#CC79A7",
    5: "#882255",
    6: "#F0E442",
    7: "#009E73",
    8: "#999999",
    13: "#E69F00",
    14: "#661100",
}
SPARE_COLOURS = ("#332288", "#117733", "#44AA99", "#88CCEE", "#DDCC77", "#AA4499")


@dataclass(frozen=True)
class Activities:
    """An ordered set of classes; a class index is a place in `codes`.

    >>> HARTH.indices(np.array([1, 130, -1], np.int16))
    array([ 0,  8, -1])
    >>> HARTH.columns[8]
    'p_cycling_sit'
    """

    name: str
    codes: tuple[int, ...]
    names: tuple[str, ...]
    merge: Mapping[int, int] = field(default_factory=dict)  # code -> the class's code

    def __post_init__(self) -> None:
        if len(self.codes) != len(self.names) or len(set(self.codes)) != len(self.codes):
            raise ValueError(f"every class needs one code and one name, got {self.codes} and {self.names}")
        if lost := [code for code in self.merge.values() if code not in self.codes]:
            raise ValueError(f"merge leads to codes that are no class: {lost}; classes are {self.codes}")

    def __len__(self) -> int:
        return len(self.codes)

    @property
    def columns(self) -> tuple[str, ...]:
        """Column names of probabilities: p_walking ... p_stairs_ascending."""
        kept = ("".join(c if c.isalnum() else " " for c in name.lower()) for name in self.names)
        return tuple("p_" + "_".join(name.split()) for name in kept)

    @property
    def colours(self) -> tuple[str, ...]:
        """One colour per class; users' own codes take spare ones."""
        spare = iter(SPARE_COLOURS * (1 + len(self) // len(SPARE_COLOURS)))
        return tuple(COLOURS.get(code) or next(spare) for code in self.codes)

    def unmerged(self) -> Activities:
        """The same with every merged code as a class of its own, behind the others.

        >>> HARTH.unmerged().codes
        (1, 2, 3, 4, 5, 6, 7, 8, 13, 14, 130, 140)
        """
        more = sorted(self.merge)
        names = tuple(NAMES.get(code, f"code {code}") for code in more)
        return Activities(self.name, (*self.codes, *more), (*self.names, *names))

    def places_of(self, finer: Activities) -> np.ndarray:
        """Class index of every class of `finer`, int64: into which of these it is merged.

        >>> HARTH.places_of(HARTH.unmerged()).tolist()
        [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 8, 9]
        """
        return self.indices(np.array(finer.codes, np.int16))

    def merged(self, values: np.ndarray, finer: Activities) -> np.ndarray:
        """Probabilities of the classes of `finer`, (N, its classes), added up to those of these: float64 (N, K)."""
        if finer is self:
            return values
        merged = np.zeros((len(values), len(self)))
        for place, index in enumerate(self.places_of(finer)):
            merged[:, index] += values[:, place]
        return merged

    def indices(self, labels: np.ndarray, *, unknown: str = "error") -> np.ndarray:
        """Class index of every label, int64, -1 where unlabelled.

        A code that is neither a class nor merged into one raises ValueError, or becomes -1 with unknown="unlabelled".
        """
        labels = np.asarray(labels)
        found, inverse = np.unique(labels, return_inverse=True)
        lookup = {UNLABELLED: UNLABELLED, **{code: i for i, code in enumerate(self.codes)}}
        lookup |= {code: lookup[to] for code, to in self.merge.items()}
        strange = [int(code) for code in found if int(code) not in lookup]
        if strange and unknown == "error":
            raise ValueError(
                f"label {strange[0]} is no activity of {self.name}, which has {dict(zip(self.codes, self.names, strict=True))}"
                f"{' and merges ' + str(dict(self.merge)) if self.merge else ''}; name it in dataset.json, or set it to -1"
            )
        table = np.array([lookup.get(int(code), UNLABELLED) for code in found], np.int64)
        return table[inverse.reshape(labels.shape)] if labels.size else np.zeros(labels.shape, np.int64)


def _known(name: str, codes: tuple[int, ...], merge: dict[int, int] | None = None) -> Activities:
    return Activities(name, codes, tuple(NAMES[code] for code in codes), merge or {})


HARTH = _known("harth", (1, 2, 3, 4, 5, 6, 7, 8, 13, 14), {130: 13, 140: 14})
HAR70PLUS = _known("har70plus", (6, 3, 1, 7, 8, 5, 4))
KNOWN = {"harth": HARTH, "har70plus": HAR70PLUS}
