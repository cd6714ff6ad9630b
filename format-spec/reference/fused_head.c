/* The LIIF head and its gradient in one pass, float32: see Network.head for the same thing in tensor operations.
 * Shapes: P [batch][rows][columns][HIDDEN], output [batch][outRows][outColumns][3], outWeight [3][HIDDEN].
 * `top` and `left` are the upper left of an output pixel's four sites, `down` and `right` its position between them.
 * Compile with -DHIDDEN=32. */
#include <stdlib.h>

typedef struct {
  int batch, rows, columns, outRows, outColumns;
  const float *p, *rowWeight, *columnWeight, *cell, *outWeight, *outBias;
  const int *top, *left;
  const float *down, *right;
} Head;

static int inside(int i, int count) { return i < 0 ? 0 : i >= count ? count - 1 : i; }

/* Offset in P of site (dy, dx) of an output pixel; outside, the nearest inside. */
static long site(const Head *h, int b, int i, int j, int dy, int dx) {
  long row = inside(h->top[i] + dy, h->rows), column = inside(h->left[j] + dx, h->columns);
  return (((long)b * h->rows + row) * h->columns + column) * HIDDEN;
}

/* The area of the rectangle opposite to site (dy, dx). */
static float area(const Head *h, int i, int j, int dy, int dx) {
  return (dy ? h->down[i] : 1 - h->down[i]) * (dx ? h->right[j] : 1 - h->right[j]);
}

static void hidden(const Head *h, const float *restrict p, float y, float x, float *restrict a) {
  for (int k = 0; k < HIDDEN; k++) {
    float v = p[k] + h->cell[k] + h->rowWeight[k] * y + h->columnWeight[k] * x;
    a[k] = v > 0 ? v : 0;
  }
}

void head_forward(const Head *h, float *restrict out) {
#pragma omp parallel for collapse(2) schedule(static)
  for (int b = 0; b < h->batch; b++)
    for (int i = 0; i < h->outRows; i++)
      for (int j = 0; j < h->outColumns; j++) {
        float color[3] = {h->outBias[0], h->outBias[1], h->outBias[2]}, a[HIDDEN];
        for (int t = 0; t < 4; t++) {
          int dy = t >> 1, dx = t & 1;
          float weight = area(h, i, j, dy, dx);
          if (weight == 0) continue;
          hidden(h, h->p + site(h, b, i, j, dy, dx), h->down[i] - dy, h->right[j] - dx, a);
          for (int c = 0; c < 3; c++) {
            float sum = 0;
            for (int k = 0; k < HIDDEN; k++) sum += a[k] * h->outWeight[c * HIDDEN + k];
            color[c] += weight * sum;
          }
        }
        float *pixel = out + (((long)b * h->outRows + i) * h->outColumns + j) * 3;
        for (int c = 0; c < 3; c++) pixel[c] = color[c];
      }
}

/* gradP holds zeros, as does gradWeights: row, column, cell [HIDDEN] each, outWeight [3][HIDDEN], outBias [3].
 * Threads share pictures, never one picture, so gradP needs no lock. */
enum { WEIGHTS = 6 * HIDDEN + 3 };

void head_backward(const Head *h, const float *restrict gradOut, float *restrict gradP, float *restrict gradWeights) {
#pragma omp parallel
  {
    float *mine = calloc(WEIGHTS, sizeof(float));
    float *row = mine, *column = mine + HIDDEN, *cell = mine + 2 * HIDDEN;
    float *outWeight = mine + 3 * HIDDEN, *outBias = mine + 6 * HIDDEN;
#pragma omp for schedule(dynamic, 1)
    for (int b = 0; b < h->batch; b++)
      for (int i = 0; i < h->outRows; i++)
        for (int j = 0; j < h->outColumns; j++) {
          const float *g = gradOut + (((long)b * h->outRows + i) * h->outColumns + j) * 3;
          for (int c = 0; c < 3; c++) outBias[c] += g[c];
          for (int t = 0; t < 4; t++) {
            int dy = t >> 1, dx = t & 1;
            float weight = area(h, i, j, dy, dx), y = h->down[i] - dy, x = h->right[j] - dx, a[HIDDEN];
            if (weight == 0) continue;
            long at = site(h, b, i, j, dy, dx);
            hidden(h, h->p + at, y, x, a);
            float r = g[0] * weight, s = g[1] * weight, u = g[2] * weight, *toP = gradP + at;
            for (int k = 0; k < HIDDEN; k++) {
              outWeight[k] += r * a[k];
              outWeight[HIDDEN + k] += s * a[k];
              outWeight[2 * HIDDEN + k] += u * a[k];
              float d = r * h->outWeight[k] + s * h->outWeight[HIDDEN + k] + u * h->outWeight[2 * HIDDEN + k];
              d = a[k] > 0 ? d : 0;
              toP[k] += d;
              cell[k] += d;
              row[k] += d * y;
              column[k] += d * x;
            }
          }
        }
#pragma omp critical
    for (int k = 0; k < WEIGHTS; k++) gradWeights[k] += mine[k];
    free(mine);
  }
}
