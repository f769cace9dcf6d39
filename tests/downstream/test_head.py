"""The head: the formula of section 3.2, written out; and the network it makes with an encoder."""

import numpy as np
import torch

from selfpab.downstream.head import Head, Network


def test_it_is_the_formula_written_out():
    torch.manual_seed(0)
    layers, windows, frames, width, hidden, classes = 3, 2, 5, 4, 6, 7
    head = Head(layers, width, hidden, classes).double()
    with torch.no_grad():
        head.layer_weights.copy_(torch.tensor([0.5, -2.0, 1.0]))
    states = torch.randn(layers, windows, frames, width, dtype=torch.float64)
    found = head(states)
    assert found.shape == (windows, frames, classes)
    w = {name: value.detach().numpy() for name, value in head.state_dict().items()}
    for b in range(windows):
        for t in range(frames):
            summed = sum(w["layer_weights"][layer] * states[layer, b, t].numpy() for layer in range(layers))
            inner = np.maximum(0, w["hidden.weight"] @ summed + w["hidden.bias"])
            logits = w["output.weight"] @ inner + w["output.bias"]
            np.testing.assert_allclose(found[b, t].detach().numpy(), logits, rtol=1e-10, atol=1e-12)


def test_the_layers_begin_with_equal_shares():
    np.testing.assert_allclose(Head(4, 8, 5, 3).layer_weights.detach().numpy(), [0.25] * 4)
    np.testing.assert_allclose(Head(1, 8, 5, 3).layer_weights.detach().numpy(), [1.0])


def test_the_weights_of_the_layers_are_trained_from_the_first_step():
    torch.manual_seed(1)
    head = Head(3, 8, 5, 2)
    head(torch.randn(3, 2, 4, 8)).square().sum().backward()
    assert (head.layer_weights.grad != 0).all()
    names = {"layer_weights", "hidden.weight", "hidden.bias", "output.weight", "output.bias"}
    assert set(dict(head.named_parameters())) == names


def test_the_weights_are_raw_scalars_and_no_softmax_is_taken_of_them():
    head = Head(2, 3, 4, 2)
    states = torch.randn(2, 1, 1, 3)
    with torch.no_grad():
        before = torch.relu(head.hidden(2.0 * states[0]))
        head.layer_weights.copy_(torch.tensor([2.0, 0.0]))
    torch.testing.assert_close(head(states), head.output(before))


def test_unweighted_is_the_last_layer_and_has_no_weights_of_layers():
    torch.manual_seed(2)
    head, states = Head(3, 4, 5, 2, weighted=False), torch.randn(3, 2, 6, 4)
    assert "layer_weights" not in head.state_dict()
    torch.testing.assert_close(head(states), head.output(torch.relu(head.hidden(states[2]))), rtol=0, atol=0)


def test_without_hidden_units_it_is_one_linear_layer():
    torch.manual_seed(2)
    head, states = Head(2, 4, 0, 3, weighted=False), torch.randn(2, 2, 6, 4)
    assert set(head.state_dict()) == {"output.weight", "output.bias"}
    torch.testing.assert_close(head(states), states[1] @ head.output.weight.T + head.output.bias)


def test_training_and_use_are_the_same():
    """No dropout: one hidden layer is all there is."""
    head = Head(2, 3, 50, 2)
    states = torch.randn(2, 4, 9, 3)
    torch.testing.assert_close(head.train()(states), head.eval()(states), rtol=0, atol=0)


def test_a_network_gives_the_head_every_layer(toy):
    encoder = toy.upstream().encoder.eval()
    network = Network(encoder, Head(2, 12, 5, 3))
    spectra, valid = torch.randn(2, 11, 156), torch.ones(2, 11, dtype=torch.bool)
    valid[1, 7:] = False
    layers = encoder.hidden_states(spectra, valid)
    torch.testing.assert_close(network.states(spectra, valid), torch.stack(layers), rtol=0, atol=0)
    mean = (layers[0] + layers[1]) / 2
    expected = network.head.output(torch.relu(network.head.hidden(mean)))
    torch.testing.assert_close(network(spectra, valid), expected)
    spoiled = spectra.clone()
    spoiled[1, 7:] = 9.0
    torch.testing.assert_close(network(spoiled, valid)[1, :7], network(spectra, valid)[1, :7])
    assert not torch.allclose(network(spoiled)[1, :7], network(spectra)[1, :7])


def test_without_an_encoder_the_spectrum_is_the_only_layer():
    network, spectra = Network(None, Head(1, 156, 5, 3)), torch.randn(2, 11, 156)
    torch.testing.assert_close(network.states(spectra), spectra[None], rtol=0, atol=0)
    torch.testing.assert_close(network(spectra), network.head(spectra[None]), rtol=0, atol=0)
