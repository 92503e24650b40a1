/* Vectors of float32 and float64 for compilers with GNU's vector types, of PX_BYTES bytes; one lane elsewhere. Products and
 * sums are rounded one by one (-ffp-contract=off), but for pd_fma, which the fast path alone uses. Then the operations of
 * pixels_pdq.h in plain C, for whoever has none of its own. */

#include <string.h>

#include "pixels_layout.h"

#if defined(__GNUC__)
typedef float pf __attribute__((vector_size(PX_BYTES), may_alias));
typedef float pf_any __attribute__((vector_size(PX_BYTES), may_alias, aligned(4)));
typedef double pd __attribute__((vector_size(PX_BYTES), may_alias));
typedef double pd_any __attribute__((vector_size(PX_BYTES), may_alias, aligned(8)));
#define PF_LANES (PX_BYTES / 4)
#define PD_LANES (PX_BYTES / 8)
#define pf_set(x) ((pf){0} + (x))
#define pd_set(x) ((pd){0} + (x))
#else
typedef float pf, pf_any;
typedef double pd, pd_any;
#define PF_LANES 1
#define PD_LANES 1
#define pf_set(x) (x)
#define pd_set(x) (x)
#endif
#define pf_load(p) (*(const pf_any *)(p))
#define pf_store(p, x) (*(pf_any *)(p) = (x))
#define pf_add(a, b) ((a) + (b))
#define pf_sub(a, b) ((a) - (b))
#define pf_mul(a, b) ((a) * (b))
#define pf_div(a, b) ((a) / (b))
#define pd_load(p) (*(const pd_any *)(p))
#define pd_store(p, x) (*(pd_any *)(p) = (x))
#ifndef pd_fma
#define pd_fma(a, b, c) ((a) * (b) + (c))
#endif

/* out[i] = sum over 32 lines of factors[j] lines[j][i]. */
HM_INLINE void px_product(const double *factors, const double (*lines)[HM_PDQ_GRID], double *out) {
    enum { VECTORS = HM_PDQ_GRID / PD_LANES < 8 ? HM_PDQ_GRID / PD_LANES : 8 };
    for (int from = 0; from < HM_PDQ_GRID; from += VECTORS * PD_LANES) {
        pd sums[VECTORS];
        for (int v = 0; v < VECTORS; v++) sums[v] = pd_set(0.0);
        for (int j = 0; j < 32; j++) {
            pd factor = pd_set(factors[j]);
            for (int v = 0; v < VECTORS; v++) sums[v] = pd_fma(factor, pd_load(lines[j] + from + v * PD_LANES), sums[v]);
        }
        for (int v = 0; v < VECTORS; v++) pd_store(out + from + v * PD_LANES, sums[v]);
    }
}

HM_INLINE void px_product16(const double *factors, const double (*lines)[16], double *out) {
    enum { VECTORS = 16 / PD_LANES };
    pd sums[VECTORS];
    for (int v = 0; v < VECTORS; v++) sums[v] = pd_set(0.0);
    for (int j = 0; j < 32; j++) {
        pd factor = pd_set(factors[j]);
        for (int v = 0; v < VECTORS; v++) sums[v] = pd_fma(factor, pd_load(lines[j] + v * PD_LANES), sums[v]);
    }
    for (int v = 0; v < VECTORS; v++) pd_store(out + v * PD_LANES, sums[v]);
}

#ifndef PX_HAS_WEIGHTED_ROWS
static void px_weighted_rows(const uint8_t *first, size_t stride, const uint16_t *weights, size_t count, size_t n,
                             uint16_t *restrict out) {
    memset(out, 0, n * sizeof *out);
    for (size_t t = 0; t < count; t++) {
        const uint8_t *restrict row = first + t * stride;
        uint16_t weight = weights[t];
        for (size_t x = 0; x < n; x++) out[x] = (uint16_t)(out[x] + weight * row[x]);
    }
}
#endif

#ifndef PX_HAS_COMBINE
static void px_combine(const uint16_t *restrict sums, size_t width, unsigned channels, float *restrict out) {
    if (channels == 1) {
        for (size_t x = 0; x < width; x++) out[x] = (float)sums[x];
    } else if (channels == 3) {
        for (size_t x = 0; x < width; x++) {
            out[x] = (float)(299 * sums[3 * x] + 587 * sums[3 * x + 1] + 114 * sums[3 * x + 2]);
        }
    } else {
        for (size_t x = 0; x < width; x++) {
            out[x] = (float)(299 * sums[4 * x] + 587 * sums[4 * x + 1] + 114 * sums[4 * x + 2]);
        }
    }
}
#endif

#ifndef PX_HAS_TURN
static void px_turn(const float *from, size_t stride, float *restrict to, size_t to_stride) {
    for (size_t row = 0; row < 16; row += 4) {
        for (size_t column = 0; column < 16; column++) {
            for (size_t i = 0; i < 4; i++) memcpy(to + column * to_stride + row + i, from + (row + i) * stride + column, 4);
        }
    }
}
#endif

#ifndef PX_HAS_SAMPLES
/* sums[i] += sum over `count` columns of weights[t] x columns[16 t + i]. */
HM_INLINE void px_samples(const float *columns, size_t count, const double *weights, double *sums) {
    for (size_t t = 0; t < count; t++) {
        double weight = weights[t];
        for (int i = 0; i < PDQ_ROWS; i++) sums[i] += weight * (double)columns[t * PDQ_ROWS + i];
    }
}
#endif

#ifndef PX_HAS_LUMA_ROW
/* The float64 sum 0.299 R + 0.587 G + 0.114 B, rounded at each step and then to float32, equals 299 R + 587 G + 114 B divided
 * by 1,000 in float32, for all 2^24 colours (tests/test_native_pixels.py tries each): the whole number is exact, its
 * thousandth is no nearer than 10^-12 to the middle between two float32 numbers, and the float64 sum errs by some 10^-16 of
 * itself. */
static void px_luma_row(const uint8_t *restrict row, size_t width, unsigned channels, float *restrict out) {
    if (channels == 1) {
        for (size_t x = 0; x < width; x++) out[x] = (float)row[x];
    } else if (channels == 3) {
        for (size_t x = 0; x < width; x++) {
            out[x] = (float)(299 * row[3 * x] + 587 * row[3 * x + 1] + 114 * row[3 * x + 2]) / 1000.0f;
        }
    } else {
        for (size_t x = 0; x < width; x++) {
            out[x] = (float)(299 * row[4 * x] + 587 * row[4 * x + 1] + 114 * row[4 * x + 2]) / 1000.0f;
        }
    }
}
#endif
