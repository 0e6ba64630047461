"""Published weights: names checked both ways, nothing unpickled."""

import jax
import numpy as np
import pytest

from physcon.io.weights import load_torch_anp, torch_name
from physcon.models.anp import ANP


@pytest.fixture(scope="module")
def model():
    return ANP(dim=3, channels=2, size=8, heads=2, layers=1, key=jax.random.key(0))


@pytest.fixture(scope="module")
def state_dict(model):
    leaves, _ = jax.tree_util.tree_flatten_with_path(model)
    return {torch_name(path): np.asarray(leaf) for path, leaf in leaves}


@pytest.fixture
def saved(tmp_path):
    def save(arrays, name="weights.npz"):
        np.savez(tmp_path / name, **arrays)
        return tmp_path / name

    return save


@pytest.mark.parametrize("prefix", ["", "anp."])
def test_round_trip_at_any_size(model, state_dict, saved, prefix):
    path = saved({prefix + name: array for name, array in state_dict.items()})
    loaded = load_torch_anp(path, heads=2)
    assert jax.tree.structure(loaded) == jax.tree.structure(model)
    for got, expected in zip(
        jax.tree.leaves(loaded), jax.tree.leaves(model), strict=True
    ):
        np.testing.assert_array_equal(got, expected)


def test_every_difference_is_named(state_dict, saved):
    arrays = dict(state_dict)
    del arrays["latent_encoder.mu.linear_layer.bias"]
    arrays["second_deriv_net.0.weight"] = np.zeros((4, 4))
    arrays["decoder.linears.1.linear_layer.weight"] = np.zeros((24, 23))
    with pytest.raises(ValueError, match="3 differences") as error:
        load_torch_anp(saved(arrays), heads=2)
    message = str(error.value)
    assert "missing latent_encoder.mu.linear_layer.bias (8,)" in message
    assert "unexpected second_deriv_net.0.weight (4, 4)" in message
    assert (
        "decoder.linears.1.linear_layer.weight: expected (24, 24), got (24, 23)"
        in message
    )


def test_foreign_files_are_refused(state_dict, saved, tmp_path):
    with pytest.raises(ValueError, match=r"decoder\.target_projection.*check the file"):
        load_torch_anp(saved({"layer1.weight": np.zeros(3)}))
    whole = saved(state_dict)
    cut = tmp_path / "cut.npz"
    cut.write_bytes(whole.read_bytes()[:2000])
    with pytest.raises(ValueError, match=r"expected an \.npz file of plain arrays"):
        load_torch_anp(cut)
    with pytest.raises(FileNotFoundError):
        load_torch_anp(tmp_path / "absent.npz")


def test_pickles_are_never_read(saved, tmp_path):
    marker = tmp_path / "executed"

    class Malicious:
        def __reduce__(self):
            return marker.touch, ()

    path = saved({"decoder.x": np.array([Malicious()], dtype=object)})
    marker.unlink(missing_ok=True)
    with pytest.raises(ValueError, match=r"expected an \.npz file of plain arrays"):
        load_torch_anp(path)
    assert not marker.exists()


def test_heads_must_divide_the_size(state_dict, saved):
    with pytest.raises(ValueError, match="heads that divide the size, got 3 for 8"):
        load_torch_anp(saved(state_dict), heads=3)
