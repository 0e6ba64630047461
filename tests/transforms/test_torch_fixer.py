"""A fixer of a roll-out in PyTorch: values and gradients, also inside torch.compile."""

import numpy as np
import pytest
import xarray as xr

import physcon.datasets as pcd

torch = pytest.importorskip(
    "torch", reason="PyTorch is not installed: pip install torch"
)

from physcon.torch import wrap  # noqa: E402

N = 8


@pytest.mark.parametrize("compiled", [False, True])
def test_a_rollout_has_the_gradients_of_the_closed_form(compiled):
    """Three steps u + a (b - a.u) / (a.a) of a linear model, and its loss."""
    area = np.random.default_rng(0).uniform(0.5, 1.5, N).astype(np.float32)
    template = xr.Dataset({"q": ("x", np.ones(N)), "area": ("x", area)})
    law = "total: {of: q, equals: initial, weights: area}"
    init, apply = map(wrap, pcd.fixer(law, template, spread=1.0))
    torch.manual_seed(0)
    model = torch.nn.Linear(N, N)
    a = torch.from_numpy(area)

    def rolled(q):
        carried = init({"q": q})
        state = {"q": q}
        for _ in range(3):
            moved = {"q": state["q"] + 0.1 * model(state["q"])}
            carried, state = apply(carried, moved)
        return (state["q"] ** 3).sum() + carried.chi_squared

    def closed(q):
        total, change = (a * q).sum(), torch.zeros(N)
        for _ in range(3):
            q = q + 0.1 * model(q)
            change = a * (total - (a * q).sum()) / (a * a).sum()
            q = q + change
        return (q**3).sum() + (change**2).sum()

    start = torch.rand(N, requires_grad=True)
    loss = torch.compile(rolled, backend="eager") if compiled else rolled
    leaves = (start, *model.parameters())
    got, expected = loss(start), closed(start)
    torch.testing.assert_close(got, expected)
    found = torch.autograd.grad(got, leaves)
    for x, y in zip(found, torch.autograd.grad(expected, leaves), strict=True):
        torch.testing.assert_close(x, y, rtol=1e-4, atol=1e-5)
