"""A corpus as one file under 64 MiB, and back: int16 counts, differences from sample to sample, zstd in parquet.

python recipes/pack.py pack CORPUS corpus.parquet
python recipes/pack.py unpack corpus.parquet CORPUS
"""

import json
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet

from selfpab.data.store import open_corpus, write_index
from selfpab.recording import CHANNELS


def pack(folder: Path, packed: Path) -> None:
    """One row per recording: its index row as JSON, its channels as differences (exact in int16 arithmetic)."""
    corpus = open_corpus(folder)
    rows = []
    for place, entry in enumerate(corpus.entries):
        counts = np.asarray(corpus.counts(place))
        steps = np.diff(counts, axis=0, prepend=np.zeros((1, 6), np.int16))  # wraps, and wraps back
        row = json.loads((folder / "recordings" / f"{entry.file}.json").read_text()) | {"labelled": False}
        planes = {name: _planes(steps[:, i]) for i, name in enumerate(CHANNELS)}
        rows.append({"row": json.dumps(row), **planes})
    pyarrow.parquet.write_table(
        pa.Table.from_pylist(rows), packed, compression="zstd", compression_level=19, use_dictionary=False
    )
    print(f"{packed}: {packed.stat().st_size / 2**20:.1f} MiB, {corpus.hours:.1f} h")


def unpack(packed: Path, folder: Path) -> None:
    """The corpus as it was, without labels."""
    recordings = folder / "recordings"
    recordings.mkdir(parents=True, exist_ok=True)
    for row in pyarrow.parquet.read_table(packed).to_pylist():
        about = json.loads(row["row"])
        steps = np.stack([_joined(row[name]) for name in CHANNELS], axis=1)
        np.save(recordings / f"{about['file']}.npy", np.cumsum(steps, axis=0, dtype=np.int16))
        (recordings / f"{about['file']}.json").write_text(row["row"])
    corpus = write_index(folder)
    print(f"{folder}: {len(corpus)} recordings, {corpus.hours:.1f} h")


def _planes(values: np.ndarray) -> bytes:
    """Low bytes, then high bytes: the high ones are nearly always 0 or 255 and cost almost nothing."""
    both = values.astype("<i2").view(np.uint8).reshape(-1, 2)
    return both.T.tobytes()


def _joined(planes: bytes) -> np.ndarray:
    return np.ascontiguousarray(np.frombuffer(planes, np.uint8).reshape(2, -1).T).view("<i2").ravel().astype(np.int16)


if __name__ == "__main__":
    what, source, target = sys.argv[1:]
    {"pack": pack, "unpack": unpack}[what](Path(source), Path(target))
