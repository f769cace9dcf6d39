"""Windows per second from a corpus, warm: int16 read alone, and with spectrogram, normalisation and masks."""

import tempfile
from pathlib import Path

import torch
from timing import median_s, peak_gb, report

from selfpab.allocator import keep_freed_memory
from selfpab.config import load
from selfpab.data.simulation import simulate, write_dataset
from selfpab.upstream import PretrainConfig, ingest
from selfpab.upstream.masking import alter, draw
from selfpab.upstream.pretraining import spectra, training_data

BATCH = 64

if __name__ == "__main__":
    keep_freed_memory()
    with tempfile.TemporaryDirectory() as folder:
        write_dataset(Path(folder) / "people", simulate(8, 3.0, seed=1))
        taken = median_s(lambda: ingest([Path(folder) / "people"], Path(folder) / "fresh", quiet=True), repeat=1)
        corpus, _ = ingest([Path(folder) / "people"], Path(folder) / "corpus", quiet=True)
        config = load(PretrainConfig, preset="paper", section="pretrain")
        training, _, normalisation = training_data(corpus, config)
        place = iter(range(0, 10**9, BATCH))

        def whole() -> None:
            noise = torch.Generator().manual_seed(1)
            clean, valid = spectra(
                training.take(next(place), BATCH), normalisation, config.spectrogram, torch.device("cpu")
            )
            alter(clean, valid, draw(BATCH, 599, 26, noise), config.masking)

        batch, noise = training.take(0, BATCH), draw(BATCH, 599, 26, torch.Generator().manual_seed(1))
        made = spectra(batch, normalisation, config.spectrogram, torch.device("cpu"))
        written = median_s(lambda: spectra(batch, normalisation, config.spectrogram, torch.device("cpu")), repeat=20)
        masked = median_s(lambda: alter(*made, noise, config.masking), repeat=20)
        read = median_s(lambda: training.take(next(place), BATCH), repeat=20)
        both = median_s(whole, repeat=20)
    report(
        "corpus",
        [
            ("int16 windows read", BATCH / read, "windows/s"),
            ("spectrogram and normalisation alone", BATCH / written, "windows/s"),
            ("masks alone", BATCH / masked, "windows/s"),
            ("windows with spectrogram, normalisation and masks", BATCH / both, "windows/s"),
            ("ingest of stored recordings (checksums only)", 24 / taken, "h/s"),
            ("peak memory of the process", peak_gb(), "GB"),
        ],
    )
