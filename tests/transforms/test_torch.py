"""physcon's functions on PyTorch tensors: PyTorch's own numbers and gradients."""

import equinox as eqx
import jax
import jax.numpy as jnp
import jaxtyping
import numpy as np
import pytest

import physcon as pc
from physcon._numerics.float64 import Pair

torch = pytest.importorskip(
    "torch", reason="PyTorch is not installed: pip install torch"
)

from physcon.torch import wrap  # noqa: E402

GRID = pc.Grid.uniform(0.0, 1.0, 8)
LAW = pc.integral(GRID, 1.5)


@wrap
def conserve(mean, std, law):
    """A batch of fields, conserved; several results, one of which has no gradient."""

    def one(mean, std):
        done = pc.condition(pc.Gaussian.diagonal(mean, std), law, throw=False)
        return {
            "mean": done.posterior.mean,
            "std": done.posterior.std(),
            "status": done.status,
        }

    return jax.vmap(one)(mean, std)


def conserve_in_torch(mean, std):
    """μ' = μ + v g (b - g·μ) / (g·v g) and v' = v - (v g)² / (g·v g) in PyTorch."""
    g = torch.tensor(np.asarray(GRID.weights()))
    vg = std**2 * g
    s = (vg * g).sum(-1, keepdim=True)
    missing = 1.5 - (mean * g).sum(-1, keepdim=True)
    return mean + vg * missing / s, torch.sqrt(std**2 - vg**2 / s)


@pytest.fixture
def tensors():
    torch.manual_seed(0)
    mean = torch.randn(8, 3).T.requires_grad_()  # not contiguous
    return mean, (torch.rand(3, 8) + 0.5).requires_grad_()


def test_values_and_gradients_are_pytorchs(tensors):
    out, expected = conserve(*tensors, LAW), conserve_in_torch(*tensors)
    assert (out["status"] == 0).all()
    assert not out["status"].requires_grad
    weight = torch.linspace(-1, 1, 24).reshape(3, 8)

    def gradients(mean, std):
        loss = (weight * mean**2).sum() + (weight * torch.log(std)).sum()
        return torch.autograd.grad(loss, tensors)

    torch.testing.assert_close(out["mean"], expected[0], rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(out["std"], expected[1], rtol=1e-5, atol=1e-6)
    pairs = zip(gradients(out["mean"], out["std"]), gradients(*expected), strict=True)
    for got, wanted in pairs:
        torch.testing.assert_close(got, wanted, rtol=1e-4, atol=1e-5)


def test_a_network_trains_through_the_constraint():
    """The loss falls, and every prediction has the mass."""
    torch.manual_seed(1)
    network = torch.nn.Linear(2, 8)
    x, target = torch.randn(5, 2), torch.full((5, 8), 1.5)
    optimizer, losses = torch.optim.Adam(network.parameters(), lr=0.1), []
    for _ in range(40):
        mean = conserve(network(x), torch.ones(5, 8), LAW)["mean"]
        loss = ((mean - target) ** 2).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.1 * losses[0]
    total = mean.detach().double().numpy() @ np.asarray(GRID.weights(), float)
    np.testing.assert_allclose(total, 1.5, rtol=1e-6)


def test_what_needs_no_gradient_gets_none(tensors):
    mean, std = tensors
    out = conserve(mean.detach(), std, LAW)
    (gradient,) = torch.autograd.grad(out["std"].sum(), std)
    assert torch.isfinite(gradient).all()
    with torch.no_grad():
        assert not conserve(mean, std, LAW)["mean"].requires_grad
    out = conserve(mean.detach(), std.detach(), LAW)
    assert not out["mean"].requires_grad


def test_complex_gradients_are_pytorchs():
    torch.manual_seed(2)
    x = torch.randn(3, 8, dtype=torch.complex64, requires_grad=True)
    weight = torch.randn(3, 8, dtype=torch.complex64)

    def gradient(fft):
        return torch.autograd.grad((weight * fft(x.conj()) ** 2).real.sum(), x)[0]

    torch.testing.assert_close(gradient(wrap(jnp.fft.fft)), gradient(torch.fft.fft))


def test_no_memory_is_shared_with_a_result():
    """In-place changes of a result reach neither the argument nor JAX's arrays."""
    x, y = torch.ones(3), jnp.ones(3)
    same, other = wrap(lambda x, y: (x, y))(x, y)
    same.add_(1)
    other.add_(1)
    assert (x == 1).all()
    assert (y == 1).all()


def test_a_change_in_place_before_backward_is_noticed():
    x = torch.ones(3, requires_grad=True)
    shared = x * 1.0
    out = wrap(lambda x: x**2)(shared)
    with torch.no_grad():
        shared.add_(1)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        out.sum().backward()


def test_second_derivatives_are_refused():
    x = torch.ones(3, requires_grad=True)
    with pytest.raises(ValueError, match="higher derivatives by JAX"):
        torch.autograd.grad(wrap(jnp.sin)(x).sum(), x, create_graph=True)


def test_compiled_once():
    traces = []

    @wrap
    def fn(x, factor):
        traces.append(None)
        return factor * x

    for k in range(3):
        fn(torch.full((4,), float(k)), jnp.asarray(float(k)))
    assert len(traces) == 1
    assert fn(torch.ones(4), 3.0).tolist() == [3.0] * 4


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            [torch.ones(2, dtype=torch.float64)],
            r"got torch.float64.*torch.float32.*enable_x64",
        ),
        ([torch.arange(2)], r"got torch.int64; convert it: x.to\(torch.int32\)"),
        ([torch.ones(2, 2).to_sparse()], r"got torch.sparse_coo; pass x.to_dense"),
        ([torch.ones(2, device="meta")], r"a device that JAX sees \(cpu.*got meta"),
        ([torch.ones(2), torch.ones(2, device="meta")], r"one device, got cpu, meta"),
        ([1.0], "among the arguments, got none"),
    ],
)
def test_tensors_that_jax_would_change_or_cannot_see(arguments, message):
    with pytest.raises(ValueError, match=message):
        wrap(lambda *x: x)(*arguments)


