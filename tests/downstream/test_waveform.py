"""The convolutions that read the samples beside the encoder."""

import copy

import pytest
import torch

from selfpab.downstream.classifier import FinetunedClassifier
from selfpab.downstream.finetuning import FinetuneConfig
from selfpab.downstream.waveform import WaveformConfig, WaveformReader
from selfpab.features.spectrograms import SpectrogramConfig
from selfpab.upstream.checkpoint import Upstream
from selfpab.upstream.encoder import EncoderConfig
from selfpab.upstream.packed_products import PackedConvolution, packed, with_packed_products


def reader_of(width=16, classes=3):
    torch.manual_seed(0)
    return WaveformReader(classes, width=width).eval()


@pytest.mark.parametrize("count", [1, 2, 7, 30])
def test_padding_is_as_if_it_were_not_there(count):
    reader, inputs = reader_of(), torch.randn(3, 30, 351)
    valid = torch.ones(3, 30, dtype=torch.bool)
    valid[1, count:] = False
    inputs[1, count:] = 77.0
    with torch.no_grad():
        found = reader(inputs, valid)
        torch.testing.assert_close(found[1:2, :count], reader(inputs[1:2, :count]))
        torch.testing.assert_close(found[::2], reader(inputs[::2]))


def test_it_reads_the_samples_and_nothing_else():
    reader, inputs = reader_of(), torch.randn(2, 12, 351)
    other = inputs.clone()
    other[..., :201] = torch.randn(2, 12, 201)
    with torch.no_grad():
        assert torch.equal(reader(inputs), reader(other))
        other[0, 6, 201:] += 1.0
        assert (reader(inputs) != reader(other)).any(2)[0].any()


@pytest.mark.parametrize(("sensor", "first"), [("back", 0), ("thigh", 3)])
def test_of_one_sensor_it_reads_its_axes_and_no_others(sensor, first):
    torch.manual_seed(0)
    reader, inputs = WaveformReader(3, width=16, sensor=sensor).eval(), torch.randn(2, 12, 150)
    other, own = inputs.unflatten(2, (25, 6)).clone(), inputs.unflatten(2, (25, 6)).clone()
    other[..., [axis for axis in range(6) if not first <= axis < first + 3]] = 7.0
    own[..., first] += 1.0
    with torch.no_grad():
        assert torch.equal(reader(inputs), reader(other.flatten(2)))
        assert not torch.equal(reader(inputs), reader(own.flatten(2)))


def test_the_order_of_things_counts():
    """A spectrum's magnitudes are those of the same signal backwards; what is read here is not."""
    reader, inputs = reader_of(), torch.randn(1, 61, 150)
    with torch.no_grad():
        backwards = inputs.unflatten(2, (25, 6)).flip(1, 2).flatten(2)
        assert (reader(inputs) - reader(backwards).flip(1)).abs().max() > 1e-3


def test_what_is_far_away_is_hardly_heard():
    """Only in the norms; within five seconds in the convolutions."""
    reader, inputs = reader_of(), torch.randn(1, 61, 150)
    other = inputs.clone()
    other[0, 30] += 1.0
    with torch.no_grad():
        changed = (reader(inputs) - reader(other)).abs().amax(2)[0]
    assert changed[28:33].mean() > 10 * torch.cat([changed[:18], changed[43:]]).mean()


def test_bf16_gives_nearly_the_same():
    reader, inputs = reader_of(64, 10), torch.randn(2, 119, 150)
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        half = reader(inputs).float().softmax(-1)
    with torch.no_grad():
        assert 0 < (half - reader(inputs).softmax(-1)).abs().max() < 0.02


@pytest.mark.parametrize("sensor", [None, "thigh"])
def test_packed_for_prediction_it_says_the_same(sensor):
    torch.manual_seed(0)
    reader, inputs = WaveformReader(10, width=64, sensor=sensor).eval(), torch.randn(3, 60, 150)
    valid = torch.ones(3, 60, dtype=torch.bool)
    valid[1, 33:] = False
    ready = with_packed_products(copy.deepcopy(reader))
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
        fast, slow = (one(inputs, valid).float().softmax(-1)[valid] for one in (ready, reader))
    assert (fast - slow).abs().max() < 0.01
    if isinstance(packed(torch.nn.Conv2d(1, 1, 1)), PackedConvolution):
        assert not any(isinstance(part, torch.nn.Conv2d) for part in ready.modules())


def test_settings_that_do_not_fit_are_refused(toy):
    with pytest.raises(ValueError, match=r"wanted a multiple of 16 as waveform.width, or 0.*got 7, 1500, 16, 80"):
        WaveformConfig(width=7)
    with pytest.raises(ValueError, match=r"waveform.single=true needs a waveform.width"):
        WaveformConfig(single=True)
    with pytest.raises(ValueError, match=r"waveform.stretch from 0 to 1, got 0.2, 1.5"):
        WaveformConfig(width=16, stretch=1.5)
    shape = SpectrogramConfig(window_frames=11, hop_samples=10)
    upstream = Upstream.fresh(EncoderConfig(d_model=12, layers=1, heads=2, d_feedforward=16), shape, toy.numbers)
    config = FinetuneConfig(statistics=True, unfreeze_at=0.0, waveform=WaveformConfig(width=16))
    with pytest.raises(ValueError, match="needs frames 25 samples apart, got 10"):
        FinetunedClassifier("pretrained", upstream, toy.three, config, 0)
