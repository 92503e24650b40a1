/* Pillow's convert("L") and LANCZOS resize, bit for bit, and the three 64-bit hashes that are made of them. Included once by
 * each pixels_*.c, which defines before:
 *
 *   RS_TAPS      pixels to a 32-bit item: 4 (bytes), 2 (16 bits) or 1
 *   RS_PARTS     into how many digits a coefficient is split, so that an item's products are exact
 *   px_dot       adds items times digits to the sums of RS_LINES lines, one vector lane a line; the planes of digits are
 *                `plane` items apart. Of three, px_top adds the last, where it is not zero
 *   px_grey_row  R, G, B to L
 *
 * Pillow resizes along one axis to 8 bits, then along the other: coefficients are rounded to 22 bits of fraction, products
 * summed in 32 bits, half added, shifted, clipped. Whole numbers throughout, so every order of summation gives its result;
 * and since its sums fit 32 bits, so do ours at the end, whatever the parts overflow on the way (they wrap).
 *
 * Here a pass treats 32 lines at once, a lane each, so that no sum runs across a vector: pixels of 32 lines are brought next
 * to each other, RS_TAPS neighbours of a line in one item. One pass turns the picture over; two turn it back. */

#include <math.h>
#include <string.h>

#include "resample_layout.h"

/* --- coefficients */

/* Whole coefficients, RS_TAPS to an item, as RS_PARTS planes of items: a digit each, the low ones signed, so that what is left
 * is a multiple of their weight. */
static void rs_split(const int32_t *restrict whole, size_t items, int32_t *restrict digits) {
#if RS_TAPS == 1
    memcpy(digits, whole, items * sizeof *digits);
#elif RS_TAPS == 2
    int16_t *restrict low = (int16_t *)(void *)digits, *restrict high = (int16_t *)(void *)(digits + items);
    for (size_t i = 0; i < 2 * items; i++) {
        low[i] = (int16_t)whole[i];
        high[i] = (int16_t)((whole[i] - (int16_t)whole[i]) >> 16);
    }
#else
    int8_t *restrict low = (int8_t *)(void *)digits, *restrict middle = (int8_t *)(void *)(digits + items);
    int8_t *restrict high = (int8_t *)(void *)(digits + 2 * items);
    for (size_t i = 0; i < 4 * items; i++) {
        int32_t rest = (whole[i] - (int8_t)whole[i]) >> 8;
        low[i] = (int8_t)whole[i];
        middle[i] = (int8_t)rest;
        high[i] = (int8_t)((rest - (int8_t)rest) >> 8);
    }
#endif
}

/* Coefficients that differ from Pillow's by less than 10^-6 before they are rounded to whole numbers; 0 where one is so near
 * to a half that this could matter.
 *
 * With t = pi (X + 1/2) / scale, the argument of sample `output` at pixel X is v = t / pi - (output + 1/2), so that
 * sin(pi v) = -+cos t and sin(pi v / 3) = sin(t / 3 - pi (2 output + 1) / 6) follow from the sine and cosine of t / 3, which
 * all samples share. They err by some 10^-15, and a coefficient by 2^22 x 2/pi of that at most. */
