"""DeepConvLSTM: shapes, what an output depends on, what is learnt."""

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from selfpab.baselines.deepconvlstm import DeepConvLSTM

TINY = {"filters": 5, "kernel": 3, "convolutions": 2, "lstm": 4, "lstm_layers": 2, "dropout": 0.0}


def network(per_frame, seed=0, **changes):
    torch.manual_seed(seed)
    return DeepConvLSTM(3, 2, per_frame=per_frame, **{**TINY, **changes})


def by_hand(net, window, *, per_frame):
    """The same in numpy, one window (T, C), gate by gate."""
    state = {name: value.detach().double().numpy() for name, value in net.state_dict().items()}
    values = window.double().numpy()
    for layer in range(2):
        weight, bias = state[f"convolutions.{layer}.weight"], state[f"convolutions.{layer}.bias"]
        padded = np.pad(values, ((1, 1), (0, 0))) if per_frame else values
        rows = range(len(padded) - 2)
        values = np.maximum(0, [np.einsum("ock,kc->o", weight, padded[at : at + 3]) + bias for at in rows])
    for layer in range(2):
        wi, wh, bi, bh = (state[f"lstm.{kind}_l{layer}"] for kind in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"))
        hidden, cell, rows = np.zeros(4), np.zeros(4), []
        for row in values:
            into, forget, new, out = np.split(wi @ row + bi + wh @ hidden + bh, 4)
            cell = cell / (1 + np.exp(-forget)) + np.tanh(new) / (1 + np.exp(-into))
            hidden = np.tanh(cell) / (1 + np.exp(-out))
            rows.append(hidden)
        values = np.array(rows)
    logits = values @ state["output.weight"].T + state["output.bias"]
    return logits if per_frame else logits[-1]


@pytest.mark.parametrize("per_frame", [False, True])
def test_it_is_convolutions_then_an_lstm(per_frame):
    net, windows = network(per_frame), torch.randn(2, 11, 3)
    with torch.no_grad():
        found = net(windows)
    expected = np.array([by_hand(net, window, per_frame=per_frame) for window in windows])
    assert found.shape == expected.shape == ((2, 11, 2) if per_frame else (2, 2))
    np.testing.assert_allclose(found.numpy(), expected, atol=1e-6)


def test_published_sizes():
    """Four convolutions of 64 filters of length 5, two LSTM layers of 128, one linear output."""
    net = DeepConvLSTM(6, 7, per_frame=False)
    shapes = {name: tuple(value.shape) for name, value in net.state_dict().items()}
    assert [shapes[f"convolutions.{i}.weight"] for i in range(4)] == [(64, 6, 5), *[(64, 64, 5)] * 3]
    assert shapes["lstm.weight_ih_l0"] == (4 * 128, 64)
    assert shapes["lstm.weight_ih_l1"] == (4 * 128, 128)
    assert shapes["output.weight"] == (7, 128)
    assert len(shapes) == 8 + 8 + 2
    assert net.shortest == 17


def test_padding_behind_the_end_touches_no_real_frame():
    net = network(True, convolutions=4, kernel=5)
    with torch.no_grad():
        net.convolutions[0].bias += 1.0
        windows = torch.randn(2, 20, 3)
        valid = torch.ones(2, 20, dtype=torch.bool)
        valid[1, 13:] = False
        windows[1, 13:] = 0
        alone = net(windows[1:, :13])[0]
        torch.testing.assert_close(net(windows, valid)[1, :13], alone, rtol=0, atol=1e-6)
        windows[1, 13:] = 7.0
        torch.testing.assert_close(net(windows, valid)[1, :13], alone, rtol=0, atol=1e-6)
        torch.testing.assert_close(net(windows, valid)[0], net(windows)[0], rtol=0, atol=1e-6)
        assert (net(windows)[1, 9:13] - alone[9:]).abs().max() > 1e-3  # so there was something to keep away


@pytest.mark.parametrize("per_frame", [False, True])
def test_gradients_reach_every_parameter(per_frame):
    net = DeepConvLSTM(6, 3, per_frame=per_frame)
    net(torch.randn(4, 30, 6)).square().sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in net.parameters())


def test_dropout_is_on_the_input_of_both_lstm_layers_in_training_only():
    net, windows = network(True, dropout=0.5), torch.randn(1, 11, 3)
    seen = []
    net.lstm.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    assert net.lstm.dropout == 0.5
    net.train()(windows)
    net.eval()(windows)
    torch.testing.assert_close(net(windows), net(windows), rtol=0, atol=0)
    lost = (seen[0] == 0) & (seen[1] > 0)
    kept = (seen[0] > 0) & (seen[1] > 0)
    assert lost.any()
    torch.testing.assert_close(seen[0][kept], 2 * seen[1][kept])
    assert network(True, lstm_layers=1, dropout=0.5).lstm.dropout == 0.0  # torch would warn


@pytest.mark.parametrize("per_frame", [False, True])
def test_it_learns_an_order_in_time(per_frame):
    """Which of two bumps came first: neither the values nor any one place tell."""
    chance = np.random.default_rng(0)
    first = chance.integers(2, size=64)
    windows = chance.normal(0, 0.1, (64, 30, 3)).astype(np.float32)
    windows[np.arange(64), np.where(first == 0, 8, 20), 0] += 3
    windows[np.arange(64), np.where(first == 0, 20, 8), 1] += 3
    torch.manual_seed(0)
    net = DeepConvLSTM(3, 2, per_frame=per_frame, filters=8, convolutions=2, lstm=16, dropout=0.0)
    optimizer = torch.optim.Adam(net.parameters(), lr=0.02)
    inputs, truth = torch.from_numpy(windows), torch.from_numpy(first)
    for _ in range(60):
        logits = net(inputs)
        loss = F.cross_entropy(logits[:, -1] if per_frame else logits, truth)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss.item() < 0.05


def test_errors():
    with pytest.raises(ValueError, match="at least 17 samples, got 16"):
        DeepConvLSTM(6, 7, per_frame=False)(torch.zeros(1, 16, 6))
    with pytest.raises(ValueError, match="kernel of odd length, got 4"):
        DeepConvLSTM(6, 7, per_frame=True, kernel=4)
    assert DeepConvLSTM(6, 7, per_frame=True)(torch.zeros(1, 1, 6)).shape == (1, 1, 7)
