"""TS-LIF against the values of the paper's and the released code's equations."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from harness.contracts import neurons
from harness.errors import HarnessError
from harness.neurons.kernels import ts_lif_passes
from harness.neurons.kernels.ts_lif_functional import ts_lif_multistep
from harness.neurons.kernels.ts_lif_recurrence import Block, Form, Gains, Rule
from harness.neurons.ts_lif import TSLIF, TSLIFParams, spectral_radius, stability_margin

# (x, form) -> four steps of (u_d, u_s before the reset, s_d, s_s); measured with the released code;
# docs/papers.md, TS-LIF
STEPS = {
    (2.0, "code"): [
        (0.4, 1.08, 0, 1),
        (0.712, 0.8544, 0, 0),
        (0.8842, 0.949, 0, 0),
        (1.0124, 0.8748, 1, 0),
    ],
    (3.0, "code"): [
        (0.6, 1.62, 0, 1),
        (1.018, 1.4716, 1, 1),
        (0.9672, 1.4677, 0, 1),
        (1.327, 1.1787, 1, 1),
    ],
    (2.0, "paper"): [
        (0.4, 1.08, 0, 1),
        (0.612, 0.2344, 0, 0),
        (0.8662, 0.7774, 0, 0),
        (1.0152, 0.8211, 1, 0),
    ],
    (3.0, "paper"): [
        (0.6, 1.62, 0, 1),
        (0.918, 0.8516, 0, 0),
        (1.2492, 1.3561, 1, 1),
        (0.9638, 0.7358, 0, 0),
    ],
}
FORMS = ("code", "paper")


def make(form: str = "code", **others: object) -> TSLIF:
    return TSLIF(TSLIFParams(form=form, **others))


@pytest.mark.parametrize(("x", "form"), STEPS)
def test_membranes_and_spikes_are_those_of_the_papers_page(x, form):
    neuron = make(form)
    block = Block(4, 1, torch.zeros(1), hold=True, backward=True)
    gains = Gains(*neuron.gains().tolist())
    form_ = Form.of(gains, neuron.rule, torch.zeros(1))
    steps = block.run(torch.full((1, 1), x), form_, neuron.rule)
    spikes = [s.tolist() for s in steps]
    for t, (u_d, u_s, s_d, s_s) in enumerate(STEPS[x, form]):
        assert spikes[t] == [[s_d], [s_s]]
        assert block.at[t][1].flatten().tolist() == pytest.approx([u_d, u_s], abs=6e-5)


@pytest.mark.parametrize(
    ("x", "dendrite", "soma"),
    [(0.25, 0, 0), (1.0, 0, 0), (1.5, 0, 0), (2.0, 0.25, 0.25), (3.0, 0.5, 1.0)],
)
def test_firing_rates_of_a_held_input(x, dendrite, soma):
    for share, rate in ((1.0, dendrite), (0.0, soma)):
        assert make(kappa=share).hold(torch.tensor([x]), 4).item() == rate


def test_gradients_are_those_measured_with_the_released_code():
    neuron = make(kappa=0.5)
    with torch.no_grad():
        neuron.mix.fill_(1.0)
    x = torch.tensor([2.0], requires_grad=True)
    neuron(x.expand(4, 1)).sum().backward()
    assert x.grad.item() == pytest.approx(2.56838, abs=1e-4)
    d0, d2, d1, d3 = neuron.decay.grad.tolist()
    assert [d0, d1, d2, d3] == pytest.approx([0.43256, -0.05301, 1.72958, 7.35338], abs=1e-4)
    b1, b2 = neuron.coupling.grad.tolist()  # yy = -b1, kk = -b2
    assert [-b1, -b2] == pytest.approx([-0.48996, -2.74845], abs=1e-4)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(("features", "axis"), [(1, -1), (3, -1), (5, -2)])
@pytest.mark.parametrize("block", [7, 30, 1 << 16])
def test_the_fused_node_equals_single_steps(form, features, axis, block, monkeypatch):
    monkeypatch.setattr(ts_lif_passes, "CPU_BLOCK", block)
    torch.manual_seed(1)
    neuron = make(form, learn_g1=True, learn_g2=True, mix_start="normal").double()
    neuron = neuron.widen(features, axis).double()
    x = (3.0 * torch.randn(4, 2, 5, 3, dtype=torch.float64)).requires_grad_()
    weight = torch.randn_like(x)
    leaves = [x, *neuron.parameters()]
    fused = neuron(x)
    by_fused = torch.autograd.grad((fused * weight).sum(), leaves)
    single = super(TSLIF, neuron).forward(x)
    by_steps = torch.autograd.grad((single * weight).sum(), leaves)
    torch.testing.assert_close(fused, single)
    for left, right in zip(by_fused, by_steps, strict=True):
        torch.testing.assert_close(left, right)


@pytest.mark.parametrize("form", FORMS)
def test_a_held_input_equals_its_copies(form):
    torch.manual_seed(2)
    neuron = make(form).widen(5, -2)
    x = (2.0 * torch.randn(4, 5, 3)).requires_grad_()
    held, copies = neuron.hold(x, 6), neuron(x.expand(6, 4, 5, 3)).mean(0)
    torch.testing.assert_close(held, copies)
    leaves = [x, *neuron.parameters()]
    for left, right in zip(
        torch.autograd.grad(held.square().sum(), leaves),
        torch.autograd.grad(copies.square().sum(), leaves),
        strict=True,
    ):
        torch.testing.assert_close(left, right, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", ["sigmoid", "rect", "gaussian"])
def test_other_surrogates_reach_the_fused_node(name):
    torch.manual_seed(3)
    neuron = make(surrogate={"name": name, "width": 0.7})
    x = (2.0 * torch.randn(3, 8)).requires_grad_()
    fused = torch.autograd.grad(neuron(x).sum(), x)[0]
    single = torch.autograd.grad(super(TSLIF, neuron).forward(x).sum(), x)[0]
    torch.testing.assert_close(fused, single)


def test_the_gradient_is_the_derivative_where_the_surrogate_is_left_out():
    """With a surrogate so narrow that it vanishes, gradients through spikes are none at all."""
    neuron = make(surrogate={"name": "rect", "width": 0.01})
    x = torch.tensor([[0.2]], requires_grad=True)
    assert torch.autograd.grad(neuron(x).sum(), x)[0].item() == 0.0


def test_stability_formula_agrees_with_eigenvalues():
    draws = np.random.default_rng(0).uniform(-1.6, 1.6, (20_000, 4))
    a1, a2, b1, b2 = draws.T
    matrix = np.stack([np.stack([a1, b1], -1), np.stack([a1 * b2, a2 + b1 * b2], -1)], -2)
    radius = np.abs(np.linalg.eigvals(matrix)).max(-1)
    ours = np.array([spectral_radius(*row) for row in draws])
    np.testing.assert_allclose(ours, radius, rtol=1e-6, atol=1e-6)
    stable = np.array([stability_margin(*row) < 0 for row in draws])
    assert (stable == (radius < 1)).all()
    assert 0.2 < stable.mean() < 0.8


def test_initial_constants_are_stable_with_the_eigenvalues_of_the_papers_page():
    a1, a2, b1, b2 = 0.8, 0.3, -0.1, -0.8
    assert spectral_radius(a1, a2, b1, b2) == pytest.approx(0.91879, abs=1e-5)
    assert a1 * a2 / 0.91879 == pytest.approx(0.26121, abs=1e-5)
    assert stability_margin(a1, a2, b1, b2) < 0
    assert stability_margin(0.8, 0.3, 0.3, 0.5) > 0  # b1*b2 = .15 > (1-a1)(1-a2) = .14


@pytest.mark.parametrize("form", FORMS)
def test_two_nodes_share_no_storage_and_a_second_model_starts_afresh(form):
    first, second = make(form), make(form)
    start = second.gains().tolist()
    optimizer = torch.optim.SGD(first.parameters(), 0.1)
    first(torch.full((4, 3), 2.0)).sum().backward()
    optimizer.step()
    assert first.gains().tolist() != start
    assert second.gains().tolist() == start == make(form).gains().tolist()
    storages = {p.data_ptr() for n in (first, second) for p in [*n.parameters(), *n.buffers()]}
    assert len(storages) == len([*first.parameters(), *first.buffers()]) * 2


def test_code_form_starts_at_the_released_constants():
    assert make().gains().tolist() == pytest.approx([0.8, -0.1, 0.2, 0.3, -0.8, 0.7, 0.5, 1.0])
    assert make("paper").weights().tolist() == [[0.5], [0.5]]


SEVEN = ("a1", "a2", "b1", "b2", "g1", "g2", "kappa")
#: What one learned constant moves: names in `constants()`, besides the spectral radius.
MOVES = {"a1": {"a1", "gain_d"}, "a2": {"a2", "gain_s"}, "kappa": {"mix_d", "mix_s"}}


def trained(neuron: TSLIF) -> dict[str, float]:
    """Its constants after three steps of a decaying optimizer, which moves all that is learned."""
    torch.manual_seed(4)
    optimizer = torch.optim.AdamW(neuron.parameters(), 0.05, weight_decay=0.1)
    for _ in range(3):
        x = 3.0 * torch.randn(4, 32)
        target = torch.rand(4, 32)
        optimizer.zero_grad()
        (neuron(x) - target).square().sum().backward()
        optimizer.step()
    return neuron.constants()


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", SEVEN)
def test_each_constant_learns_alone_while_the_others_keep_every_bit(form, name):
    neuron = make(form, **{f"learn_{other}": other == name for other in SEVEN})
    before = neuron.constants()
    after = trained(neuron)
    moved = {key for key in before if before[key] != after[key]} - {"spectral_radius"}
    assert moved == MOVES.get(name, {name})


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", SEVEN)
def test_each_constant_is_fixed_alone_while_the_others_learn(form, name):
    neuron = make(form, **{f"learn_{other}": other != name for other in SEVEN})
    before = neuron.constants()
    after = trained(neuron)
    kept = {key for key in before if before[key] == after[key]} - {"spectral_radius"}
    assert kept == MOVES.get(name, {name})


@pytest.mark.parametrize("form", FORMS)
def test_what_is_learned_does_not_change_the_neuron_at_its_start(form):
    x = 3.0 * torch.randn(4, 16)
    wanted, gains = make(form)(x), make(form).gains()
    for learned in range(1 << len(SEVEN)):
        switches = {f"learn_{name}": bool(learned >> i & 1) for i, name in enumerate(SEVEN)}
        neuron = make(form, **switches)
        assert torch.equal(neuron.gains(), gains)
        assert torch.equal(neuron(x), wanted)
        assert len({*neuron.state_dict()} - {"mix", "fixed"}) == len(neuron.learned)


def test_by_default_the_resets_alone_are_fixed():
    assert {name for name, _ in make().named_parameters()} == {"decay", "coupling", "mix"}
    assert make().fixed.tolist() == [0.5, 1.0]
    nothing = {f"learn_{name}": False for name in SEVEN}
    assert not list(make(**nothing).parameters())


def test_normal_mix_depends_on_the_seed():
    torch.manual_seed(0)
    one, other = (make(mix_start="normal").widen(64).mix for _ in range(2))
    assert not torch.equal(one, other)
    assert abs(one.mean().item()) < 0.5
    assert one.std().item() == pytest.approx(1.0, abs=0.3)


def test_batches_of_different_size_follow_one_another():
    neuron = make()
    for batch in (5, 2, 7):
        x = torch.randn(4, batch, 3, requires_grad=True)
        neuron(x).sum().backward()
        assert torch.isfinite(x.grad).all()


def test_half_precision_goes_through_float32():
    x = torch.randn(4, 9).bfloat16().requires_grad_()
    out = make()(x)
    out.float().sum().backward()
    assert out.dtype is torch.bfloat16
    assert torch.isfinite(x.grad).all()


def test_wrong_shapes_say_what_was_allowed():
    with pytest.raises(HarnessError, match="at least 1 timestep"):
        make()(torch.zeros(0, 2))
    with pytest.raises(HarnessError, match="4 mixing weights do not fit axis 2"):
        make().widen(4)(torch.zeros(2, 3, 5))


def test_the_neuron_is_registered():
    assert neurons()["ts-lif"] is TSLIF
    assert math.isinf(TSLIF.high)
    assert set(make().constants()) >= {"a1", "b2", "mix_d", "spectral_radius"}


def test_one_step_equals_the_plain_formula():
    x = torch.tensor([[1.7, -0.4]])
    gains = make().gains()
    out = ts_lif_multistep(x, gains, torch.tensor([[0.25], [0.75]]), Rule())
    # u_d = .2 x, u_s = .7 x - .8 u_d = .54 x: below the threshold of 1
    assert out.tolist() == [[0.0, 0.0]]
    assert ts_lif_multistep(2 * x, gains, torch.tensor([[0.25], [0.75]]), Rule()).tolist() == [[0.75, 0.0]]
