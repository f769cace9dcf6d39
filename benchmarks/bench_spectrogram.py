"""Hours of recording per second through the spectrogram, beside torch.stft, with and without kept memory."""

import sys

import torch
from timing import paired_s, report

from selfpab.allocator import keep_freed_memory
from selfpab.features.spectrograms import spectrogram

WINDOW = torch.hann_window(50)


def stft(acceleration: torch.Tensor) -> torch.Tensor:
    windows, samples, channels = acceleration.shape
    flat = acceleration.transpose(1, 2).reshape(-1, samples)
    found = torch.stft(flat, 50, 25, 50, WINDOW, center=False, return_complex=True).abs()
    return found.view(windows, channels, 26, -1).permute(0, 3, 1, 2)


if __name__ == "__main__":
    kept = "--no-allocator" not in sys.argv and keep_freed_memory()
    how = "freed memory kept" if kept else "allocator untouched"
    rows = []
    for windows in (4, 16, 64):
        values = torch.randn(windows, 15_000, 6)
        ours, theirs, ratio = paired_s(
            lambda v=values: spectrogram(v, frame_samples=50, hop_samples=25), lambda v=values: stft(v), repeat=15
        )
        hours = windows / 12
        rows += [
            (f"{windows} windows, {how}: ours", hours / ours, "h/s"),
            (f"{windows} windows, {how}: torch.stft", hours / theirs, "h/s"),
            (f"{windows} windows, {how}: ratio", ratio, "x"),
        ]
    report("spectrogram" + ("" if kept else ", allocator untouched"), rows)
