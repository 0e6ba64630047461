# %% [markdown]
# # 15. Downscaling rain on a sphere
#
# A coarse model, or a satellite, gives the mean rain over blocks of 4 x 4 degrees. A
# network predicts the field at 1 degree, where it is right about the pattern, wrong
# about the amount, and sometimes negative. The rain is wanted that has the block means
# exactly, is nowhere negative, and differs from the prediction as little as its errors
# allow. That is a law with 4050 rows for 64 800 unknowns.
#
# The field is synthetic. Two variables in the environment name a file and one of its
# variables on a (lat, lon) grid to use instead:
#
# ```sh
# RAIN_FILE=rain.nc RAIN_VARIABLE=pr python examples/15_downscaling.py
# ```

# %%
import os
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from matplotlib import colormaps
from matplotlib.figure import Figure

import physcon as pc
from physcon.sphere import cell_areas, midpoint_bounds

FACTOR = 4


def synthetic(rng):
    """Rain in mm per day: wet tropics, storm tracks, dry subtropics, and dry spells."""
    lat, lon = np.arange(-89.5, 90), np.arange(0.5, 360)
    waves = [np.fft.fftfreq(k.size, 1 / k.size) for k in (lat, lon)]
    scale = 1 / (1 + (waves[0][:, None] / 12) ** 2 + (waves[1] / 24) ** 2)
    noise = np.fft.fft2(rng.normal(size=scale.shape))
    pattern = np.fft.ifft2(noise * scale).real
    belts = np.exp(-((lat / 9) ** 2)) + 0.5 * np.exp(-(((abs(lat) - 45) / 12) ** 2))
    rain = np.maximum(6 * belts[:, None] * (1 + pattern / pattern.std()) - 1, 0)
    return lat, lon, rain


def from_file(path, variable):
    """The first (lat, lon) field of a file, cut to whole blocks."""
    import xarray as xr

    with xr.open_dataset(path) as file:
        field = file[variable].squeeze()
        field = field.isel({d: 0 for d in field.dims[:-2]})
        rows, columns = (n - n % FACTOR for n in field.shape)
        lat, lon = (np.asarray(field[d]) for d in field.dims)
        return lat[:rows], lon[:columns], np.asarray(field, float)[:rows, :columns]


rng = np.random.default_rng(0)
path = os.environ.get("RAIN_FILE")
lat, lon, truth = (
    from_file(path, os.environ["RAIN_VARIABLE"]) if path else synthetic(rng)
)
bounds = midpoint_bounds(lat), midpoint_bounds(lon)
areas = jnp.asarray(cell_areas(*bounds, radius=1.0))

# %% [markdown]
# ## The prediction, and what is known
#
# The network is 30 per cent too wet on one hemisphere and too dry on the other. Its
# stated error is a part of the rain, and a small constant.

# %%
factors = 1 + 0.3 * np.sin(np.deg2rad(lon))
noise = rng.normal(size=truth.shape)
std = 0.1 + 0.25 * truth
predicted = jnp.asarray(truth * factors + std * noise)
std = jnp.asarray(std)


@jax.jit
def block_means(field):
    """Area-weighted means of the blocks, by hand."""

    def cut(x):
        rows, columns = (n // FACTOR for n in x.shape)
        return x.reshape(rows, FACTOR, columns, FACTOR).sum((1, 3))

    return cut(areas * field) / cut(areas)


coarse = block_means(jnp.asarray(truth))
law = pc.block_means(areas, FACTOR, coarse)

# %% [markdown]
# ## Four corrections
#
# `condition` has the means, but leaves negative rain. Clipping that afterwards adds
# rain. `bounded` obeys both, and `condition_relative` multiplies the clipped prediction
# by factors. It is the choice where errors are proportional to the rain.


# %%
@jax.jit
def corrections(predicted, std, law):
    prior = pc.Gaussian.diagonal(predicted, std)
    free = pc.condition(prior, law).posterior.mean
    positive = pc.bounded(prior, law, lower=0.0).mean
    ratios = pc.conditioning.condition_relative(jnp.maximum(predicted, 1e-3), law)
    return free, jnp.maximum(free, 0), positive, ratios.mean


fields = dict(
    zip(
        ("condition", "condition, clipped", "bounded", "condition_relative"),
        corrections(predicted, std, law),
        strict=True,
    )
)
print(f"{'':20}{'miss of block means':>20}{'smallest':>10}{'rms error':>11}")
for name, u in ({"prediction": predicted} | fields).items():
    miss = float(jnp.abs(block_means(u) - coarse).max())
    rms = float(jnp.sqrt(jnp.average((u - truth) ** 2, weights=areas)))
    print(f"{name:20}{miss:20.1e}{float(u.min()):10.3f}{rms:11.3f}")

bounded = fields["bounded"]
assert float(bounded.min()) >= 0
assert float(jnp.abs(block_means(bounded) - coarse).max()) < 1e-4
assert float(jnp.abs(block_means(fields["condition, clipped"]) - coarse).max()) > 0.01

# %% [markdown]
# Don't use block means as a law where the coarse values themselves have errors as large
# as the prediction's: pass those errors as `noise_std`, or their mistakes are copied
# into every block. Don't use `bounded` for the expected rain of a cell: it is the most
# probable field, which is zero at many points.

# %%
figure = Figure(figsize=(11, 5.6), layout="constrained")
axes = figure.subplots(2, 2, sharex=True, sharey=True)
shown = {
    "prediction": predicted,
    "known: means of blocks": jnp.kron(coarse, jnp.ones((FACTOR, FACTOR))),
    "bounded: block means, not negative": bounded,
    "truth": truth,
}
colours = colormaps["YlGnBu"].with_extremes(under="red")
top = float(np.quantile(truth, 0.995))
for axis, (name, u) in zip(axes.ravel(), shown.items(), strict=True):
    image = axis.pcolormesh(lon, lat, u, vmin=-1e-6, vmax=top, cmap=colours)
    axis.set_title(name)
for axis in axes[1]:
    axis.set_xlabel("longitude in degrees")
for axis in axes[:, 0]:
    axis.set_ylabel("latitude in degrees")
figure.colorbar(
    image, ax=axes, extend="both", label="rain in mm per day (red: negative)"
)
Path("out").mkdir(exist_ok=True)
figure.savefig("out/15_downscaling.png", dpi=110)
