"""Studies on eight devices: the losses of one, and no step that gathers what is
divided.
"""

from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from meshes import LINE, collectives

import physcon as pc
from physcon.operators import spectral
from physcon.studies.boon import networks as boon_networks
from physcon.studies.boon.data import samples, study_grid
from physcon.studies.boon.settings import BoonConfig
from physcon.studies.operators import study as operator
from physcon.studies.operators.data import Samples
from physcon.studies.operators.settings import OperatorConfig
from physcon.studies.probconserv import fitting
from physcon.studies.probconserv.settings import (
    NetworkSettings,
    StudyConfig,
    TaskSettings,
    TrainingSettings,
)
from physcon.studies.session import Session
from physcon.studies.sharing import divided, solved
from physcon.training import loop

BOON = BoonConfig(
    problem="stokes", nodes=9, train=16, modes=3, width=4, depth=1, batch=8, steps=4,
    seeds=(1,), weight_decay=0.1,
)  # fmt: skip
OPERATOR = OperatorConfig(modes=(2, 2), width=4, depth=1, epochs=2, batch=8)

STEFAN = StudyConfig(
    problem="stefan",
    model="ensemble",
    tasks=TaskSettings(train=16, context=(3, 3), target=(3, 3)),
    network=NetworkSettings(size=8),
    training=TrainingSettings(batch=8, steps=4),
)


def boundary_networks(mesh=None):
    """Lifted ones; each device draws its own functions."""
    data = samples(jax.random.key(0), BOON, BOON.train, mesh)
    found = boon_networks.trained(
        "lift",
        BOON,
        study_grid(BOON),
        data,
        jax.random.key(1),
        Session(progress=False, mesh=mesh),
    )
    return found.params


def darcy_network(mesh=None):
    """A plain FNO in the plane, on data that a file might hold."""
    u = np.random.default_rng(0).normal(size=(16, 4, 8, 6)).astype(np.float32)
    train = Samples(u[:, :3], u[:, 3:] + u.mean(axis=1, keepdims=True))
    return operator.trained(OPERATOR, 0, train, Session(progress=False, mesh=mesh))


def stefan_ensemble(mesh=None):
    """Deep ensembles of a ProbConserv study; each device draws its own functions."""
    keys = jax.random.split(jax.random.key(2))
    with TemporaryDirectory() as folder:
        session = Session(folder=Path(folder), progress=False, mesh=mesh)
        models = fitting.train(STEFAN, keys[0], [keys[1]], session)
    return eqx.filter(models, eqx.is_array)


@pytest.mark.parametrize("train", [boundary_networks, darcy_network, stefan_ensemble])
def test_a_network_is_that_of_one_device_and_no_step_gathers(train, monkeypatch):
    programs, compiled = [], loop.compiled_chunk

    def read(*args):
        def run(*inputs):
            program = compiled(*args).lower(*inputs).compile()
            programs.append(collectives(program.compiled))
            return program(*inputs)

        return run

    monkeypatch.setattr(loop, "compiled_chunk", read)
    # Grids as small as here would go without the transform, which plain jit gathers
    # for.
    monkeypatch.setattr(spectral, "choose_method", lambda *_: "fft")
    got, expected = train(LINE), train()
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=2e-5),
        got,
        expected,
    )
    many, one = programs
    # A batch's rows go to their devices; the loss and its gradient are summed.
    assert set(many) == {"reduce-scatter", "all-reduce"}
    assert one == {}


def test_problems_of_any_number_are_solved_on_all_devices(getkey):
    def root(pair):
        a, key = pair
        prior = pc.Gaussian.diagonal(jnp.ones(1), jnp.ones(1))
        misfit = lambda x: 10.0 * (x**2 - a)  # noqa: E731
        found = pc.inverse.least_squares(misfit, prior, throw=False)
        return {"root": found.parameters, "drawn": jax.random.normal(key, (2,))}

    pairs = (jnp.arange(1.0, 12.0), jax.random.split(getkey(), 11))
    got, expected = solved(root, pairs, LINE), solved(root, pairs)
    jax.tree.map(partial(np.testing.assert_allclose, rtol=1e-5), got, expected)
    np.testing.assert_allclose(got["root"][:, 0], np.sqrt(pairs[0]), rtol=1e-2)
    assert got["drawn"].shape == (11, 2)
    assert all(leaf.is_fully_addressable for leaf in jax.tree.leaves(got))
    with pytest.raises(
        ValueError, match=r"training functions \(train\) that 8 devices .* got 11"
    ):
        divided(pairs, LINE)
