/* The Euler equations by MUSCL (mc limiter, primitive variables), HLLC and SSP-RK3: the loop that
 * somebody would write by hand for one core, with outflow on all sides, as a yardstick.
 *
 * Compile with -Dreal=double or float, -DD=1 or 2 (space dimensions). States are channels (density,
 * momenta, energy), then rows, then columns; one row where D is 1. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define C (D + 2)
#define G (D == 1 ? 0 : 2) /* ghost rows on either side; ghost columns are always two */
#define CELL(c, row, column) (((c) * rows + (row)) * pitch + (column))

static const real gamma_ = 1.4, half = 0.5;

static inline real least(real a, real b) { return a < b ? a : b; }
static inline real most(real a, real b) { return a > b ? a : b; }

static inline real mc(real a, real b) {
    real bound = 2 * (fabs(a) < fabs(b) ? a : b), slope = half * (a + b);
    slope = fabs(bound) < fabs(slope) ? bound : slope;
    return a * b > 0 ? slope : 0;
}

/* Cell averages u without ghosts to primitive variables w with them. */
static void primitive(const real *restrict u, real *restrict w, int nx, int ny) {
    const int pitch = nx + 4, rows = ny + 2 * G, n = nx * ny;
    for (int j = 0; j < ny; j++) {
        for (int i = 0; i < nx; i++) {
            const int k = j * nx + i;
            const real volume = 1 / u[k];
            real kinetic = 0;
            for (int d = 1; d <= D; d++) {
                const real v = u[d * n + k] * volume;
                w[CELL(d, j + G, i + 2)] = v;
                kinetic += half * v * u[d * n + k];
            }
            w[CELL(0, j + G, i + 2)] = u[k];
            w[CELL(C - 1, j + G, i + 2)] = (gamma_ - 1) * (u[(C - 1) * n + k] - kinetic);
        }
    }
    for (int c = 0; c < C; c++) {
        for (int j = G; j < ny + G; j++) {
            real *row = w + CELL(c, j, 0);
            row[0] = row[1] = row[2];
            row[nx + 3] = row[nx + 2] = row[nx + 1];
        }
        for (int j = 0; j < G; j++) {
            memcpy(w + CELL(c, j, 0), w + CELL(c, G, 0), pitch * sizeof(real));
            memcpy(w + CELL(c, ny + G + j, 0), w + CELL(c, ny + G - 1, 0), pitch * sizeof(real));
        }
    }
}

/* Half the limited slopes of n cells; neighbours lie `stride` apart, channels `plane`. */
static void slopes(const real *restrict w, real *restrict s, int n, int stride, int plane) {
    for (int c = 0; c < C; c++) {
        const real *restrict wc = w + c * plane;
        real *restrict sc = s + c * n;
        for (int i = 0; i < n; i++)
            sc[i] = half * mc(wc[i] - wc[i - stride], wc[i + stride] - wc[i]);
    }
}

/* HLLC fluxes of n faces; `axis` is the channel of the normal velocity. */
static inline __attribute__((always_inline)) void fluxes(
    const real *restrict wl, const real *restrict sl, const real *restrict wr,
    const real *restrict sr, real *restrict f, int n, int plane, int slope_plane, const int axis) {
#pragma GCC ivdep
    for (int i = 0; i < n; i++) {
        real l[C], r[C], kl = 0, kr = 0, k = 0;
#pragma GCC unroll 4
        for (int c = 0; c < C; c++) {
            l[c] = wl[c * plane + i] + sl[c * slope_plane + i];
            r[c] = wr[c * plane + i] - sr[c * slope_plane + i];
        }
        const real volume_l = 1 / l[0], volume_r = 1 / r[0];
        const real root = (real)sqrt(r[0] * volume_l), share = 1 / (1 + root);
#pragma GCC unroll 4
        for (int d = 1; d <= D; d++) {
            const real v = r[d] + share * (l[d] - r[d]);
            kl += half * l[d] * l[d], kr += half * r[d] * r[d], k += half * v * v;
        }
        const real vl = l[axis], vr = r[axis], v = vr + share * (vl - vr);
        const real pl = l[C - 1], pr = r[C - 1], excess = gamma_ / (gamma_ - 1);
        const real hl = excess * pl * volume_l + kl, hr = excess * pr * volume_r + kr;
        const real al = (real)sqrt(gamma_ * pl * volume_l), ar = (real)sqrt(gamma_ * pr * volume_r);
        const real a = (real)sqrt((gamma_ - 1) * (hr + share * (hl - hr) - k));
        const real low = least(vl - al, v - a), high = most(vr + ar, v + a);
        const real ml = l[0] * (low - vl), mr = r[0] * (high - vr);
        const real contact = (pr - pl + ml * vl - mr * vr) / (ml - mr);
        const int left = contact >= 0;
        const real speed = left ? low : high, passed = left ? least(low, 0) : most(high, 0);
        const real p = left ? pl : pr, vn = left ? vl : vr, rho = left ? l[0] : r[0];
        const real energy = p / (gamma_ - 1) + rho * (left ? kl : kr);
        const real relative = speed - vn, ratio = 1 / (speed - contact);
        const real star = rho * relative * ratio, p_star = p + rho * relative * (contact - vn);
#pragma GCC unroll 4
        for (int d = 1; d <= D; d++) {
            const real vd = left ? l[d] : r[d], other = d == axis ? contact : vd;
            f[d * n + i] = rho * vd * vn + (d == axis ? p : 0) + passed * (star * other - rho * vd);
        }
        f[i] = rho * vn + passed * (star - rho);
        const real work = p_star * contact - p * vn;
        f[(C - 1) * n + i] =
            (energy + p) * vn + passed * ((relative * energy + work) * ratio - energy);
    }
}