static int rs_approximate(const family_layout *s, size_t n, size_t outputs, size_t output, size_t first, size_t count,
                          int32_t *restrict k) {
    const double pi = 3.14159265358979323846, near = 4e-6;
    static const double sines[12] = {0,  0.5,  0.86602540378443864676,  1,  0.86602540378443864676,  0.5,
                                     0, -0.5, -0.86602540378443864676, -1, -0.86602540378443864676, -0.5};
    double scale = (double)n / (double)outputs, step = 1.0 / scale, centre = ((double)output + 0.5) * scale;
    size_t turn = (2 * output + 1) % 12;
    double turn_sine = sines[turn], turn_cosine = sines[(turn + 3) % 12], sign = output & 1 ? 1 : -1, sum = 0;
    const double *cosine = s->cosine + first, *low_sine = s->low_sine + first, *low_cosine = s->low_cosine + first;
    double *restrict weights = s->weights;
    double factor = 3 / (pi * pi);
    for (size_t i = 0; i < count; i++) {
        double v = ((double)(int32_t)(i + first) - centre + 0.5) * step;
        double weight = factor * (sign * cosine[i]) * (low_sine[i] * turn_cosine - low_cosine[i] * turn_sine) / (v * v);
        weight = v * v < 1e-14 ? 1 : weight;
        weight = v < 3.0 ? weight : 0;
        weights[i] = v >= -3.0 ? weight : 0;
    }
    double sums[8] = {0}; /* in another order than Pillow's, which is one of the things that `near` allows for */
    for (size_t i = count; i < (count + 7) / 8 * 8; i++) weights[i] = 0;
    for (size_t i = 0; i < count; i += 8) {
        for (int lane = 0; lane < 8; lane++) sums[lane] += weights[i + (size_t)lane];
    }
    for (int lane = 0; lane < 8; lane++) sum += sums[lane];
    double unit = (1 << HM_RESAMPLE_BITS) / sum;
    int32_t close = 0;
    for (size_t i = 0; i < count; i++) {
        double value = weights[i] * unit, rounded = value + (value < 0 ? -0.5 : 0.5);
        int32_t whole = (int32_t)rounded;
        double rest = rounded - (double)whole;
        rest = rest < 0 ? -rest : rest;
        close |= (int32_t)(rest < near) | (int32_t)(rest > 1 - near);
        k[i] = whole;
    }
    return !close;
}

static void rs_sines(const family_layout *s, size_t n, size_t outputs) {
    enum { BLOCK = 16 };
    const double pi = 3.14159265358979323846;
    double step = pi * (double)outputs / (double)n / 3, sines[BLOCK], cosines[BLOCK];
    for (int i = 0; i < BLOCK; i++) {
        sines[i] = sin(step * (i + 0.5));
        cosines[i] = cos(step * (i + 0.5));
    }
    for (size_t from = 0; from < n; from += BLOCK) {
        double sine = sin(step * (double)from), cosine = cos(step * (double)from);
        for (size_t i = 0; i < BLOCK; i++) { /* the arrays are padded */
            double a = sine * cosines[i] + cosine * sines[i], b = cosine * cosines[i] - sine * sines[i];
            s->low_sine[from + i] = a;
            s->low_cosine[from + i] = b;
            s->cosine[from + i] = b * (4 * b * b - 3);
        }
    }
}

static void rs_table(const family_layout *s, size_t n, size_t outputs, int32_t **free_digits, resample_table *out) {
    int fast = n > outputs;
    out->outputs = outputs;
    if (fast) rs_sines(s, n, outputs);
    for (size_t output = 0; output < outputs; output++) {
        size_t first, count;
        hm_lanczos_bounds(n, outputs, output, &first, &count);
        /* Zeros before and behind, to whole items. */
        size_t group = first / RS_TAPS, groups = (first + count - 1) / RS_TAPS - group + 1, before = first - group * RS_TAPS;
        int32_t *whole = s->whole + before, *digits = *free_digits;
        if (!fast || !rs_approximate(s, n, outputs, output, first, count, whole)) {
            hm_lanczos_exact(n, outputs, output, first, count, s->weights, whole);
        }
        for (size_t i = 0; i < before; i++) s->whole[i] = 0;
        for (size_t i = before + count; i < groups * RS_TAPS; i++) s->whole[i] = 0;
        rs_split(s->whole, groups, digits);
        out->first[output] = group;
        out->count[output] = groups;
        out->digits[output] = digits;
        *free_digits += groups * RS_PARTS;
#if RS_PARTS == 3
        const int32_t *top = digits + 2 * groups;
        size_t low = 0, high = groups;
        while (low < high && !top[low]) low++;
        while (low < high && !top[high - 1]) high--;
        out->top_first[output] = group + low;
        out->top_end[output] = group + high;
#endif
    }
}

/* --- one pass */

