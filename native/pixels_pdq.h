/* PDQ, written over a few vector operations. Included once by each pixels_*.c, which defines before:
 *
 *   px_weighted_rows  column sums of weighted rows of bytes, to uint16
 *   px_combine        column sums, one or three or four a pixel, to luma as float32
 *   px_turn           16 rows of float32 to columns of 16 (any 32-bit items: it only moves them)
 *   px_samples        one sample of 16 rows: weighted columns, summed in float64
 *   px_luma_row       one row of 8-bit pixels as float32 luma
 *   PX_BOX_DIVIDE     a vector of sums by a count, correctly rounded
 *
 * Two ways lead to a hash.
 *
 * The fast one applies both boxes and the decimation of an axis as one operator (kernels/pdq_banded.py). Away from the
 * borders a row of it is a triangle of whole numbers, 1 2 .. W .. 2 1, over W^2; one sample of an axis, the last where W is
 * even, meets a shorter box. So column sums of bytes are whole numbers, exact in 16 bits up to W = 16 and in float32 up to
 * W = 256 (axes of 32,768 pixels); the sums along rows are taken in float64. From 8-bit luma the 64x64 buffer is
 * therefore exact but for one rounding to float64 and the multiple of that shorter box, and from RGB but for a few
 * roundings to float32 of each band value (relative 2^-22 together: below 6e-5 of luma 255 each, averaged over the window).
 * Against the float64 operator of kernels/reference.py, over 300 pictures of 129 to 4,000 pixels a side, the buffer
 * differed by at most 1.1e-5 (luma) and 2.7e-5 (RGB) of 255, the coefficients by 3.8e-6 and 8.4e-5. The margins of that file
 * are 0.0034 or more for a coefficient and 0.0064 of 255 for a neighbour difference; what was seen used of the latter was
 * 0.0041. So what is added here is a fortieth of the smallest margin of a coefficient, and for a difference (two buffer
 * values) a fortieth of what is left.
 *
 * The exact one repeats pdqhash's float32 operations in their order (kernels/pdq_float32.py), streaming: lines of 32 rows
 * for the passes along rows, whole rows for those along columns, and no plane of the picture's size in between. */

#include <string.h>

#include "pixels_layout.h"

/* --- from coefficients to a code */

/* The order-preserving integer of a float, but for the two zeros, which are compared as floats in the end. */
HM_INLINE int32_t pdq_key(float x) {
    int32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits ^ (int32_t)((uint32_t)(bits >> 31) >> 1);
}

