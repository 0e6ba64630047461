# %% [markdown]
# # 17. Atoms in a reactor
#
# A network replaces the chemistry in a simulation of a flame. It predicts the species
# at every point of a reactor, and each of its small errors creates or destroys atoms.
# Over many steps they add up. The number of atoms of each element is a small law at
# every point: four rows for eight species, the same matrix in all cells.

# %%
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from matplotlib.figure import Figure

import physcon as pc

SPECIES = ("CH4", "O2", "CO", "CO2", "H2", "H2O", "OH", "N2")
ELEMENTS = ("C", "H", "O", "N")
ATOMS = np.array(
    [
        [1, 0, 1, 1, 0, 0, 0, 0],
        [4, 0, 0, 0, 2, 2, 1, 0],
        [0, 2, 1, 2, 0, 1, 1, 0],
        [0, 0, 0, 0, 0, 0, 0, 2],
    ],
    float,
)

# %% [markdown]
# ## A flame along a tube
#
# Methane burns in air, in steps: first to carbon monoxide and hydrogen, then to carbon
# dioxide and water. Amounts are in moles per kilogram of mixture, at 200 points. All
# points have the atoms of the fresh mixture.

# %%
x = jnp.linspace(0.0, 1.0, 200)
fresh = jnp.array([2.0, 4.2, 0.0, 0.0, 0.0, 0.0, 0.0, 16.0])
first = jnp.array([-1.0, -0.5, 1.0, 0.0, 2.0, 0.0, 0.0, 0.0])  # CH4 + O2/2 -> CO + 2 H2
second = jnp.array([0.0, -0.5, -1.0, 1.0, 0.0, 0.0, 0.0, 0.0])  # CO + O2/2 -> CO2
third = jnp.array([0.0, -0.5, 0.0, 0.0, -1.0, 1.0, 0.0, 0.0])  # H2 + O2/2 -> H2O
fourth = jnp.array([0.0, 0.5, 0.0, 0.0, 0.5, -1.0, 1.0, 0.0])  # H2O -> OH + H2/2, less
fourth = fourth.at[1].set(0.0)


def advanced(place, width):
    """How far a reaction is along the tube, from 0 to 1."""
    return jax.nn.sigmoid((x - place) / width)


truth = (
    fresh[:, None]
    + 2.0 * first[:, None] * advanced(0.3, 0.02)
    + 1.9 * second[:, None] * advanced(0.45, 0.05)
    + 3.9 * third[:, None] * advanced(0.4, 0.03)
    + 0.2 * fourth[:, None] * advanced(0.5, 0.03)
)
atoms = jnp.asarray(ATOMS) @ truth
assert float(jnp.abs(atoms - atoms[:, :1]).max()) < 1e-4

# %% [markdown]
# ## The prediction
#
# The error of a species is in proportion to its amount, with an absolute floor. Traces
# are predicted negative in places.

# %%
std = 0.03 * truth + 0.02
noise = jax.random.normal(jax.random.key(0), truth.shape)
predicted = truth + std * (noise + 0.7)
law = pc.pointwise(ATOMS, atoms)

# %% [markdown]
# ## Atoms, then atoms and signs
#
# `condition` distributes what is missing over the species by their errors.
# `constrained` also keeps every amount from being negative. Both act on all points at
# once, inside `jit`, with derivatives.


# %%
@jax.jit
def corrected(predicted, std, law):
    prior = pc.Gaussian.diagonal(predicted, std)
    posterior = pc.condition(prior, law).posterior
    positive = pc.conditioning.constrained(prior, law, lower=0.0)
    return posterior.mean, posterior.std(), positive.mean


mean, posterior_std, positive = corrected(predicted, std, law)
rows = {"prediction": predicted, "atoms": mean, "atoms and signs": positive}
print(f"{'':16}{'largest error of':>17}{'smallest':>10}{'rms error':>11}")
for name, u in rows.items():
    miss = float(jnp.abs(jnp.asarray(ATOMS) @ u - atoms).max())
    rms = float(jnp.sqrt(jnp.mean((u - truth) ** 2)))
    print(f"{name:16}{miss:12.1e} atoms{float(u.min()):9.3f}{rms:11.4f}")
assert float(jnp.abs(jnp.asarray(ATOMS) @ positive - atoms).max()) < 1e-4
assert float(positive.min()) >= 0
assert bool(jnp.all(posterior_std <= std * 1.0001))
shrunk = jnp.mean(posterior_std / std, axis=1)
for name, ratio in zip(SPECIES, shrunk, strict=True):
    print(f"the law leaves {100 * float(ratio):3.0f} % of the error of {name}")

# %% [markdown]
# Nitrogen is known exactly afterwards, as N2 is the only species that holds it.
#
# Don't use the atoms of the fresh mixture where species diffuse at different speeds:
# the elements separate there. Transport the elements as well, and pass their amounts as
# `values`. Don't correct a network that is systematically wrong like this either; the
# atoms will be right, and the mixture still wrong.

# %%
figure = Figure(figsize=(11, 3.8), layout="constrained")
axes = figure.subplots(1, 2)
for k, name in enumerate(SPECIES[:7]):
    axes[0].plot(x, truth[k], color=f"C{k}", label=name)
    axes[0].plot(x, positive[k], ".", color=f"C{k}", ms=2.5)
axes[0].set(
    title="truth (lines), corrected prediction (dots)",
    xlabel="place along the tube",
    ylabel="amount in mol/kg",
)
axes[0].legend(ncols=2, fontsize=8, loc="center right", bbox_to_anchor=(1, 0.66))
for k, name in enumerate(ELEMENTS):
    lost = (jnp.asarray(ATOMS) @ predicted - atoms)[k] / atoms[k]
    axes[1].plot(x, 100 * lost, color=f"C{k}", lw=0.8, label=f"{name}, predicted")
kept = 100 * (jnp.asarray(ATOMS) @ positive - atoms) / atoms
axes[1].plot(x, kept.T, "k", lw=2, label=["corrected, all elements", *[None] * 3])
axes[1].set(
    title="atoms created by the prediction",
    xlabel="place along the tube",
    ylabel="error of the atoms in %",
)
axes[1].legend(fontsize=8)
Path("out").mkdir(exist_ok=True)
figure.savefig("out/17_reactor_atoms.png", dpi=120)
