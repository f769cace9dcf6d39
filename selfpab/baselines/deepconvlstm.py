"""DeepConvLSTM: convolutions along time, then an LSTM (Ordonez and Roggen, 2016; the paper's setting of it is unpublished).

Four convolutions of 64 filters of length 5 with ReLU, two LSTM layers of 128 units, one linear output. As in the authors'
class every filter sees all channels (BEHAVIOUR (g)). Ordonez and Roggen slide each filter along one channel at a time; over
the 156 features of a spectrogram that would make 9,984 inputs of the LSTM instead of 64.
Legend: B windows, T samples or frames, C channels (6) or features (156), F filters, K classes.
"""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn


class DeepConvLSTM(nn.Module):
    """Signals or spectra (B, T, C) -> logits: (B, K), or (B, T, K) with `per_frame`.

    Parameters
    ----------
    per_frame : an output for each frame; the convolutions keep the length. Otherwise they are not padded, and the LSTM's
        last step names the window; T must be at least `shortest`.
    dropout : on the input of every LSTM layer. Ordonez and Roggen have 0.5 on the input of every dense layer, among which
        they count the LSTM's; the authors' class has it only between the two LSTM layers, and no published value.

    >>> DeepConvLSTM(6, 7, per_frame=False)(torch.zeros(2, 250, 6)).shape
    torch.Size([2, 7])
    >>> DeepConvLSTM(156, 7, per_frame=True)(torch.zeros(2, 119, 156)).shape
    torch.Size([2, 119, 7])
    """

    def __init__(
        self,
        channels: int,
        classes: int,
        *,
        per_frame: bool,
        filters: int = 64,
        kernel: int = 5,
        convolutions: int = 4,
        lstm: int = 128,
        lstm_layers: int = 2,
        dropout: float = 0.5,
    ) -> None:
        super().__init__()
        if per_frame and kernel % 2 == 0:
            raise ValueError(f"an output for each frame needs a kernel of odd length, got {kernel}")
        widths = [channels] + [filters] * (convolutions - 1)
        padding = kernel // 2 if per_frame else 0
        self.convolutions = nn.ModuleList(nn.Conv1d(width, filters, kernel, padding=padding) for width in widths)
        self.dropout = nn.Dropout(dropout)
        self.lstm = nn.LSTM(filters, lstm, lstm_layers, batch_first=True, dropout=dropout if lstm_layers > 1 else 0.0)
        self.output = nn.Linear(lstm, classes)
        self.per_frame = per_frame
        self.shortest = 1 if per_frame else convolutions * (kernel - 1) + 1

    def forward(
        self, values: Float[Tensor, "B T C"], valid: Bool[Tensor, "B T"] | None = None
    ) -> Float[Tensor, "B ... K"]:
        """valid : which frames are real, the first ones of each window; the others touch none of them."""
        if values.shape[1] < self.shortest:
            raise ValueError(f"wanted windows of at least {self.shortest} samples, got {values.shape[1]}")
        filtered = values.transpose(1, 2)
        for convolution in self.convolutions:
            if valid is not None:  # or what a bias makes behind the end would leak back, layer by layer
                filtered = filtered * valid[:, None]
            filtered = torch.relu(convolution(filtered))
        states, _ = self.lstm(self.dropout(filtered.transpose(1, 2)))
        return self.output(states if self.per_frame else states[:, -1])