/* Bytes to items, n a multiple of RS_TAPS after padding with zero. */
static void rs_widen(const uint8_t *restrict row, size_t n, uint8_t *restrict items) {
#if RS_TAPS == 4
    memcpy(items, row, n);
    memset(items + n, 0, (64 - n % 64) % 64);
#elif RS_TAPS == 2
    uint16_t *restrict wide = (uint16_t *)(void *)items;
    for (size_t x = 0; x < n; x++) wide[x] = row[x];
    memset(wide + n, 0, 2 * ((32 - n % 32) % 32));
#else
    uint32_t *restrict wide = (uint32_t *)(void *)items;
    for (size_t x = 0; x < n; x++) wide[x] = row[x];
    memset(wide + n, 0, 4 * ((16 - n % 16) % 16));
#endif
}

/* RS_LINES lines, pixels `from` to `from + n` of each, to items: turned[group x RS_LINES + line]. Line l starts at
 * `lines + l x stride`; those beyond `count` are not read. */
static void rs_turn(const family_layout *s, const uint8_t *lines, size_t stride, size_t count, size_t n) {
    const size_t row_bytes = ((size_t)RS_CHUNK + 16 * RS_TAPS) * 4 / RS_TAPS; /* an odd number of cache lines */
    for (size_t line = 0; line < count; line++) rs_widen(lines + line * stride, n, s->items + line * row_bytes);
    size_t groups = (n + RS_TAPS - 1) / RS_TAPS;
    for (size_t group = 0; group < groups; group += 16) {
        for (size_t line = 0; line < count; line += 16) {
            px_turn((const float *)(const void *)(s->items + line * row_bytes) + group, row_bytes / 4,
                    s->turned + group * RS_LINES + line, RS_LINES);
        }
    }
}

/* The same where lines are columns: rows of `count` bytes, `stride` apart, are n pixels of each line. */
static void rs_interleave(const family_layout *s, const uint8_t *rows, size_t stride, size_t count, size_t n) {
    size_t groups = (n + RS_TAPS - 1) / RS_TAPS;
    uint8_t *items = (uint8_t *)(void *)s->turned;
    memset(items + (groups - 1) * RS_LINES * 4, 0, RS_LINES * 4);
    for (size_t y = 0; y < n; y++) {
        uint8_t *to = items + y / RS_TAPS * RS_LINES * 4 + y % RS_TAPS * (4 / RS_TAPS);
        const uint8_t *row = rows + y * stride;
        for (size_t line = 0; line < count; line++) {
#if RS_TAPS == 4
            to[4 * line] = row[line];
#elif RS_TAPS == 2
            uint16_t wide = row[line];
            memcpy(to + 4 * line, &wide, 2);
#else
            uint32_t wide = row[line];
            memcpy(to + 4 * line, &wide, 4);
#endif
        }
    }
}

/* Adds what the items of a chunk give to sums[output x RS_LINES + line]. The chunk starts at group `from`. */
static void rs_accumulate(const family_layout *s, const resample_table *table, size_t from, size_t groups, int32_t *sums) {
    for (size_t output = 0; output < table->outputs; output++) {
        size_t first = table->first[output], end = first + table->count[output];
        size_t low = first > from ? first : from, high = end < from + groups ? end : from + groups;
        if (low >= high) continue;
        const int32_t *items = (const int32_t *)(const void *)s->turned, *digits = table->digits[output];
        px_dot(items + (low - from) * RS_LINES, digits + (low - first), table->count[output], high - low,
               sums + output * RS_LINES);
#if RS_PARTS == 3
        low = table->top_first[output] > low ? table->top_first[output] : low;
        high = table->top_end[output] < high ? table->top_end[output] : high;
        if (low >= high) continue;
        px_top(items + (low - from) * RS_LINES, digits + 2 * table->count[output] + (low - first), high - low,
               sums + output * RS_LINES);
#endif
    }
}

/* Sums to bytes: out[output x stride + line]. */
static void rs_finish(const int32_t *restrict sums, size_t outputs, size_t count, uint8_t *out, size_t stride) {
    for (size_t output = 0; output < outputs; output++) {
        uint8_t bytes[RS_LINES];
        for (size_t line = 0; line < RS_LINES; line++) {
            int32_t value = (int32_t)((uint32_t)sums[output * RS_LINES + line] + (1u << (HM_RESAMPLE_BITS - 1)));
            value >>= HM_RESAMPLE_BITS;
            value = value < 0 ? 0 : value;
            bytes[line] = (uint8_t)(value > 255 ? 255 : value);
        }
        memcpy(out + output * stride, bytes, count);
    }
}

