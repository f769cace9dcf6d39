"""A made-up night over the end of summer time, predicted by nobody: gap, non-wear, a sensor that fails, doubt."""

import base64
import gzip
from dataclasses import replace
from datetime import datetime
from html.parser import HTMLParser
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from selfpab.activities import Activities
from selfpab.inference.frames import FrameProbabilities
from selfpab.inference.prediction import Prediction
from selfpab.inference.seconds import second_table
from selfpab.recording import Mark, Recording, Segment

THREE = Activities("three", (7, 1, 8), ("sitting", "walking", "lying"))
ODD = "<b>&\"x\"/$y$ 'é'</script>"  # a subject's name may be anything
MINUTES = ((0, 42), (1, 7), (0, 3), (2, 95), (1, 13), (0, 35), (1, 60))  # place in THREE, how long
GAP_AFTER, GAP_S = 100 * 60, 613.0  # seconds


def predicted(recording, classes, sure=0.9):
    """A frame per second of each segment; `classes` of every sample, `sure` the probability of every sample's class."""
    starts = np.concatenate([np.arange(s.first, s.stop, 50) for s in recording.segments])
    stops = np.concatenate([np.full(-(-len(s) // 50), s.stop) for s in recording.segments])
    sure = np.broadcast_to(sure, len(recording))[starts][:, None]
    values = np.where(np.arange(3) == classes[starts][:, None], sure, (1 - sure) / 2)
    frames = FrameProbabilities(values.astype(np.float64), starts, stops, 50)
    return Prediction(recording, THREE, frames, second_table(recording, frames, THREE))


def night(subject="P1", start=None, zone="Europe/Oslo"):
    classes = np.repeat([place for place, _ in MINUTES], [3000 * minutes for _, minutes in MINUTES])
    generator = np.random.default_rng(3)
    values = generator.normal(0, 0.3, (len(classes), 6)).astype(np.float32) + np.array([-1, 0, 0, 0, 0, 1], np.float32)
    cut = GAP_AFTER * 50
    segments = (Segment(0, cut, 0.0), Segment(cut, len(classes), GAP_AFTER + GAP_S))
    marks = (
        Mark(3000, 3600, "clipping", "back: 3 raw samples at the end of ±8 g"),
        Mark(150_000, 240_000, "non-wear", "both still for 30 min"),
        Mark(420_000, 421_000, "sensor dropout thigh", "thigh stands at 0 g"),
    )
    begun = datetime(2024, 10, 26, 23, 10, 0, 400_000, tzinfo=ZoneInfo(zone)) if zone else start
    source = {"path": "/somewhere/P1.csv", "form": "csv", "repairs": ["rows in the wrong order were sorted"]}
    return Recording(subject, begun, 50.0, values, segments=segments, marks=marks, source=source), classes


@pytest.fixture(scope="session")
def prediction():
    recording, classes = night()
    sure = np.full(len(recording), 0.9)
    sure[40_000:52_345] = 0.45
    return predicted(recording, classes, sure)


@pytest.fixture(scope="session")
def undated():
    recording, classes = night(ODD, zone=None)
    return predicted(replace(recording, source={}, marks=()), classes)


@pytest.fixture(scope="session")
def facts(prediction):
    seconds = prediction.seconds
    return {
        "subject": "P1",
        "rate_hz": 50.0,
        "samples": len(prediction.recording),
        "source": dict(prediction.recording.source),
        "gaps_in_all": 1,
        "uncertain_below": 0.6,
        "non_wear": {"stretches": {"non-wear": 1}, "seconds": int((~seconds["wear"]).sum())},
        "seconds_recorded": int((~seconds["gap"]).sum()),
        "seconds_uncertain": int(seconds["uncertain"].sum()),
        "seconds_per_activity": {"sitting": int(seconds["activity"].count())},
        "quality": {"placement": "nothing found", "blocks_lost": None},
        "model": {"folder": "mine", "weights_sha256": "0123456789abcdef"},
        "precision": "fp32",
        "environment": {"selfpab": "1.2.3", "python": "3.11"},
    }


class Page(HTMLParser):
    """Tables by id, text, references, and every tag closed in its turn."""

    VOID = ("meta", "input", "br", "rect", "path", "circle")

    def __init__(self, text):
        super().__init__()
        self.open, self.tables, self.words, self.references, self.tags, self.scripts = [], {}, [], [], [], []
        self.rows = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        found = dict(attributes)
        self.tags.append((tag, found))
        self.references += [found[key] for key in ("src", "href", "srcset", "action", "data") if key in found]
        assert not [key for key in found if key.startswith("on")]
        if tag in self.VOID:
            return
        self.open.append(tag)
        if tag == "table":
            self.rows = self.tables.setdefault(found["id"], [])
        elif tag == "tr":
            self.rows.append([])
        elif tag in ("td", "th"):
            self.rows[-1].append("")
        elif tag == "script":
            self.scripts.append((found, ""))

    def handle_startendtag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        if tag not in self.VOID:
            assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] == "script":
            self.scripts[-1] = (self.scripts[-1][0], self.scripts[-1][1] + data)
        elif self.open and self.open[-1] != "style":
            self.words.append(data)
        if self.open and self.open[-1] in ("td", "th"):
            self.rows[-1][-1] += data


@pytest.fixture(scope="session")
def parsed():
    """Text of a page -> Page."""
    return Page


@pytest.fixture(scope="session")
def unpacked():
    """What packing.py packed, and its numpy type -> the array."""
    return lambda text, kind: np.frombuffer(gzip.decompress(base64.b64decode(text)), kind)
