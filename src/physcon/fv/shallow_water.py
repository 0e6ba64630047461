"""The shallow water equations, with bathymetry and dry ground."""

import equinox as eqx
import jax
import jax.numpy as jnp

from physcon._typing import Array, Bool, Float
from physcon.fv.law import Law, RiemannSolver, mirrored
from physcon.fv.scalar import number


class ShallowWater(Law):
    """Depth and momentum of shallow water, over a flat bed or over bathymetry.

    With ``bed=True`` the last channel of the state is the bed's height: it never
    changes, and its slope pushes the water by hydrostatic reconstruction, so that a
    lake at rest (h + b constant, v = 0, dry islands included) stays at rest to
    rounding. On dry ground use it with `physcon.fv.Positive`, which keeps the depth
    from going below zero.

    Shapes: states ``(1 + d, *x)``: h, d momenta; and the bed if ``bed``. Primitive
    variables: surface height h + b, velocities, bed.
    Units: metres and seconds where `gravity` is 9.81.
    Source: Audusse, Bouchut, Bristeau, Klein and Perthame, SIAM J. Sci. Comput. 25
    (2004) 2050, eqs. 2.9 to 2.16 and sec. 3; LeVeque (2002) ch. 13.
    """

    gravity: Float[Array, ""] = eqx.field(converter=number, default=9.81)
    bed: bool = eqx.field(static=True, default=False)
    #: Below this depth the velocity is taken as zero.
    dry: Float[Array, ""] = eqx.field(converter=number, default=1e-6)

    def primitive(self, u: Float[Array, "c *s"]) -> Float[Array, "c *s"]:
        """(h + b, v, b) of (h, h v, b)."""
        surface = u[0] + u[-1] if self.bed else u[0]
        return jnp.stack(
            [surface, *self._velocities(u), *([u[-1]] if self.bed else [])]
        )

    def conservative(self, w: Float[Array, "c *s"]) -> Float[Array, "c *s"]:
        """(h, h v, b) of (h + b, v, b)."""
        h = w[0] - w[-1] if self.bed else w[0]
        m = [h * v for v in self._tangible(w)]
        return jnp.stack([h, *m, *([w[-1]] if self.bed else [])])

    def flux(self, u: Float[Array, "c *s"], axis: int = 0) -> Float[Array, "c *s"]:
        """(h v_n, h v v_n + g h²/2 e_n); nothing moves the bed."""
        vn = self._velocities(u)[axis]
        push = 0.5 * self.gravity * u[0] ** 2
        m = [
            m * vn + push if k == axis else m * vn
            for k, m in enumerate(self._tangible(u))
        ]
        return jnp.stack([u[0] * vn, *m, *([jnp.zeros_like(vn)] if self.bed else [])])

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
        return jnp.stack(
            [low, *[0.5 * (low + high)] * (len(self._tangible(u)) - 1), high]
        )

    def bounds(
        self, u_left: Float[Array, "c *s"], u_right: Float[Array, "c *s"], axis: int = 0
    ) -> tuple[Float[Array, "*s"], Float[Array, "*s"]]:
        """Extremes over both states and Roe's average; the front v ± 2c next to dry
        ground.

        Source: Einfeldt (1988); Toro, Shock-Capturing Methods for Free-Surface Flows
            (2001), 10.5.
        """
        low, high = self.speeds(u_left, axis)[0], self.speeds(u_right, axis)[1]
        v_left, v_right = (
            self._velocities(u_left)[axis],
            self._velocities(u_right)[axis],
        )
        c_left, c_right = self._celerity(u_left[0]), self._celerity(u_right[0])
        v, c = self._roe_average(u_left, u_right)
        low = jnp.minimum(low, v[axis] - c)
        high = jnp.maximum(high, v[axis] + c)
        low = jnp.where(u_left[0] > self.dry, low, v_right - 2 * c_right)
        high = jnp.where(u_right[0] > self.dry, high, v_left + 2 * c_left)
        return low, high

    def positive(self, u: Float[Array, "c *s"]) -> tuple[Float[Array, "*s"], ...]:
        """The depth."""
        return (u[0],)

    def admissible(self, u: Float[Array, "c *s"]) -> Bool[Array, "*s"]:
        """Finite and not below the bed (by more than `dry`)."""
        return jnp.all(jnp.isfinite(u), axis=0) & (u[0] >= -self.dry)

    def mirror(self, u: Float[Array, "c *s"], axis: int) -> Float[Array, "c *s"]:
        """The normal momentum changes its sign."""
        return mirrored(u, axis)

    def contact_speed(
        self,
        u_left: Float[Array, "c *s"],
        u_right: Float[Array, "c *s"],
        low: Float[Array, "*s"],
        high: Float[Array, "*s"],
        axis: int,
    ) -> Float[Array, "*s"]:
        """Speed of the shear wave (Toro 2001, eq. 10.27)."""
        v_left, v_right = (
            self._velocities(u_left)[axis],
            self._velocities(u_right)[axis],
        )
        left, right = u_left[0] * (v_left - low), u_right[0] * (v_right - high)
        dry = (u_left[0] <= self.dry) & (u_right[0] <= self.dry)
        total = jnp.where(dry, 1, right - left)
        return jnp.where(dry, 0, (low * right - high * left) / total)

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
        """Roe's waves: two gravity waves and, as one, the shears (LeVeque 2002, sec.
        15.3.3).
        """
        v, c = self._roe_average(u_left, u_right)
        vn = v[axis]
        jump = u_right - u_left
        wet = c > 0
        difference = jnp.where(wet, jump[1 + axis] - vn * jump[0], 0) / jnp.where(
            wet, c, 1
        )
        first, last = 0.5 * (jump[0] - difference), 0.5 * (jump[0] + difference)

        def gravity_wave(strength: Array, sign: float) -> Array:
            m = [vk + sign * c if k == axis else vk for k, vk in enumerate(v)]
            return jnp.stack([strength, *[strength * mk for mk in m]])

        slow, fast = gravity_wave(first, -1.0), gravity_wave(last, 1.0)
        if len(v) == 1:
            return (vn - c, slow), (vn + c, fast)
        return (vn - c, slow), (vn, jump - slow - fast), (vn + c, fast)

    def strengths(
        self, dw: Float[Array, "c *s"], w: Float[Array, "c *s"], axis: int
    ) -> Float[Array, "c *s"]:
        """Gravity, shear and gravity amplitudes of a primitive increment; the bed as it
        is.
        """
        difference = dw[1 + axis] * self._celerity(self._depth(w)) / self.gravity
        rest = [d for k, d in enumerate(dw[1:]) if k != axis]
        return jnp.stack(
            [0.5 * (dw[0] - difference), *rest, 0.5 * (dw[0] + difference)]
        )

    def increment(
        self, strengths: Float[Array, "c *s"], w: Float[Array, "c *s"], axis: int
    ) -> Float[Array, "c *s"]:
        """Primitive increment of the amplitudes."""
        first, *rest, last = strengths
        c = self._celerity(self._depth(w))
        rest.insert(
            axis,
            jnp.where(c > 0, (last - first) / jnp.where(c > 0, c, 1), 0) * self.gravity,
        )
        return jnp.stack([first + last, *rest])

    def numerical_flux(
        self,
        riemann: RiemannSolver,
        u_left: Float[Array, "c *s"],
        u_right: Float[Array, "c *s"],
        axis: int = 0,
    ) -> Float[Array, "c *s"]:
        """Between the hydrostatically reconstructed states where there is a bed."""
        if not self.bed:
            return riemann(u_left, u_right, self, axis)
        flat = ShallowWater(self.gravity, bed=False, dry=self.dry)
        flux = riemann(*self._hydrostatic(u_left, u_right), flat, axis)
        return jnp.concatenate([flux, jnp.zeros_like(flux[:1])])

    def cell_force(
        self, u_left: Float[Array, "c *f"], u_right: Float[Array, "c *f"], axis: int = 0
    ) -> Float[Array, "c *x"] | None:
        """The bed's push on each cell, times its width (Audusse et al. eqs. 2.14 and
        3.3).
        """
        if not self.bed:
            return None
        star_left, star_right = self._hydrostatic(u_left, u_right)
        pressure_left = u_left[0] ** 2 - star_left[0] ** 2
        pressure_right = u_right[0] ** 2 - star_right[0] ** 2
        n = u_left.shape[1 + axis] - 1
        lower = [
            jax.lax.slice_in_dim(a, 0, n, axis=axis) for a in (*u_right, pressure_right)
        ]
        upper = [
            jax.lax.slice_in_dim(a, 1, n + 1, axis=axis)
            for a in (*u_left, pressure_left)
        ]
        centred = (upper[0] + lower[0]) * (lower[-2] - upper[-2])
        push = 0.5 * self.gravity * (lower[-1] - upper[-1] + centred)
        zero = jnp.zeros_like(push)
        return jnp.stack(
            [push if k == 1 + axis else zero for k in range(u_left.shape[0])]
        )

    def _hydrostatic(self, u_left: Array, u_right: Array) -> tuple[Array, Array]:
        """Both states over the higher of the two beds: depth max(0, h + b - b_face)."""
        face = jnp.maximum(u_left[-1], u_right[-1])

        def over(u: Array) -> Array:
            h = jnp.maximum(0, u[0] + u[-1] - face)
            return jnp.stack([h, *[h * v for v in self._velocities(u)]])

        return over(u_left), over(u_right)

    def _roe_average(self, u_left: Array, u_right: Array) -> tuple[list[Array], Array]:
        """Velocities weighted by sqrt(h), and the celerity of the mean depth."""
        left, right = _root(u_left[0]), _root(u_right[0])
        total = left + right
        share = jnp.where(total > 0, left / jnp.where(total > 0, total, 1), 0.5)
        v_left, v_right = self._velocities(u_left), self._velocities(u_right)
        v = [share * l + (1 - share) * r for l, r in zip(v_left, v_right, strict=True)]
        return v, self._celerity(0.5 * (u_left[0] + u_right[0]))

    def _tangible(self, u: Array) -> Array:
        """The channels of the momenta (or velocities)."""
        return u[1:-1] if self.bed else u[1:]

    def _velocities(self, u: Array) -> list[Array]:
        wet = u[0] > self.dry
        inverse = jnp.where(wet, 1 / jnp.where(wet, u[0], 1), 0)
        return [m * inverse for m in self._tangible(u)]

    def _depth(self, w: Array) -> Array:
        return w[0] - w[-1] if self.bed else w[0]

    def _celerity(self, h: Array) -> Array:
        return _root(self.gravity * h)


def _root(x: Array) -> Array:
    """sqrt(max(x, 0)) with derivative 0 where x <= 0."""
    return jnp.where(x > 0, jnp.sqrt(jnp.where(x > 0, x, 1)), 0)
