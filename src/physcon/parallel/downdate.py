"""The root of the posterior covariance of a field that is divided among devices."""

from collections.abc import Callable, Sequence

import equinox as eqx
import jax
from jax.sharding import Mesh
from jax.sharding import PartitionSpec as P

from physcon._mesh import Axes, by_device
from physcon._numerics.products import combine, inner
from physcon._typing import Array, Float, PyTree
from physcon.conditioning.downdate import DowndatedRoot
from physcon.linear_map import LinearMap, LowRank, Root, Rows, Sum, as_root
from physcon.linear_map.blocks import concatenated, split_fields
from physcon.linear_map.divided import DividedLowRank, DividedRows


def parts_of(root: LinearMap) -> tuple[LinearMap, ...]:
    """Independent errors, an ensemble, or all that a `Sum` consists of."""
    return root.parts if isinstance(root, Sum) else (root,)


def place(part: LinearMap, axes: Axes) -> P:
    """How the arrays of a map are divided: rows and members along the field's axes."""
    return P(None, *axes) if isinstance(part, Rows | LowRank) else P(*axes)


def on_block(parts: Sequence[LinearMap], axes: Axes) -> Root:
    """The root of a device's block of the field, for use inside `jax.shard_map`."""
    own = [
        DividedLowRank(part.vectors, named(axes)) if isinstance(part, LowRank) else part
        for part in parts
    ]
    return as_root(own[0]) if len(own) == 1 else Sum(*own)


def named(axes: Axes) -> tuple[str, ...]:
    """The axes of the mesh that divide the field."""
    return tuple(name for name in axes if name is not None)


class DividedDowndate(DowndatedRoot):
    """`DowndatedRoot` whose devices work on their own blocks of the field.

    They exchange row values and the latents of an ensemble, but no field and no row.
    Products with this root are those of `DowndatedRoot`, written with G in place of the
    whitened rows W̃ = d G R:

        R' x = y - Σ Gᵀ d M d G y  with y = R x,    R'ᵀ y = Rᵀ (y - Gᵀ d Mᵀ d G Σ y)

    Attributes:
        mesh, axes: see `parallel.condition`.
    """

    mesh: Mesh = eqx.field(static=True)
    axes: Axes = eqx.field(static=True)

    def gram_diagonal(self) -> Array:
        def own(parts: tuple, root: DowndatedRoot, _: tuple) -> Array:
            return root.gram_diagonal()

        return self._by_device(own, (), (), P(*self.axes))

    def mv(self, x: Float[Array, "*z"]) -> Float[Array, "*x"]:
        shapes = tuple(part.in_shape for part in parts_of(self.root))
        latents = [x] if len(shapes) == 1 else split_fields(x, shapes)

        def own(parts: tuple, root: DowndatedRoot, latents: tuple) -> Array:
            y = _image(parts, latents)
            left, right = root._halves(root.factor.tree())
            seen = inner(right, root.scale * root.operator.mv(y))
            moved = root.operator.rmv(root.scale * combine(seen, left))
            return y - _image(parts, self._pulled(parts, moved))

        return self._by_device(own, tuple(latents), self._places(), P(*self.axes))

    def rmv(self, y: Float[Array, "*x"]) -> Float[Array, "*z"]:
        def own(parts: tuple, root: DowndatedRoot, given: tuple) -> tuple:
            (y,) = given
            left, right = root._halves(root.factor.tree())
            image = _image(parts, self._pulled(parts, y))
            seen = inner(left, root.scale * root.operator.mv(image))
            moved = root.operator.rmv(root.scale * combine(seen, right))
            return self._pulled(parts, y - moved)

        found = self._by_device(own, (y,), (P(*self.axes),), self._places())
        return found[0] if len(found) == 1 else concatenated(list(found))

    def _pulled(self, parts: tuple[LinearMap, ...], y: Array) -> tuple[Array, ...]:
        """Rᵀ y on a block: the latents of an ensemble are sums over all devices."""
        found = [part.rmv(y) for part in parts]
        pairs = zip(parts, found, strict=True)
        return tuple(
            jax.lax.psum(z, named(self.axes)) if isinstance(part, LowRank) else z
            for part, z in pairs
        )

    def _places(self) -> tuple[P, ...]:
        """Of the latents: divided like the field, or whole on every device."""
        parts = parts_of(self.root)
        return tuple(P() if isinstance(p, LowRank) else P(*self.axes) for p in parts)

    def _by_device(
        self, fn: Callable[..., PyTree], given: tuple, places: tuple, out: PyTree
    ) -> PyTree:
        """fn(parts of R, R', given arrays) on the block of every device."""
        parts = parts_of(self.root)
        operator = self.operator
        assert isinstance(operator, Rows)

        def run(parts: tuple, rows: Array, small: tuple, given: tuple) -> PyTree:
            own = on_block(parts, self.axes)
            divided = DividedRows(rows, named(self.axes))
            return fn(parts, DowndatedRoot(own, divided, *small), given)

        shares = tuple(place(part, self.axes) for part in parts)
        specs = (shares, place(operator, self.axes), P(), places)
        call = by_device(run, self.mesh, specs, out)
        small = (self.noise_std, self.factor)
        return call(parts, operator.weights, small, given)


def _image(parts: tuple[LinearMap, ...], latents: tuple[Array, ...]) -> Array:
    """R x on a block."""
    terms = [part.mv(z) for part, z in zip(parts, latents, strict=True)]
    return sum(terms[1:], terms[0])