/* du/dt, from primitive variables with ghosts; `work` holds three rows of C channels. */
static void tendency(const real *restrict w, real *restrict du, real *work, int nx, int ny,
                     real h) {
    const int pitch = nx + 4, rows = ny + 2 * G, plane = rows * pitch, n = nx * ny;
    const real scale = 1 / h;
    real *s = work, *f = work + C * pitch;
    for (int j = 0; j < ny; j++) {
        const real *row = w + CELL(0, j + G, 1);
        slopes(row, s, nx + 2, 1, plane);
        fluxes(row, s, row + 1, s + 1, f, nx + 1, plane, nx + 2, 1);
        for (int c = 0; c < C; c++)
            for (int i = 0; i < nx; i++)
                du[c * n + j * nx + i] = scale * (f[c * (nx + 1) + i] - f[c * (nx + 1) + i + 1]);
    }
#if D == 2
    real *before = work + 2 * C * pitch;
    for (int j = -1; j <= ny; j++) {
        const real *row = w + CELL(0, j + G, 2);
        slopes(row, s, nx, pitch, plane);
        if (j >= 0) {
            fluxes(row - pitch, before, row, s, f, nx, plane, nx, 2);
            for (int c = 0; c < C; c++)
                for (int i = 0; i < nx; i++) {
                    if (j < ny) du[c * n + j * nx + i] += scale * f[c * nx + i];
                    if (j > 0) du[c * n + (j - 1) * nx + i] -= scale * f[c * nx + i];
                }
        }
        real *swap = s;
        s = before, before = swap;
    }
#endif
}

/* Cell widths crossed per unit time, the largest of all cells. */
static real rate(const real *restrict w, int nx, int ny, real h) {
    const int pitch = nx + 4, rows = ny + 2 * G;
    real largest = 0;
    for (int j = 0; j < ny; j++)
        for (int i = 0; i < nx; i++) {
            const real *cell = w + CELL(0, j + G, i + 2);
            const real a = (real)sqrt(gamma_ * cell[(C - 1) * rows * pitch] / cell[0]);
            real sum = D * a;
            for (int d = 1; d <= D; d++) sum += (real)fabs(cell[d * rows * pitch]);
            largest = sum > largest ? sum : largest;
        }
    return largest / h;
}

/* Integrates u in place from time 0 to `end`; returns the number of steps. */
int euler(real *u, int nx, int ny, real h, real end, real cfl) {
    const int n = C * nx * ny;
    const size_t padded = (size_t)C * (nx + 4) * (ny + 2 * G);
    real *memory = malloc((padded + 2 * (size_t)n + 3 * (size_t)C * (nx + 4)) * sizeof(real));
    real *w = memory, *du = w + padded, *v = du + n, *work = v + n, t = 0;
    const real keep[3] = {0, 0.75, 1 / (real)3};
    int steps = 0;
    for (; t < end; steps++) {
        primitive(u, w, nx, ny);
        const real next = least(t + cfl / rate(w, nx, ny, h), end), dt = next - t;
        memcpy(v, u, n * sizeof(real));
        for (int stage = 0; stage < 3; stage++) {
            if (stage) primitive(v, w, nx, ny);
            tendency(w, du, work, nx, ny, h);
            const real a = keep[stage], b = 1 - a;
            for (int i = 0; i < n; i++) v[i] = a * u[i] + b * (v[i] + dt * du[i]);
        }
        memcpy(u, v, n * sizeof(real));
        t = next;
    }
    free(memory);
    return steps;
}