/* `lines` lines of n bytes to `table->outputs` samples each: out[output x out_stride + line]. Without a table (the length is
 * right already) the lines are only turned over. `sums`, where it is not NULL, takes the samples before they are rounded. */
static void rs_pass(const family_layout *s, const resample_table *table, const uint8_t *lines, size_t stride, size_t count,
                    size_t n, uint8_t *out, size_t out_stride, int32_t *sums) {
    if (!table) {
        for (size_t line = 0; line < count; line++) {
            for (size_t x = 0; x < n; x++) out[x * out_stride + line] = lines[line * stride + x];
        }
        for (size_t line = 0; sums && line < count; line++) {
            for (size_t x = 0; x < n; x++) sums[x * out_stride + line] = lines[line * stride + x] << HM_RESAMPLE_BITS;
        }
        return;
    }
    for (size_t line = 0; line < count; line += RS_LINES) {
        size_t here = count - line < RS_LINES ? count - line : RS_LINES;
        memset(s->sums, 0, table->outputs * RS_LINES * sizeof *s->sums);
        for (size_t x = 0; x < n; x += RS_CHUNK) {
            size_t length = n - x < RS_CHUNK ? n - x : RS_CHUNK;
            rs_turn(s, lines + line * stride + x, stride, here, length);
            rs_accumulate(s, table, x / RS_TAPS, (length + RS_TAPS - 1) / RS_TAPS, s->sums);
        }
        rs_finish(s->sums, table->outputs, here, out + line, out_stride);
        for (size_t output = 0; sums && output < table->outputs; output++) {
            memcpy(sums + output * out_stride + line, s->sums + output * RS_LINES, here * sizeof *sums);
        }
    }
}

/* --- the hashes */

typedef struct {
    int wanted, vertical;
    size_t width, height; /* of the small picture */
    const resample_table *across, *down;
    uint8_t *middle;
    uint8_t small[32 * 32];
    int32_t *sums; /* NULL, or the small picture before it is rounded */
} family_job;

HM_INLINE void px_grey(const hm_picture *p, size_t y, size_t x, size_t n, uint8_t *out) {
    const uint8_t *row = p->pixels + y * p->stride + x * p->channels;
    if (p->channels == 1) {
        memcpy(out, row, n);
    } else {
        px_grey_row(row, n, p->channels, out);
    }
}

/* First pass along rows, for all jobs that ask for it. middle[x x padded + y], then the second pass. */
static void family_across(const hm_picture *p, const family_layout *s, family_job *jobs) {
    size_t padded = hm_padded(p->height), width_padded = hm_padded(p->width);
    int any = 0;
    for (int j = 0; j < RS_SIDES; j++) any |= jobs[j].wanted && !jobs[j].vertical;
    if (!any) return;
    for (size_t y = 0; y < p->height; y += RS_LINES) {
        size_t count = p->height - y < RS_LINES ? p->height - y : RS_LINES;
        const uint8_t *lines = p->pixels + y * p->stride;
        size_t stride = p->stride;
        if (p->channels != 1) {
            for (size_t line = 0; line < count; line++) px_grey(p, y + line, 0, p->width, s->bytes + line * width_padded);
            lines = s->bytes;
            stride = width_padded;
        }
        int32_t *sums[RS_SIDES], *at = s->sums;
        for (int j = 0; j < RS_SIDES; j++) {
            sums[j] = at;
            at += jobs[j].width * RS_LINES;
        }
        memset(s->sums, 0, 49 * RS_LINES * sizeof *s->sums);
        for (size_t x = 0; x < p->width; x += RS_CHUNK) {
            size_t length = p->width - x < RS_CHUNK ? p->width - x : RS_CHUNK;
            rs_turn(s, lines + x, stride, count, length);
            for (int j = 0; j < RS_SIDES; j++) {
                if (!jobs[j].wanted || jobs[j].vertical || !jobs[j].across) continue;
                rs_accumulate(s, jobs[j].across, x / RS_TAPS, (length + RS_TAPS - 1) / RS_TAPS, sums[j]);
            }
        }
        for (int j = 0; j < RS_SIDES; j++) {
            if (!jobs[j].wanted || jobs[j].vertical) continue;
            if (jobs[j].across) {
                rs_finish(sums[j], jobs[j].width, count, jobs[j].middle + y, padded);
            } else {
                rs_pass(s, NULL, lines, stride, count, p->width, jobs[j].middle + y, padded, NULL);
            }
        }
    }
    for (int j = 0; j < RS_SIDES; j++) {
        if (!jobs[j].wanted || jobs[j].vertical) continue;
        rs_pass(s, jobs[j].down, jobs[j].middle, padded, jobs[j].width, p->height, jobs[j].small, jobs[j].width,
                jobs[j].sums);
    }
}

