/* First-order steps of the Euler equations in two dimensions by a loop over the faces of
   a mesh, with Rusanov's flux: what a compiler makes of the plain algorithm. */
#include <math.h>
#include <string.h>

static void physical(const double *u, double nx, double ny, double *f, double *speed) {
  const double v = (u[1] * nx + u[2] * ny) / u[0];
  const double p = 0.4 * (u[3] - 0.5 * (u[1] * u[1] + u[2] * u[2]) / u[0]);
  f[0] = u[0] * v;
  f[1] = u[1] * v + p * nx;
  f[2] = u[2] * v + p * ny;
  f[3] = (u[3] + p) * v;
  *speed = fabs(v) + sqrt(1.4 * p / u[0]);
}

/* u: cells x 4, changed by `steps` forward Euler steps of size dt. change: scratch. */
void euler_faces(double *u, double *change, const double *volume, const double *area,
                 const double *normal, const int *owner, const int *neighbour,
                 int cells, int faces, int steps, double dt) {
  for (int step = 0; step < steps; step++) {
    memset(change, 0, sizeof(double) * 4 * cells);
    for (int f = 0; f < faces; f++) {
      const double *left = u + 4 * owner[f], *right = u + 4 * neighbour[f];
      const double nx = normal[2 * f], ny = normal[2 * f + 1];
      double fl[4], fr[4], sl, sr;
      physical(left, nx, ny, fl, &sl);
      physical(right, nx, ny, fr, &sr);
      const double speed = sl > sr ? sl : sr;
      for (int k = 0; k < 4; k++) {
        const double flux =
            0.5 * area[f] * (fl[k] + fr[k] - speed * (right[k] - left[k]));
        change[4 * owner[f] + k] -= flux;
        change[4 * neighbour[f] + k] += flux;
      }
    }
    for (int c = 0; c < cells; c++)
      for (int k = 0; k < 4; k++) u[4 * c + k] += dt * change[4 * c + k] / volume[c];
  }
}
