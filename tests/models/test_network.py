"""One topology whose activation is switched: state dicts transfer by name."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from harness.contracts import DatasetCard
from harness.errors import IncompatibleError
from harness.models.build import NetworkParams, build, input_shape
from harness.models.crnn import CRNN
from harness.models.network import Network, NeuronFactory, load, neurons_of, switch, transfer
from harness.neurons.analog import ReLU, SharpenedReLU
from harness.neurons.constants import LeakParams
from harness.neurons.liaf import LIAF, LIAFParams
from harness.neurons.lif import LIF
from harness.neurons.plif import PLIF

SMALL = {
    "mlp": NetworkParams(name="mlp", hidden=16, layers=2),
    "vgg": NetworkParams(name="vgg", width=4, depth=3),
    "resnet": NetworkParams(name="resnet", width=4),
    "crnn": NetworkParams(name="crnn", scale=16),
}
SHAPE = (2, 12, 12)


def small(name: str, neuron: NeuronFactory = LIF, seed: int = 0, shape: tuple[int, ...] = SHAPE) -> Network:
    generator = torch.Generator().manual_seed(seed)
    return build(SMALL[name], shape, 5, neuron, v_threshold=0.5, generator=generator)


def frames(steps: int = 4, batch: int = 3) -> Tensor:
    return torch.rand(steps, batch, *SHAPE, generator=torch.Generator().manual_seed(7)) * 2


@pytest.mark.parametrize("name", SMALL)
def test_logits_and_gradients(name: str) -> None:
    network = small(name)
    logits = network(frames())
    assert logits.shape == (3, 5)
    logits.sum().backward()
    missing = [key for key, p in network.named_parameters() if p.grad is None]
    assert not missing
    assert all(p.grad.isfinite().all() for p in network.parameters() if p.grad is not None)


@pytest.mark.parametrize("name", SMALL)
def test_the_last_step_by_step_is_the_whole(name: str) -> None:
    network = small(name).eval()
    by_step = network.forward_by_step(frames())
    assert by_step.shape == (4, 3, 5)
    torch.testing.assert_close(by_step[-1], network(frames()))
    torch.testing.assert_close(by_step[1], network(frames()[:2]))


@pytest.mark.parametrize("name", SMALL)
def test_weights_come_from_the_seed(name: str) -> None:
    first, same, other = small(name), small(name), small(name, seed=1)
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), same.parameters(), strict=True))
    assert not torch.equal(first.head.weight, other.head.weight)


@pytest.mark.parametrize("name", SMALL)
def test_switching_keeps_every_tensor(name: str) -> None:
    network = small(name, ReLU)
    before = {key: value.data_ptr() for key, value in network.state_dict().items()}
    count = len(neurons_of(network))
    switch(network, LIF)
    assert {key: value.data_ptr() for key, value in network.state_dict().items()} == before
    assert [type(neuron) for neuron in neurons_of(network)] == [LIF] * count
    assert network(frames()).shape == (3, 5)


def test_all_activations_have_the_same_keys() -> None:
    keys = [set(small("resnet", kind).state_dict()) for kind in (ReLU, SharpenedReLU, LIAF, LIF)]
    assert all(other == keys[0] for other in keys)


def test_a_learned_decay_goes_from_liaf_to_plif() -> None:
    network = small("resnet", lambda: LIAF(LIAFParams(learn_decay=True)))
    with torch.no_grad():
        for index, neuron in enumerate(neurons_of(network)):
            neuron.w.fill_(0.1 * index)
    switch(network, lambda: PLIF(LeakParams(tau=3.0)))
    for index, neuron in enumerate(neurons_of(network)):
        assert neuron.w.item() == pytest.approx(0.1 * index)
        assert neuron.params.tau == 3.0


def test_switching_keeps_evaluation_mode() -> None:
    network = small("mlp", ReLU).eval()
    switch(network, LIF)
    assert not any(module.training for module in network.modules())


def test_load_lists_every_difference() -> None:
    network = small("resnet")
    state = network.state_dict()
    del state["head.bias"]
    state["extra"] = torch.zeros(1)
    state["conv.weight"] = torch.zeros(4, 3, 3, 3)
    with pytest.raises(IncompatibleError) as caught:
        load(network, state, where="anns/a.pt")
    line = str(caught.value)
    assert "\n" not in line
    assert "anns/a.pt does not fit the network (3 differences)" in line
    assert "missing head.bias" in line
    assert "unexpected extra" in line
    assert "conv.weight has shape (4, 3, 3, 3), the network (4, 2, 3, 3)" in line


@pytest.mark.parametrize("name", ["resnet", "crnn"])
@pytest.mark.parametrize("part", ["encoder", "decoder", "both"])
def test_partial_transfer(name: str, part: str) -> None:
    network, source = small(name), small(name, seed=1)
    old, new = network.state_dict(), source.state_dict()
    old = {key: value.clone() for key, value in old.items()}
    transfer(network, new, part=part, skip=network.stem + ".")
    for key, value in network.state_dict().items():
        decoder = key.startswith(network.decoder_prefixes)
        taken = (part == "both" or decoder == (part == "decoder")) and not key.startswith(network.stem + ".")
        assert torch.equal(value, new[key] if taken else old[key]), key


def test_transfer_that_does_not_fit() -> None:
    network = small("resnet")
    state = small("resnet", shape=(1, 12, 12)).state_dict()
    with pytest.raises(IncompatibleError, match=r"conv\.weight has shape"):
        transfer(network, state)
    transfer(network, state, skip="conv.")


def test_a_padded_sequence_reads_its_own_steps() -> None:
    network = small("mlp", ReLU).eval()
    x = frames(steps=5, batch=2)
    length = torch.tensor([2, 5])
    logits = network(x, length)
    torch.testing.assert_close(logits[0], network(x[:2, :1])[0])
    torch.testing.assert_close(logits[1], network(x[:, 1:])[0])


def test_crnn_of_the_paper_flattens_to_17920() -> None:
    with torch.device("meta"):
        network = CRNN((2, 256, 342), 101, torch.nn.BatchNorm2d, ReLU)
    assert network.flat == 17_920
    assert network(torch.zeros(2, 1, 2, 256, 342, device="meta")).shape == (1, 101)


def test_inputs_that_do_not_suit() -> None:
    generator = torch.Generator()
    with pytest.raises(IncompatibleError, match=r"network\.name: mlp"):
        build(SMALL["resnet"], (12,), 5, LIF, generator=generator)
    with pytest.raises(IncompatibleError, match="too small"):
        build(NetworkParams(name="crnn"), (2, 16, 16), 5, LIF, generator=generator)
    card = DatasetCard("m", "1", "forecasting", "nlc", (168, 7), (1, 1, 1))
    with pytest.raises(IncompatibleError, match="layout 'nlc'"):
        input_shape(card)