/* First pass along columns, 32 of them at a time. Only where the height shrinks, so there is always a table. */
static void family_down(const hm_picture *p, const family_layout *s, family_job *job) {
    size_t padded = hm_padded(p->width);
    for (size_t x = 0; x < p->width; x += RS_LINES) {
        size_t count = p->width - x < RS_LINES ? p->width - x : RS_LINES;
        memset(s->sums, 0, job->height * RS_LINES * sizeof *s->sums);
        for (size_t y = 0; y < p->height; y += RS_CHUNK) {
            size_t length = p->height - y < RS_CHUNK ? p->height - y : RS_CHUNK;
            for (size_t line = 0; line < length; line++) px_grey(p, y + line, x, count, s->items + line * RS_LINES);
            rs_interleave(s, s->items, RS_LINES, count, length);
            rs_accumulate(s, job->down, y / RS_TAPS, (length + RS_TAPS - 1) / RS_TAPS, s->sums);
        }
        rs_finish(s->sums, job->height, count, job->middle + x, padded);
    }
    uint8_t turned[32 * 32];
    int32_t sums[32 * 32];
    rs_pass(s, job->across, job->middle, padded, job->height, p->width, turned, job->height, job->sums ? sums : NULL);
    for (size_t y = 0; y < job->height; y++) {
        for (size_t x = 0; x < job->width; x++) {
            job->small[y * job->width + x] = turned[x * job->height + y];
            if (job->sums) job->sums[y * job->width + x] = sums[x * job->height + y];
        }
    }
}

/* Bits row by row, the first most significant. */
HM_INLINE void family_write(const uint8_t bits[64], uint8_t *code) {
    for (int byte = 0; byte < 8; byte++) {
        unsigned value = 0;
        for (int bit = 0; bit < 8; bit++) value = value << 1 | bits[8 * byte + bit];
        code[byte] = (uint8_t)value;
    }
}

/* Bits of the 8x8 lowest coefficients of the two-dimensional DCT-II above their median, which imagehash takes as the mean
 * of the middle two. They are at most 4 x 32 x 32 x 255 = 2^20, and a float64 transform of 32 + 32 terms errs by less than
 * 64 x 2^-53 of that: 10^-8. Where the middle two are further apart than 10^-6, every way of computing them gives the same bits;
 * else the caller asks imagehash itself. */
static int family_phash(const uint8_t *small, uint8_t *code) {
    static const double least = 1e-6;
    double half[8][32], c[64];
    for (int i = 0; i < 8; i++) {
        for (int x = 0; x < 32; x++) half[i][x] = 0;
        for (int y = 0; y < 32; y++) {
            double factor = hm_resample_dct[i][y];
            for (int x = 0; x < 32; x++) half[i][x] += factor * small[32 * y + x];
        }
    }
    for (int i = 0; i < 8; i++) {
        for (int j = 0; j < 8; j++) c[8 * i + j] = 0;
        for (int x = 0; x < 32; x++) {
            for (int j = 0; j < 8; j++) c[8 * i + j] += half[i][x] * hm_resample_dct_t[x][j];
        }
    }
    double sorted[64];
    for (int i = 0; i < 64; i++) { /* the rank of each: without branches, and ties by place */
        int rank = 0;
        for (int j = 0; j < i; j++) rank += c[j] <= c[i];
        for (int j = i + 1; j < 64; j++) rank += c[j] < c[i];
        sorted[rank] = c[i];
    }
    if (sorted[32] - sorted[31] < least) return 0;
    double median = (sorted[31] + sorted[32]) / 2;
    uint8_t bits[64];
    for (int i = 0; i < 64; i++) bits[i] = c[i] > median;
    family_write(bits, code);
    return 1;
}

