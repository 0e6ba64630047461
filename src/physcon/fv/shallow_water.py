"""The shallow water equations, with bathymetry and dry ground."""

from collections.abc import Callable
from dataclasses import replace

import equinox as eqx
import jax.numpy as jnp

from physcon._numerics import safe
from physcon._numerics.float64 import cast
from physcon._typing import Array, Bool, Float
from physcon.fv import bathymetry as bed
from physcon.fv.bathymetry import Flat, OverBed, depth_and_momenta
from physcon.fv.law import Law, RiemannSolver, mirrored
from physcon.fv.parameter import parameter


class ShallowWater(Law):
    """Depth and momentum of shallow water, over a flat bed or over bathymetry.

    With ``bed=True`` the last channel is the height of the bed, which never changes.
    Its slope pushes the water by hydrostatic reconstruction, so that a lake at rest,
    dry islands included, stays at rest to rounding. On dry ground use the law with
    `physcon.fv.Positive`. After each step `solve` removes the momentum of dry cells.

    Attributes:
        gravity: its acceleration.
        bed: whether the state includes the bed.
        dry: below this depth the velocity is taken as zero.

    Shapes: states ``(1 + d, *x)``: h, d momenta; and the bed if ``bed``. The primitive
    variables are surface height h + b, velocities, and the bed if ``bed``.

    Units: metres and seconds where `gravity` is 9.81; `dry` is in the units of depth.

    Source: Audusse, Bouchut, Bristeau, Klein and Perthame, SIAM J. Sci. Comput. 25
    (2004) 2050, eqs. 2.9 to 2.16 and sec. 3; LeVeque (2002) ch. 13.
    """

    gravity: Float[Array, ""] = parameter(9.81)
    bed: bool = eqx.field(static=True, default=False)
    dry: Float[Array, ""] = parameter(1e-6)

    @property
    def _layout(self) -> type[Flat]:
        """How the channels are laid out."""
        return OverBed if self.bed else Flat

    least_channels = depth_and_momenta  # type: ignore[assignment]

    def primitive(self, u: Float[Array, "c *s"]) -> Float[Array, "c *s"]:
        """(h + b, v, b) of (h, h v, b)."""
        surface = self._layout.surface(u)
        return self._layout.with_bed([surface, *self._velocities(u)], u)

    def conservative(self, w: Float[Array, "c *s"]) -> Float[Array, "c *s"]:
        """(h, h v, b) of (h + b, v, b)."""
        h = self._layout.depth(w)
        m = [h * v for v in self._layout.moving(w)]
        return self._layout.with_bed([h, *m], w)

    def flux(self, u: Float[Array, "c *s"], axis: int = 0) -> Float[Array, "c *s"]:
        """(h v_n, h v v_n + g h²/2 e_n); nothing moves the bed."""
        vn = self._velocities(u)[axis]
        rows = [m * vn for m in self._layout.moving(u)]
        rows[axis] = rows[axis] + 0.5 * self.gravity * u[0] * u[0]
        return self._layout.with_still_bed([u[0] * vn, *rows])

    def speeds(
        self, u: Float[Array, "c *s"], axis: int = 0
    ) -> tuple[Float[Array, "*s"], Float[Array, "*s"]]:
        """v_n - sqrt(g h) and v_n + sqrt(g h)."""
        v, c = self._velocities(u)[axis], self._celerity(u[0])
        return v - c, v + c

    def eigenvalues(
        self, u: Float[Array, "c *s"], axis: int = 0
    ) -> Float[Array, "c *s"]:
        """v_n - c, v_n for each tangential velocity, v_n + c."""
        low, high = self.speeds(u, axis)
        shears = len(self._layout.moving(u)) - 1
        return jnp.stack([low, *[0.5 * (low + high)] * shears, high])

    def bounds(
        self, u_left: Float[Array, "c *s"], u_right: Float[Array, "c *s"], axis: int = 0
    ) -> tuple[Float[Array, "*s"], Float[Array, "*s"]]:
        """Extremes over both states and Roe's average; next to dry ground v ± 2c.

        Source: Einfeldt (1988); Toro, Shock-Capturing Methods for Free-Surface Flows
        (2001), 10.5.
        """
        low = self.speeds(u_left, axis)[0]
        high = self.speeds(u_right, axis)[1]
        v_left = self._velocities(u_left)[axis]
        v_right = self._velocities(u_right)[axis]
        c_left = self._celerity(u_left[0])
        c_right = self._celerity(u_right[0])
        v, c = self._roe_average(u_left, u_right)
        low = safe.smaller(low, v[axis] - c)
        high = safe.larger(high, v[axis] + c)
        low = jnp.where(u_left[0] > self.dry, low, v_right - 2 * c_right)
        high = jnp.where(u_right[0] > self.dry, high, v_left + 2 * c_left)
        return low, high

    def positive(self, u: Float[Array, "c *s"]) -> tuple[Float[Array, "*s"], ...]:
        """The depth."""
        return (u[0],)

    def admissible(self, u: Float[Array, "c *s"]) -> Bool[Array, "*s"]:
        """Finite and not below the bed (by more than `dry`)."""
        return jnp.all(jnp.isfinite(u), axis=0) & (u[0] >= -self.dry)

    def cleaned(self, u: Float[Array, "c *s"]) -> Float[Array, "c *s"]:
        """The state without momentum in dry cells."""
        wet = u[0] > self.dry
        m = [jnp.where(wet, m, 0) for m in self._layout.moving(u)]
        return self._layout.with_bed([u[0], *m], u)

    def mirror(self, u: Float[Array, "c *s"], axis: int) -> Float[Array, "c *s"]:
        """The normal momentum changes its sign."""
        return mirrored(u, axis)

    def rotate(
        self, u: Float[Array, "c *s"], turn: Callable[..., list[Array]]
    ) -> Float[Array, "c *s"]:
        """The state with its momentum in another frame."""
        return self._layout.with_bed([u[0], *turn(*self._layout.moving(u))], u)

    def side_force(
        self,
        cell: Float[Array, "c *s"],
        own: Float[Array, "c *s"],
        other: Float[Array, "c *s"],
    ) -> Float[Array, "c *s"] | None:
        """The bed's push on a cell through one face of a mesh."""
        if not self.bed:
            return None
        star, _ = bed.hydrostatic(own, other, self._velocities)
        return bed.side_push(cell, own, star[0], self.gravity)

    def contact_speed(
        self,
        u_left: Float[Array, "c *s"],
        u_right: Float[Array, "c *s"],
        low: Float[Array, "*s"],
        high: Float[Array, "*s"],
        axis: int,
    ) -> Float[Array, "*s"]:
        """Speed of the shear wave (Toro 2001, eq. 10.27); zero between dry states."""
        left = u_left[0] * (self._velocities(u_left)[axis] - low)
        right = u_right[0] * (self._velocities(u_right)[axis] - high)
        dry = jnp.maximum(u_left[0], u_right[0]) <= self.dry
        total = jnp.where(dry, 1, right - left)
        return jnp.where(dry, 0, safe.quotient(low * right - high * left, total))

    def star_state(
        self,
        u: Float[Array, "c *s"],
        speed: Float[Array, "*s"],
        contact: Float[Array, "*s"],
        axis: int,
    ) -> Float[Array, "c *s"]:
        """State between an outer wave and the shear wave (Toro 2001, eq. 10.26)."""
        v = self._velocities(u)
        gap = speed - contact
        h = u[0] * (speed - v[axis]) / jnp.where(gap == 0, 1, gap)
        m = [h * (contact if k == axis else vk) for k, vk in enumerate(v)]
        return jnp.stack([h, *m])

    def waves(
        self, u_left: Float[Array, "c *s"], u_right: Float[Array, "c *s"], axis: int = 0
    ) -> tuple[tuple[Float[Array, "*s"], Float[Array, "c *s"]], ...]:
        """Roe's waves: two gravity waves and, as one, the shears.

        Source: LeVeque (2002), sec. 15.3.3.
        """
        v, c = self._roe_average(u_left, u_right)
        vn = v[axis]
        jump = u_right - u_left
        difference = safe.divide(jump[1 + axis] - vn * jump[0], c)
        first = 0.5 * (jump[0] - difference)
        last = 0.5 * (jump[0] + difference)

        def gravity_wave(strength: Array, sign: float) -> Array:
            m = [vk + sign * c if k == axis else vk for k, vk in enumerate(v)]
            return jnp.stack([strength, *[strength * mk for mk in m]])

        slow = gravity_wave(first, -1.0)
        fast = gravity_wave(last, 1.0)
        if len(v) == 1:
            return (vn - c, slow), (vn + c, fast)
        return (vn - c, slow), (vn, jump - slow - fast), (vn + c, fast)

    def strengths(
        self, dw: Float[Array, "c *s"], w: Float[Array, "c *s"], axis: int
    ) -> Float[Array, "c *s"]:
        """Amplitudes of the two gravity waves and the shears, and the bed."""
        difference = dw[1 + axis] * self._celerity(self._layout.depth(w)) / self.gravity
        rest = [d for k, d in enumerate(dw[1:]) if k != axis]
        first = 0.5 * (dw[0] - difference)
        last = 0.5 * (dw[0] + difference)
        return jnp.stack([first, *rest, last])

    def increment(
        self, strengths: Float[Array, "c *s"], w: Float[Array, "c *s"], axis: int
    ) -> Float[Array, "c *s"]:
        """Primitive increment of the amplitudes."""
        first, *rest, last = strengths
        c = self._celerity(self._layout.depth(w))
        rest.insert(axis, safe.divide(last - first, c) * self.gravity)
        return jnp.stack([first + last, *rest])

    def numerical_flux(
        self,
        riemann: RiemannSolver,
        u_left: Float[Array, "c *s"],
        u_right: Float[Array, "c *s"],
        axis: int = 0,
    ) -> Float[Array, "c *s"]:
        """The flux, over a bed between hydrostatically reconstructed states."""
        if not self.bed:
            return riemann(u_left, u_right, self, axis)
        flat = cast(replace(self, bed=False), u_left.dtype)
        flux = riemann(*bed.hydrostatic(u_left, u_right, self._velocities), flat, axis)
        return self._layout.with_still_bed(list(flux))

    def cell_force(
        self, u_left: Float[Array, "c *f"], u_right: Float[Array, "c *f"], axis: int = 0
    ) -> Float[Array, "c *x"] | None:
        """The bed's push on each cell, times its width."""
        if not self.bed:
            return None
        first, last = (h[0] for h in bed.hydrostatic(u_left, u_right, self._velocities))
        return bed.bed_push(u_left, u_right, first, last, self.gravity, axis)

    def _roe_average(self, u_left: Array, u_right: Array) -> tuple[list[Array], Array]:
        """Velocities weighted by sqrt(h), and the celerity of the mean depth."""
        share = bed.root_share(u_left[0], u_right[0])
        pairs = zip(self._velocities(u_left), self._velocities(u_right), strict=True)
        v = [share * left + (1 - share) * right for left, right in pairs]
        return v, self._celerity(0.5 * (u_left[0] + u_right[0]))

    def _velocities(self, u: Array) -> list[Array]:
        wet = u[0] > self.dry
        h = jnp.where(wet, u[0], 1)
        inverse = jnp.where(wet, safe.reciprocal(h), 0)
        return [safe.over(m, h, inverse) for m in self._layout.moving(u)]

    def _celerity(self, h: Array) -> Array:
        return safe.sqrt(self.gravity * h)
