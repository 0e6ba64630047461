# %% [markdown]
# # 16. A pipe network with a leak
#
# Flow meters of a district of a city disagree, since each has an error. What flows into
# a node has to leave it, so that the meters check each other: the balances correct
# them, and tell a leak and a broken meter from noise.
#
# The network is written here. With `wntr` installed, ``PIPE_NETWORK=Net3`` takes the
# pipes of that network instead.

# %%
import os
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from matplotlib.cm import ScalarMappable
from matplotlib.collections import LineCollection
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

import physcon as pc


def district():
    """5 x 4 street corners 100 m apart, with pipes along the streets, and a source."""
    place = np.array([(100.0 * i, 100.0 * j) for j in range(4) for i in range(5)])
    along = [(k, k + 1) for k in range(20) if k % 5 < 4]
    across = [(k, k + 5) for k in range(15)]
    missing = {(6, 7), (12, 17), (3, 8)}
    pipes = [p for p in along + across if p not in missing]
    return place, np.array([(-1, 0), *pipes])


def of_wntr(name):
    """Junctions, and pipes between them; reservoirs and tanks are outside, -1."""
    import wntr

    network = wntr.network.WaterNetworkModel(name)
    number = {n: k for k, n in enumerate(network.junction_name_list)}
    place = [network.get_node(n).coordinates for n in number]
    ends = [
        (number.get(link.start_node_name, -1), number.get(link.end_node_name, -1))
        for _, link in network.links()
    ]
    return np.array(place), np.array(ends)


name = os.environ.get("PIPE_NETWORK")
place, pipes = of_wntr(name) if name else district()
nodes = len(place)

# %% [markdown]
# ## The day before
#
# All demands are known from the bills. Every flow is measured with an error of 3 per
# cent. The field is the flow in each pipe; `incidence` states that the flows balance.

# %%
rng = np.random.default_rng(4)
demand = rng.uniform(1.0, 4.0, nodes)
law = pc.incidence(pipes, nodes, jnp.asarray(-demand))
start = pc.Gaussian.diagonal(jnp.zeros(len(pipes)), jnp.ones(len(pipes)))
true_flow = np.asarray(pc.condition(start, law).posterior.mean)
std = 0.03 * np.maximum(np.abs(true_flow), 1.0)
measured = true_flow + std * rng.normal(size=len(pipes))
prior = pc.Gaussian.diagonal(jnp.asarray(measured), jnp.asarray(std))
posterior = pc.condition(prior, law).posterior
before = np.sqrt(np.mean((measured - true_flow) ** 2))
after = np.sqrt(np.mean((np.asarray(posterior.mean) - true_flow) ** 2))
print(f"rms error of the meters {before:.3f} l/s, of the balanced flows {after:.3f}")
assert after < before
found = pc.diagnose(prior, law)
print(f"all meters in order: p = {float(found.p_value):.2f}, {found.suspects}")

# %% [markdown]
# ## A broken meter
#
# One meter is off by 8 of its standard deviations. Least squares alone would spread the
# error over the neighbouring pipes. `diagnose` tests every meter.

# %%
broken = 9
wrong = measured.copy()
wrong[broken] += 8 * std[broken]
found = pc.diagnose(pc.Gaussian.diagonal(jnp.asarray(wrong), jnp.asarray(std)), law)
print(f"p = {float(found.p_value):.1e}, suspects {found.suspects}, broken: {broken}")
assert float(found.p_value) < 0.01

# %% [markdown]
# ## A leak
#
# A leak is water that leaves at a node without a bill, and so breaks the balance there.
# For every node, one flow more is added to the network, from the node to the outside,
# with a wide error. The evidence tells how well each of these laws explains the meters,
# and the posterior of the added flow how large the leak is.

# %%
leaking, lost = 13 % nodes, 2.5
flow_with_leak = pc.condition(
    start, pc.incidence(pipes, nodes, jnp.asarray(-demand).at[leaking].add(-lost))
).posterior.mean
std = 0.03 * np.maximum(np.abs(flow_with_leak), 1.0)
meters = jnp.asarray(np.asarray(flow_with_leak) + std * rng.normal(size=len(pipes)))
dense = law.operator.rows()


@jax.jit
@jax.vmap
def explained_by(node):
    """Log evidence of a leak at a node, and its size with a standard deviation."""
    rows = jnp.concatenate([dense, jax.nn.one_hot(node, nodes)[:, None]], axis=1)
    leak = pc.LinearConstraint(pc.linear_map.Rows(rows), law.value)
    guess = pc.Gaussian.diagonal(
        jnp.append(meters, 0.0), jnp.append(jnp.asarray(std), 5.0)
    )
    result = pc.condition(guess, leak, throw=False)
    return result.log_evidence, result.posterior.mean[-1], result.posterior.std()[-1]


evidence, size, error = explained_by(jnp.arange(nodes))
likely = jax.nn.softmax(evidence)
best = int(jnp.argmax(likely))
print(
    f"the leak is at node {best} with probability {float(likely[best]):.2f}: "
    f"{float(size[best]):.2f} +- {float(error[best]):.2f} l/s "
    f"(true: node {leaking}, {lost} l/s)"
)
if not name:
    assert best == leaking
    assert abs(float(size[best]) - lost) < 4 * float(error[best])

# %% [markdown]
# Don't search for leaks like this where the demands are guesses: the error of a demand
# is then as large as the leak. Give each demand an edge to the outside with its own
# error instead of an exact supply. Meters that nothing checks, such as those in a part
# of the network that is a tree with unknown demands, stay as they are.

# %%
figure = Figure(figsize=(11, 4.2), layout="constrained")
axes = figure.subplots(1, 2)
inner = (pipes >= 0).all(1)
segments = place[pipes[inner]]
for axis, values, title in (
    (axes[0], np.abs(np.asarray(found.score)), "one meter is broken: |score| of each"),
    (axes[1], np.asarray(flow_with_leak), "a leak: flow, and probability by node"),
):
    sizes = np.abs(values)[inner]
    scale = Normalize(float(sizes.min()), float(sizes.max()))
    lines = LineCollection(segments, cmap="viridis_r", norm=scale, linewidth=4)
    lines.set_array(sizes)
    axis.add_collection(lines)
    axis.set(title=title, xlabel="x in m", ylabel="y in m", aspect="equal")
    axis.margins(0.1)
    label = "|score|" if axis is axes[0] else "flow in l/s"
    figure.colorbar(ScalarMappable(scale, "viridis_r"), ax=axis, label=label)
middle = place[pipes[broken]].mean(0)
axes[0].plot(*middle, "rx", ms=12, mew=3, label="the broken meter")
axes[1].scatter(
    *place.T,
    s=320 * np.asarray(likely),
    color="C1",
    zorder=3,
    label="probability of a leak",
)
axes[1].plot(*place[leaking], "rx", ms=10, mew=2, zorder=4, label="the leak")
for axis in axes:
    axis.legend(loc="upper center", bbox_to_anchor=(0.5, -0.15), ncols=2, fontsize=8)
Path("out").mkdir(exist_ok=True)
figure.savefig("out/16_pipe_network.png", dpi=120)