/* The 128th smallest of 256, by halving the range of keys: as many steps as a key has bits, whatever the values. */
static float pdq_lower_median(const float *c) {
    int32_t keys[256];
    for (int i = 0; i < 256; i++) keys[i] = pdq_key(c[i]);
    int64_t low = INT32_MIN, high = INT32_MAX;
    while (low < high) {
        int64_t middle = low + ((high - low) >> 1);
        int32_t limit = (int32_t)middle, count = 0;
        for (int i = 0; i < 256; i++) count += keys[i] <= limit;
        if (count >= 128) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    int32_t bits = (int32_t)low;
    bits ^= (int32_t)((uint32_t)(bits >> 31) >> 1);
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

/* Bit 16 i + j of a 256-bit number, written big-endian. */
static void pdq_write(const float *c, float median, uint8_t *code) {
    uint8_t bits[256];
    for (int i = 0; i < 256; i++) bits[i] = c[i] > median;
    for (int byte = 0; byte < 32; byte++) {
        unsigned value = 0;
        for (unsigned bit = 0; bit < 8; bit++) value |= (unsigned)bits[8 * byte + (int)bit] << bit;
        code[31 - byte] = (uint8_t)value;
    }
}

/* Coefficient 16 i + j of the eight orientations, from those of the original: transposed or not, with the sign of row i and
 * of column j changed where i or j is even. The order is kernels.DIHEDRAL_ORDER. */
static const struct {
    uint8_t transposed, rows, columns;
} pdq_turns[8] = {{0, 0, 0}, {1, 1, 0}, {0, 1, 1}, {1, 0, 1}, {0, 1, 0}, {0, 0, 1}, {1, 0, 0}, {1, 1, 1}};

HM_INLINE int pdq_negated(int turn, int i, int j) {
    return (pdq_turns[turn].rows & !(i & 1)) ^ (pdq_turns[turn].columns & !(j & 1));
}

/* --- the fast path */

/* Weights of sample k along an axis: those of the boxes of W pixels, times W^2; and those of the shorter box, if any. */
typedef struct {
    size_t first, count, short_first, short_count;
} pdq_sample;

static pdq_sample pdq_operator(size_t n, size_t k) {
    size_t window = hm_pdq_window(n), half = (window + 2) / 2, centre = hm_pdq_sample(n, k);
    pdq_sample s;
    s.first = centre - 2 * (window - half);
    s.count = 2 * window - 1;
    s.short_first = s.short_count = 0;
    if (s.first + s.count > n) { /* by one pixel, and only for the last sample of an even window */
        s.short_first = n - (window - 1);
        s.short_count = window - 1;
        s.count = 2 * window - 2;
    }
    return s;
}

/* 1 2 .. W .. 2 1; or, for the W - 1 boxes before the short one, 1 2 .. W-1 W-1 .. 2 1. */
HM_INLINE size_t pdq_weight(size_t window, const pdq_sample *s, size_t at) {
    size_t up = at + 1, down = (s->short_count ? 2 * window - 2 : 2 * window - 1) - at;
    size_t least = up < down ? up : down, most = s->short_count ? window - 1 : window;
    return least < most ? least : most;
}

/* Column sums of one sample, as luma times W^2 (times 1,000 where there are channels), to `out`. */
static void pdq_band_row(const hm_picture *p, const pdq_fast_layout *scratch, size_t k, float *out) {
    size_t window = hm_pdq_window(p->height), n = p->width * p->channels;
    pdq_sample s = pdq_operator(p->height, k);
    double shorter = s.short_count ? (double)window / (double)(window - 1) : 0;
    if (p->values) {
        double *sums = scratch->values;
        memset(sums, 0, p->width * sizeof *sums);
        for (size_t t = 0; t < s.count; t++) {
            const float *row = p->values + (s.first + t) * p->width;
            double weight = (double)pdq_weight(window, &s, t);
            for (size_t x = 0; x < p->width; x++) sums[x] += weight * (double)row[x];
        }
        for (size_t t = 0; t < s.short_count; t++) {
            const float *row = p->values + (s.short_first + t) * p->width;
            for (size_t x = 0; x < p->width; x++) sums[x] += shorter * (double)row[x];
        }
        for (size_t x = 0; x < p->width; x++) out[x] = (float)sums[x];
        return;
    }
    if (window <= 16 && !s.short_count) { /* 255 x 16^2 is the most that 16 bits hold */
        uint16_t weights[32];
        for (size_t t = 0; t < s.count; t++) weights[t] = (uint16_t)pdq_weight(window, &s, t);
        px_weighted_rows(p->pixels + s.first * p->stride, p->stride, weights, s.count, n, scratch->sums);
        px_combine(scratch->sums, p->width, p->channels, out);
        return;
    }
    /* In parts that 16 bits hold, added up in float32: exact below 2^24, but for the multiple of the short box. */
    float *wide = scratch->wide;
    memset(wide, 0, n * sizeof *wide);
    for (size_t t = 0; t < s.count;) {
        uint16_t weights[257];
        size_t taken = 0, sum = 0;
        while (t + taken < s.count && sum + pdq_weight(window, &s, t + taken) <= 257) {
            weights[taken] = (uint16_t)pdq_weight(window, &s, t + taken);
            sum += weights[taken++];
        }
        px_weighted_rows(p->pixels + (s.first + t) * p->stride, p->stride, weights, taken, n, scratch->sums);
        for (size_t x = 0; x < n; x++) wide[x] += (float)scratch->sums[x];
        t += taken;
    }
    if (s.short_count) {
        uint16_t ones[256];
        for (size_t t = 0; t < s.short_count; t++) ones[t] = 1;
        px_weighted_rows(p->pixels + s.short_first * p->stride, p->stride, ones, s.short_count, n, scratch->sums);
        /* Multiples of 2^-10, so that what is summed of them is exact (see pdq_decimated). */
        for (size_t x = 0; x < n; x++) {
            wide[x] += (float)(int32_t)((float)shorter * (float)scratch->sums[x] * 1024.0f) / 1024.0f;
        }
    }
    if (p->channels == 1) {
        memcpy(out, wide, n * sizeof *out);
        return;
    }
    for (size_t x = 0; x < p->width; x++) {
        const float *rgb = wide + x * p->channels;
        out[x] = 299.0f * rgb[0] + 587.0f * rgb[1] + 114.0f * rgb[2];
    }
}

/* The 64x64 buffer, column by column: buffer[64 j + i]. Of a plane of 8-bit luma it is the same everywhere, whatever an
 * implementation fuses or in which order it sums: all sums are whole numbers (of 2^-10 in the row of a shorter box), below
 * 2^53, and what is rounded is rounded one operation at a time. */
static void pdq_decimated(const hm_picture *p, const pdq_fast_layout *scratch) {
    size_t padded = hm_padded(p->width), window = hm_pdq_window(p->width), high = hm_pdq_window(p->height);
    double unit = (double)high * (double)high * (double)window * (double)window;
    double scale = 1 / (p->values || p->channels == 1 ? unit : 1000 * unit);
    double shorter = window > 1 ? (double)window / (double)(window - 1) : 0, weights[2 * HM_PDQ_FAST_WINDOW];
    pdq_sample usual = {0, 2 * window - 1, 0, 0};
    for (size_t t = 0; t < usual.count; t++) weights[t] = (double)pdq_weight(window, &usual, t);
    for (size_t from = 0; from < HM_PDQ_GRID; from += PDQ_ROWS) {
        for (size_t row = 0; row < PDQ_ROWS; row++) {
            float *out = scratch->band + row * padded;
            /* Narrow pictures repeat rows, and so do low ones; the last row cannot be told from the one before by place. */
            pdq_band_row(p, scratch, from + row, out);
            for (size_t x = p->width; x < (p->width + 15) / 16 * 16; x++) out[x] = 0;
        }
        for (size_t x = 0; x < p->width; x += 16) px_turn(scratch->band + x, padded, scratch->turned + x * PDQ_ROWS, PDQ_ROWS);
        for (size_t k = 0; k < HM_PDQ_GRID; k++) {
            pdq_sample s = pdq_operator(p->width, k);
            double sums[PDQ_ROWS] = {0};
            if (HM_OFTEN(!s.short_count)) {
                px_samples(scratch->turned + s.first * PDQ_ROWS, s.count, weights, sums);
            } else {
                double own[2 * HM_PDQ_FAST_WINDOW];
                for (size_t t = 0; t < s.count; t++) own[t] = (double)pdq_weight(window, &s, t);
                px_samples(scratch->turned + s.first * PDQ_ROWS, s.count, own, sums);
                double more[PDQ_ROWS] = {0};
                for (size_t t = 0; t < s.short_count; t++) own[t] = 1;
                px_samples(scratch->turned + s.short_first * PDQ_ROWS, s.short_count, own, more);
                for (int i = 0; i < PDQ_ROWS; i++) sums[i] += shorter * more[i];
            }
            double *out = scratch->buffer + k * HM_PDQ_GRID + from;
            for (int i = 0; i < PDQ_ROWS; i++) out[i] = sums[i] * scale;
        }
    }
}

/* The 16x16 coefficients. Both products use that the rows of the DCT are even or odd about the middle. */
static void pdq_transform64(const double *restrict buffer, const double (*dct)[HM_PDQ_GRID], double *restrict out) {
    double even[32][HM_PDQ_GRID], odd[32][HM_PDQ_GRID], half[16][HM_PDQ_GRID], turned[HM_PDQ_GRID][16];
    for (int j = 0; j < 32; j++) {
        const double *low = buffer + j * HM_PDQ_GRID, *high = buffer + (63 - j) * HM_PDQ_GRID;
        for (int i = 0; i < HM_PDQ_GRID; i++) {
            even[j][i] = low[i] + high[i];
            odd[j][i] = low[i] - high[i];
        }
    }
    for (int k = 0; k < 16; k++) {
        const double(*lines)[HM_PDQ_GRID] = k & 1 ? (const double(*)[HM_PDQ_GRID])even : (const double(*)[HM_PDQ_GRID])odd;
        px_product(dct[k], lines, half[k]);
    }
    for (int i = 0; i < HM_PDQ_GRID; i++) {
        for (int k = 0; k < 16; k++) turned[i][k] = half[k][i];
    }
    double low[32][16], high[32][16];
    for (int i = 0; i < 32; i++) {
        for (int k = 0; k < 16; k++) {
            low[i][k] = turned[i][k] + turned[63 - i][k];
            high[i][k] = turned[i][k] - turned[63 - i][k];
        }
    }
    for (int m = 0; m < 16; m++) {
        px_product16(dct[m], m & 1 ? (const double(*)[16])low : (const double(*)[16])high, out + 16 * m);
    }
}

/* The quality, or -1 where truncations within the margin could change it. In float32, which adds at most 1e-5 to a margin of
 * 0.0025 of which 0.0016 was seen used. `buffer` may be transposed: neighbours stay neighbours. */
static int pdq_clear_quality(const double *restrict buffer) {
    const float margin = 0.0025f, scale = (float)(100.0 / 255.0);
    float values[HM_PDQ_GRID * HM_PDQ_GRID];
    for (int i = 0; i < HM_PDQ_GRID * HM_PDQ_GRID; i++) values[i] = (float)buffer[i];
    int32_t low = 0, high = 0;
    for (int row = 0; row < HM_PDQ_GRID; row++) {
        const float *v = values + row * HM_PDQ_GRID;
        for (int i = 0; i < HM_PDQ_GRID - 1; i++) {
            float size = (v[i] < v[i + 1] ? v[i + 1] - v[i] : v[i] - v[i + 1]) * scale;
            low += (int32_t)(size > margin ? size - margin : 0);
            high += (int32_t)(size + margin);
        }
        if (row == HM_PDQ_GRID - 1) break;
        for (int i = 0; i < HM_PDQ_GRID; i++) {
            float a = v[i], b = v[i + HM_PDQ_GRID], size = (a < b ? b - a : a - b) * scale;
            low += (int32_t)(size > margin ? size - margin : 0);
            high += (int32_t)(size + margin);
        }
    }
    int least = low / 90 < 100 ? low / 90 : 100, most = high / 90 < 100 ? high / 90 : 100;
    return least == most ? least : -1;
}

/* The code, or 0 where the coefficients around the median come within their margins of each other. */
static int pdq_clear_code(const double *c, uint8_t *code) {
    float rounded[256];
    for (int i = 0; i < 256; i++) rounded[i] = (float)c[i];
    float median = pdq_lower_median(rounded);
    /* If rounding to float32 mixed two of them up, they are closer than any margin, and this says so. */
    double highest = -1e300, lowest = 1e300;
    int above = 0;
    for (int i = 0; i < 256; i++) {
        int up = rounded[i] > median;
        double high = up ? -1e300 : c[i] + hm_pdq.margin[i], low = up ? c[i] - hm_pdq.margin[i] : 1e300;
        highest = high > highest ? high : highest;
        lowest = low < lowest ? low : lowest;
        above += up;
    }
    if (above != 128 || !(highest < lowest)) return 0;
    pdq_write(rounded, median, code);
    return 1;
}

static int pdq_clear(const double *buffer, int dihedral, uint8_t *codes, int *quality) {
    *quality = pdq_clear_quality(buffer);
    if (*quality < 0) return HM_UNDECIDED;
    double original[256], turned[256];
    pdq_transform64(buffer, hm_pdq.dct, original);
    if (!pdq_clear_code(original, codes)) return HM_UNDECIDED;
    for (int turn = 1; dihedral && turn < 8; turn++) {
        for (int i = 0; i < 16; i++) {
            for (int j = 0; j < 16; j++) {
                double value = original[pdq_turns[turn].transposed ? 16 * j + i : 16 * i + j];
                turned[16 * i + j] = pdq_negated(turn, i, j) ? -value : value;
            }
        }
        if (!pdq_clear_code(turned, codes + 32 * turn)) return HM_UNDECIDED;
    }
    return HM_OK;
}

static int px_pdq_fast(const hm_picture *p, int dihedral, void *scratch, uint8_t *codes, int *quality) {
    size_t side = p->height > p->width ? p->height : p->width;
    size_t least = p->height < p->width ? p->height : p->width;
    if (side <= HM_PDQ_EXACT_SIDE || side > HM_PDQ_FAST_SIDE || least < HM_PDQ_MIN_SIDE) return HM_UNDECIDED;
    pdq_fast_layout layout;
    pdq_fast_place(p, scratch, &layout);
    pdq_decimated(p, &layout);
    return pdq_clear(layout.buffer, dihedral, codes, quality);
}

/* --- the exact path */

typedef struct {
    size_t n, full, half;
} pdq_box;

static pdq_box pdq_box_of(size_t n) {
    pdq_box box = {n, hm_pdq_window(n), (hm_pdq_window(n) + 2) / 2};
    return box;
}

/* How many pixels the window holds when `entering` is the index that came last. */
HM_INLINE size_t pdq_inside(const pdq_box *box, size_t entering) {
    size_t last = entering < box->n - 1 ? entering + 1 : box->n;
    return last - (entering >= box->full ? entering - box->full + 1 : 0);
}

HM_INLINE void pdq_luma_row(const hm_picture *p, size_t y, float *out) {
    if (p->values) {
        memcpy(out, p->values + y * p->width, p->width * sizeof *out);
    } else {
        px_luma_row(p->pixels + y * p->stride, p->width, p->channels, out);
    }
}

#include "pixels_box.h"

static void pdq_transform32(const float *restrict buffer, float *restrict out) {
    float half[16][HM_PDQ_GRID];
    for (int i = 0; i < 16; i++) {
        float sums[HM_PDQ_GRID] = {0};
        for (int k = 0; k < HM_PDQ_GRID; k++) {
            float factor = hm_pdq.dct32[i][k];
            for (int x = 0; x < HM_PDQ_GRID; x++) sums[x] += factor * buffer[k * HM_PDQ_GRID + x];
        }
        memcpy(half[i], sums, sizeof sums);
    }
    for (int i = 0; i < 16; i++) {
        float sums[16] = {0};
        for (int k = 0; k < HM_PDQ_GRID; k++) {
            for (int j = 0; j < 16; j++) sums[j] += half[i][k] * hm_pdq.dct32_t[k][j];
        }
        memcpy(out + 16 * i, sums, sizeof sums);
    }
}

static int pdq_quality32(const float *buffer) {
    int32_t total = 0;
    for (int row = 0; row < HM_PDQ_GRID; row++) {
        const float *v = buffer + row * HM_PDQ_GRID;
        for (int i = 0; i < HM_PDQ_GRID - 1; i++) {
            int32_t step = (int32_t)((v[i] - v[i + 1]) * 100.0f / 255.0f);
            total += step < 0 ? -step : step;
        }
        if (row == HM_PDQ_GRID - 1) break;
        for (int i = 0; i < HM_PDQ_GRID; i++) {
            int32_t step = (int32_t)((v[i] - v[i + HM_PDQ_GRID]) * 100.0f / 255.0f);
            total += step < 0 ? -step : step;
        }
    }
    return total / 90 < 100 ? total / 90 : 100;
}

static void px_pdq_exact(const hm_picture *p, int dihedral, void *scratch, uint8_t *codes, int *quality) {
    if (p->height < HM_PDQ_MIN_SIDE || p->width < HM_PDQ_MIN_SIDE) {
        memset(codes, 0, dihedral ? 256 : 32);
        *quality = 0;
        return;
    }
    pdq_exact_layout layout;
    pdq_exact_place(p, scratch, &layout);
    if (!dihedral && p->height == HM_PDQ_GRID && p->width == HM_PDQ_GRID) {
        for (size_t y = 0; y < HM_PDQ_GRID; y++) pdq_luma_row(p, y, layout.buffer + y * HM_PDQ_GRID);
    } else {
        pdq_boxes(p, &layout);
    }
    float original[256], turned[256];
    pdq_transform32(layout.buffer, original);
    *quality = pdq_quality32(layout.buffer);
    pdq_write(original, pdq_lower_median(original), codes);
    for (int turn = 1; dihedral && turn < 8; turn++) {
        for (int i = 0; i < 16; i++) {
            for (int j = 0; j < 16; j++) {
                float value = original[pdq_turns[turn].transposed ? 16 * j + i : 16 * i + j];
                turned[16 * i + j] = pdq_negated(turn, i, j) ? -value : value;
            }
        }
        pdq_write(turned, pdq_lower_median(turned), codes + 32 * turn);
    }
}

static void px_luma(const hm_picture *p, float *out) {
    for (size_t y = 0; y < p->height; y++) px_luma_row(p->pixels + y * p->stride, p->width, p->channels, out + y * p->width);
}