static const size_t family_widths[RS_SIDES] = {32, 9, 8}, family_heights[RS_SIDES] = {32, 8, 8};

static void family_make_tables(const hm_picture *p, const family_layout *s, int which, int32_t *digits, family_tables *out) {
    int have_low = 0;
    for (int j = 0; j < RS_SIDES; j++) {
        if (!(which >> j & 1)) continue;
        if (p->width != family_widths[j]) rs_table(s, p->width, family_widths[j], &digits, &out->across[j]);
        if (j != 0 && have_low) continue;
        if (p->height != family_heights[j]) rs_table(s, p->height, family_heights[j], &digits, &out->down[j != 0]);
        have_low |= j != 0;
    }
}

static void px_tables(const hm_picture *p, int which, void *scratch, void *tables) {
    family_layout layout;
    family_place(p, scratch, &layout);
    uint8_t *digits = (uint8_t *)tables + (sizeof(family_tables) + 63) / 64 * 64;
    family_make_tables(p, &layout, which, (int32_t *)(void *)digits, tables);
}

/* `nine` and `eight`: NULL, or 9 x 8 and 8 x 8 samples before they are rounded, for the hashes that are asked for. */
static int family_of(const hm_picture *p, int which, int vertical_first, void *scratch, uint8_t *codes, int32_t *nine,
                     int32_t *eight) {
    int32_t *const samples[RS_SIDES] = {NULL, nine, eight};
    family_layout layout;
    family_place(p, scratch, &layout);
    family_job jobs[RS_SIDES];
    const family_tables *tables = p->tables;
    if (!tables) {
        family_make_tables(p, &layout, which, layout.digits, layout.tables);
        tables = layout.tables;
    }
    for (int j = 0; j < RS_SIDES; j++) {
        family_job *job = &jobs[j];
        job->wanted = which >> j & 1;
        job->width = family_widths[j];
        job->height = family_heights[j];
        if (!job->wanted) continue;
        job->vertical = hm_vertical_first(vertical_first, p->width, p->height, job->width, job->height);
        job->middle = layout.middle[j];
        job->sums = samples[j];
        job->across = p->width != job->width ? &tables->across[j] : NULL;
        job->down = p->height != job->height ? &tables->down[j != 0] : NULL;
    }
    family_across(p, &layout, jobs);
    for (int j = 0; j < RS_SIDES; j++) {
        if (jobs[j].wanted && jobs[j].vertical) family_down(p, &layout, &jobs[j]);
    }
    int decided = 0;
    uint8_t bits[64];
    if (jobs[0].wanted && family_phash(jobs[0].small, codes)) decided |= HM_PHASH;
    if (jobs[1].wanted) {
        for (int i = 0; i < 64; i++) {
            const uint8_t *pixel = jobs[1].small + i / 8 * 9 + i % 8;
            bits[i] = pixel[1] > pixel[0];
        }
        family_write(bits, codes + 8);
        decided |= HM_DHASH;
    }
    if (jobs[2].wanted) {
        unsigned sum = 0;
        for (int i = 0; i < 64; i++) sum += jobs[2].small[i];
        for (int i = 0; i < 64; i++) bits[i] = 64u * jobs[2].small[i] > sum; /* the mean of 64 bytes is exact in float64 */
        family_write(bits, codes + 16);
        decided |= HM_AHASH;
    }
    return decided;
}

static int px_family(const hm_picture *p, int which, int vertical_first, void *scratch, uint8_t *codes) {
    return family_of(p, which, vertical_first, scratch, codes, NULL, NULL);
}