def test_half_precision_and_empty_tensors():
    out = wrap(lambda x, y: (2 * x, y[:0]))(
        torch.ones(2, dtype=torch.bfloat16), torch.ones(1)
    )
    assert out[0].dtype == torch.bfloat16
    assert out[1].shape == (0,)


def test_float64_where_it_is_on():
    with jax.enable_x64(True):
        out = wrap(jnp.sin)(torch.ones(2, dtype=torch.float64))
    assert out.dtype == torch.float64
    torch.testing.assert_close(out, torch.sin(torch.ones(2, dtype=torch.float64)))


@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor:UserWarning")
def test_inside_torch_compile(tensors):
    """PyTorch compiles around the wrapped function, with the same values and slopes."""
    weight = torch.linspace(-1, 1, 24).reshape(3, 8)

    def loss(mean, std):
        return (weight * conserve(2 * mean, std, LAW)["mean"] ** 2).sum()

    got = torch.compile(loss, backend="eager")(*tensors)
    torch.testing.assert_close(got, loss(*tensors))
    for a, b in zip(
        torch.autograd.grad(got, tensors),
        torch.autograd.grad(loss(*tensors), tensors),
        strict=True,
    ):
        torch.testing.assert_close(a, b)


class Kept(eqx.Module):
    """What a step of a roll-out carries: a module, a named pair and a static field."""

    pair: Pair
    count: jax.Array
    name: str = eqx.field(static=True)


@pytest.fixture
def unchecked():
    """Checks of types, which the tests add to physcon, are nothing PyTorch traces."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)


@pytest.mark.usefixtures("unchecked")
def test_a_rollout_is_one_graph():
    """Nothing breaks the graph; modules pass through it and out of it."""

    @wrap
    def start(x):
        return Kept(Pair(x, jnp.zeros_like(x)), jnp.asarray(0), "kept")

    @wrap
    def step(kept, state):
        x = state["x"] - jnp.mean(state["x"]) + jnp.mean(kept.pair.high)
        return Kept(kept.pair, kept.count + 1, kept.name), {"x": x}

    def rollout(x, a):
        kept = start(x)
        for _ in range(3):
            kept, state = step(kept, {"x": a * torch.sin(x)})
            x = state["x"]
        return kept, x

    def gradients(fn):
        x, a = torch.linspace(0, 1, 5).requires_grad_(), torch.tensor(0.7)
        kept, y = fn(x, a.requires_grad_())
        return kept, y, *torch.autograd.grad((y**2).sum(), (x, a))

    kept, *expected = gradients(rollout)
    whole = torch.compile(rollout, fullgraph=True, backend="aot_eager")
    found, *got = gradients(whole)
    torch.testing.assert_close(got, expected)
    assert isinstance(found, Kept)
    assert isinstance(found.pair, Pair)
    assert found.name == "kept"
    assert found.count == kept.count == 3
    assert whole(torch.ones(7), torch.tensor(2.0))[1].shape == (7,)


def test_a_number_where_one_per_sample_is_expected():
    @wrap
    def fixed(mean, mass):
        def one(mean, mass):
            prior = pc.Gaussian.diagonal(mean, jnp.ones(8))
            law = pc.integral(GRID, mass)
            return pc.condition(prior, law, throw=False).posterior.mean

        return jax.vmap(one)(mean, mass)

    assert fixed(torch.ones(3, 8), torch.full((3,), 1.5)).shape == (3, 8)
    with pytest.raises(ValueError, match=r"argument 2 = 1.5; pass a tensor with one"):
        fixed(torch.ones(3, 8), 1.5)
    with pytest.raises(ValueError, match=r"mass = 1.5"):
        fixed(torch.ones(3, 8), mass=1.5)
