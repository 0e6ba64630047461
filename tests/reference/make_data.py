"""Reduce arrays made by published code to those of `tests/reference/data`.

    python tests/reference/make_data.py FOLDER

FOLDER holds the full arrays in `probconserv/` and `boon/`; see data/README.md for what
they are. One sample, or a few times, are kept of each.
"""

import sys
from pathlib import Path

import numpy as np

OUTPUT = Path(__file__).parent / "data"
TIMES, FUNCTIONS = (5, 20, 40), (0, 2)
WITH_COVARIANCE = ("limit", "limit_diff0.9")
LAYERS = (
    "layer1d_dirichlet_spectral_c1",
    "layer1d_dirichlet_spectral_c8",
    "layer1d_neumann_spectral_c8",
    "layer1d_periodic_spectral_c8",
    "layer2d_dirichlet_spectral",
)
NETWORKS = ("fno1d", "boon_fno1d_dirichlet", "boon_fno1d_neumann")


def constraint_step(folder: Path) -> None:
    """Three times of two functions; covariances, at the middle time, of the first."""
    with np.load(folder / "probconserv" / "parity_pme.npz") as data:
        times, functions = np.array(TIMES), np.array(FUNCTIONS)
        fields = np.ix_(functions, times)
        kept = {"t_index_of_cov": np.array(TIMES.index(int(data["t_index_of_cov"])))}
        for name in ("anp/loc", "anp/scale", "mass_rhs"):
            kept[name] = data[name][fields]
        for name in data.files:
            variant, _, field = name.partition("/")
            if field in ("loc_f64", "var_f64"):
                kept[name] = data[name][fields]
            elif field == "sigma_G_sq" or name in ("g", "g_rhs"):
                kept[name] = data[name]
            elif field == "cov_at_tcov_f64" and variant in WITH_COVARIANCE:
                kept[name] = data[name][functions[:1]].astype(np.float32)
    np.savez_compressed(OUTPUT / "parity_pme.npz", **kept)


def layers_and_networks(folder: Path) -> None:
    """One sample; float64 results are rounded to float32."""
    for name in LAYERS + NETWORKS:
        with np.load(folder / "boon" / f"{name}.npz") as data:
            kept = {}
            for key in data.files:
                if key.startswith(("grad", "act.", "plain")) or key == "cotangent":
                    continue
                array = data[key]
                is_sample = key in ("x", "out64") or key.startswith("gauss")
                if is_sample or key.startswith("bdy"):
                    array = array[:1]
                if key.startswith("gauss") and not key.endswith("_64"):
                    continue
                if key == "out" or (name.startswith("layer2d") and "0" in key[5:-3]):
                    continue
                kept[key] = array.astype(np.float32) if is_sample else array
        np.savez_compressed(OUTPUT / f"{name}.npz", **kept)


if __name__ == "__main__":
    OUTPUT.mkdir(exist_ok=True)
    constraint_step(Path(sys.argv[1]))
    layers_and_networks(Path(sys.argv[1]))
