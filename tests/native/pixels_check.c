/* PDQ, luma and the 64-bit family against scalar code that follows the originals step by step.
 *
 * For PDQ that is the order of float32 operations of Meta's reference, with whole-picture buffers; for the family Pillow's
 * resampling, coefficient by coefficient. */

#include <math.h>

#include "check.h"

static size_t hashes;

/* --- the oracles */

static void luma_of(const hm_picture *p, float *out) {
    for (size_t y = 0; y < p->height; y++) {
        for (size_t x = 0; x < p->width; x++) {
            const uint8_t *pixel = p->pixels + y * p->stride + x * p->channels;
            double red = pixel[0] * 0.299; /* one rounding a line: a compiler may not fuse across statements */
            if (p->channels == 1) {
                out[y * p->width + x] = pixel[0];
            } else {
                double green = pixel[1] * 0.587, blue = pixel[2] * 0.114;
                double sum = red + green;
                out[y * p->width + x] = (float)(sum + blue);
            }
        }
    }
}

/* The box along one line, `step` items from value to value. */
static void box(const float *in, float *out, size_t n, size_t step) {
    size_t window = (n + 127) / 128, half = (window + 2) / 2, entering = 0, leaving = 0, written = 0, inside = 0;
    float sum = 0;
    for (; entering < half - 1; inside++) sum += in[entering++ * step];
    for (; inside < window; inside++) {
        sum += in[entering++ * step];
        out[written++ * step] = sum / (float)(inside + 1);
    }
    while (entering < n) {
        sum += in[entering++ * step];
        sum -= in[leaving++ * step];
        out[written++ * step] = sum / (float)inside;
    }
    while (written < n) {
        sum -= in[leaving++ * step];
        out[written++ * step] = sum / (float)--inside;
    }
}

/* a where c of (i, j) says so: the eight orientations by sign and transposition. */
static float oriented(const float a[16][16], int which, int i, int j) {
    float value = which == 1 || which == 3 || which >= 6 ? a[j][i] : a[i][j];
    int odd_i = i & 1, odd_j = j & 1, negative = 0;
    if (which == 1 || which == 4) negative = !odd_i;
    if (which == 3 || which == 5) negative = !odd_j;
    if (which == 2 || which == 7) negative = odd_i != odd_j;
    return negative ? -value : value;
}

static int by_value(const void *a, const void *b) {
    float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

static int pdq_of(const float *luma, size_t height, size_t width, int dihedral, uint8_t *codes) {
    float grid[64][64], half[16][64], a[16][16];
    memset(codes, 0, dihedral ? 256 : 32);
    if (height < 5 || width < 5) return 0;
    if (height == 64 && width == 64 && !dihedral) {
        memcpy(grid, luma, sizeof grid);
    } else {
        float *now = need(height * width * 4), *then = need(height * width * 4);
        memcpy(now, luma, height * width * 4);
        for (int pass = 0; pass < 2; pass++) {
            for (size_t y = 0; y < height; y++) box(now + y * width, then + y * width, width, 1);
            for (size_t x = 0; x < width; x++) box(then + x, now + x, height, width);
        }
        for (size_t y = 0; y < 64; y++) {
            for (size_t x = 0; x < 64; x++) {
                grid[y][x] = now[(size_t)(((double)y + 0.5) * (double)height / 64) * width +
                                 (size_t)(((double)x + 0.5) * (double)width / 64)];
            }
        }
        free(now);
        free(then);
    }
    long sum = 0;
    for (int y = 0; y < 64; y++) {
        for (int x = 0; x < 64; x++) {
            for (int down = 0; down < 2; down++) {
                if ((down ? y : x) == 63) continue;
                float difference = grid[y][x] - grid[y + down][x + !down];
                difference *= 100;
                difference /= 255;
                sum += labs((long)difference);
            }
        }
    }
    for (int i = 0; i < 16; i++) {
        for (int x = 0; x < 64; x++) {
            half[i][x] = 0;
            for (int k = 0; k < 64; k++) {
                float product = hm_pdq.dct32[i][k] * grid[k][x];
                half[i][x] += product;
            }
        }
    }
    for (int i = 0; i < 16; i++) {
        for (int j = 0; j < 16; j++) {
            a[i][j] = 0;
            for (int k = 0; k < 64; k++) {
                float product = half[i][k] * hm_pdq.dct32[j][k];
                a[i][j] += product;
            }
        }
    }
    for (int which = 0; which < (dihedral ? 8 : 1); which++) {
        float sorted[256];
        for (int k = 0; k < 256; k++) sorted[k] = oriented(a, which, k / 16, k % 16);
        qsort(sorted, 256, sizeof *sorted, by_value);
        for (int k = 0; k < 256; k++) {
            if (oriented(a, which, k / 16, k % 16) > sorted[127]) codes[32 * which + 31 - k / 8] |= (uint8_t)(1 << k % 8);
        }
    }
    return sum / 90 < 100 ? (int)(sum / 90) : 100;
}

static double lanczos(double x) {
    const double pi = 3.14159265358979323846;
    if (x < -3 || x >= 3) return 0;
    return x == 0 ? 1 : sin(x * pi) / (x * pi) * (sin(x / 3 * pi) / (x / 3 * pi));
}

/* `lines` lines of n values, `step` apart, to lines of m values; the lines themselves are `next` and `out_next` apart. */
typedef struct {
    size_t lines, n, step, next, m, out_step, out_next;
} axis_t;

static void resample(const uint8_t *in, uint8_t *out, axis_t a) {
    double scale = (double)a.n / (double)a.m, spread = scale < 1 ? 1 : scale, support = 3 * spread, *weights = need(a.n * 8);
    int64_t *whole = need(a.n * 8);
    for (size_t o = 0; o < a.m; o++) {
        double centre = ((double)o + 0.5) * scale, sum = 0;
        double low = centre - support + 0.5, high = centre + support + 0.5;
        size_t first = low < 0 ? 0 : (size_t)low, end = (size_t)high > a.n ? a.n : (size_t)high;
        for (size_t i = first; i < end; i++) {
            double argument = (double)i - centre + 0.5;
            sum += weights[i] = lanczos(argument * (1 / spread));
        }
        for (size_t i = first; i < end; i++) {
            double scaled = weights[i] / sum * (1 << 22);
            whole[i] = (int64_t)(scaled < 0 ? scaled - 0.5 : scaled + 0.5);
        }
        for (size_t line = 0; line < a.lines; line++) {
            const uint8_t *from = in + line * a.next;
            int64_t total = 1 << 21;
            for (size_t i = first; i < end; i++) total += whole[i] * from[i * a.step];
            total = total < 0 ? 0 : total >> 22;
            if (a.n == a.m) total = from[o * a.step]; /* Pillow leaves an axis alone that has its size */
            out[line * a.out_next + o * a.out_step] = (uint8_t)(total > 255 ? 255 : total);
        }
    }
    free(weights);
    free(whole);
}

static void resized(const uint8_t *grey, size_t width, size_t height, size_t w, size_t h, int vertical, uint8_t *out) {
    uint8_t *middle = need(vertical ? width * h : w * height);
    if (vertical) {
        resample(grey, middle, (axis_t){width, height, width, 1, h, width, 1});
        resample(middle, out, (axis_t){h, width, 1, width, w, 1, w});
    } else {
        resample(grey, middle, (axis_t){height, width, 1, width, w, 1, w});
        resample(middle, out, (axis_t){w, height, w, 1, h, w, 1});
    }
    free(middle);
}

static int by_double(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* The hashes that can be decided. `rule`: see hm_vertical_first. */
static int family_of(const hm_picture *p, int rule, uint8_t *codes) {
    static const size_t widths[3] = {32, 9, 8}, heights[3] = {32, 8, 8};
    uint8_t *grey = need(p->width * p->height), small[32 * 32];
    int decided = HM_DHASH | HM_AHASH;
    memset(codes, 0, 24);
    for (size_t y = 0; y < p->height; y++) {
        for (size_t x = 0; x < p->width; x++) {
            const uint8_t *pixel = p->pixels + y * p->stride + x * p->channels;
            unsigned value = pixel[0];
            if (p->channels > 1) value = (pixel[0] * 19595u + pixel[1] * 38470u + pixel[2] * 7471u + 0x8000u) >> 16;
            grey[y * p->width + x] = (uint8_t)value;
        }
    }
    for (int hash = 0; hash < 3; hash++) {
        int64_t w = (int64_t)widths[hash], h = (int64_t)heights[hash], width = (int64_t)p->width, height = (int64_t)p->height;
        int vertical = rule && height > h && (rule == 1 ? height > 100 * width : height - h > 2 * (width - w));
        resized(grey, p->width, p->height, widths[hash], heights[hash], vertical, small);
        unsigned sum = 0;
        double c[64], sorted[64];
        for (int i = 0; hash == 2 && i < 64; i++) sum += small[i];
        for (int i = 0; hash == 0 && i < 64; i++) {
            c[i] = 0;
            for (int y = 0; y < 32; y++) {
                double row = 0;
                for (int x = 0; x < 32; x++) row += small[32 * y + x] * hm_resample_dct[i % 8][x];
                c[i] += row * hm_resample_dct[i / 8][y];
            }
        }
        if (hash == 0) {
            memcpy(sorted, c, sizeof c);
            qsort(sorted, 64, sizeof *sorted, by_double);
            /* Where the middle two are this near, the kernel may leave the hash to the caller. */
            if (sorted[32] - sorted[31] > 2e-6) decided |= HM_PHASH;
        }
        for (int i = 0; i < 64; i++) {
            int bit = hash == 0   ? c[i] > (sorted[31] + sorted[32]) / 2
                      : hash == 1 ? small[i / 8 * 9 + i % 8 + 1] > small[i / 8 * 9 + i % 8]
                                  : 64u * small[i] > sum;
            codes[8 * hash + i / 8] |= (uint8_t)(bit << (7 - i % 8));
        }
    }
    free(grey);
    return decided;
}

/* --- the comparison */

static void *aligned(size_t bytes, void **block) {
    *block = need(bytes + 64);
    memset(*block, 0x5a, bytes + 64); /* what a kernel reads before it wrote it must not happen to be right */
    return (void *)(((uintptr_t)*block + 63) & ~(uintptr_t)63);
}

#define PICTURE "%zu x %zu, %u channels, %s"
#define OF p->width, p->height, p->channels, kind

static void check_pdq(const hm_pixels *kernels, const char *name, const hm_picture *p, const char *kind, int dihedral,
                      const uint8_t *expected, int expected_quality) {
    size_t bytes = dihedral ? 256 : 32;
    for (int fast = 0; fast < 2; fast++) {
        uint8_t *codes = need(bytes);
        int quality = -1, status = HM_OK;
        void *block, *scratch = aligned(fast ? hm_pdq_fast_scratch(p) : hm_pdq_exact_scratch(p), &block);
        if (fast) {
            status = kernels->pdq_fast(p, dihedral, scratch, codes, &quality);
        } else {
            kernels->pdq_exact(p, dihedral, scratch, codes, &quality);
        }
        check(status == HM_OK || (fast && status == HM_UNDECIDED), "%s: status %d", name, status);
        if (status == HM_OK) {
            check(!memcmp(codes, expected, bytes) && quality == expected_quality, "%s, pdq %s%s: " PICTURE ": quality %d, expected %d",
                  name, fast ? "fast" : "exact", dihedral ? ", dihedral" : "", OF, quality, expected_quality);
            hashes++;
        }
        free(codes);
        free(block);
    }
}

/* Everything that `plane` makes of luma: hashes as of the other functions, and margins that are the same everywhere. */
static void check_plane(const hm_picture *p, const char *kind, const uint8_t *pdq, int quality, int rule, const uint8_t *family,
                        int decided) {
    hm_plane first = {.quality = 0};
    for (size_t i = 0; i < available_count; i++) {
        hm_plane found = {.quality = 0};
        size_t bytes = hm_pdq_fast_scratch(p), other = hm_family_scratch(p);
        void *block, *scratch = aligned(bytes > other ? bytes : other, &block);
        available[i]->pixels->plane(p, HM_PDQ | HM_PHASH | HM_DHASH | HM_AHASH, rule, scratch, &found);
        const char *name = available[i]->name;
        if (found.decided & HM_PDQ) {
            check(!memcmp(found.pdq, pdq, 32) && found.quality == quality, "%s, plane, pdq: " PICTURE, name, OF);
            hashes++;
        }
        for (int hash = 0; hash < 3; hash++) {
            if (!(decided & 1 << hash)) continue;
            check(found.decided & 1 << hash && !memcmp(found.family + 8 * hash, family + 8 * hash, 8), "%s, plane, family %d: " PICTURE,
                  name, hash, OF);
            hashes++;
        }
        if (i == 0) first = found;
        check(!memcmp(found.ordered, first.ordered, sizeof first.ordered) && found.dhash == first.dhash && found.ahash == first.ahash,
              "%s, plane, other margins than of %s: " PICTURE, name, available[0]->name, OF);
        free(block);
    }
}

static void check_picture(const hm_picture *p, const char *kind) {
    float *luma = need(p->width * p->height * 4), *found = need(p->width * p->height * 4);
    uint8_t expected[2][256], family[24];
    int quality[2], decided;
    luma_of(p, luma);
    hm_picture plane = {NULL, luma, p->height, p->width, 0, 0, NULL};
    for (int dihedral = 0; dihedral < 2; dihedral++) {
        quality[dihedral] = pdq_of(luma, p->height, p->width, dihedral, expected[dihedral]);
    }
    /* The rules differ for pictures that are taller than wide. */
    for (int rule = 0; rule < (p->height > p->width ? 3 : 1); rule++) {
        decided = family_of(p, rule, family);
        for (size_t i = 0; i < available_count; i++) {
            uint8_t *codes = need(24);
            void *block, *scratch = aligned(hm_family_scratch(p), &block);
            int which = rule == 2 ? HM_DHASH | HM_AHASH : HM_PHASH | HM_DHASH | HM_AHASH;
            hm_picture prepared = *p;
            void *kept_block = NULL;
            if (hashes & 1) { /* the tables that depend on the size alone may be made before */
                void *kept = aligned(hm_family_tables(p), &kept_block);
                available[i]->pixels->tables(p, which, scratch, kept);
                prepared.tables = kept;
            }
            int got = available[i]->pixels->family(&prepared, which, rule, scratch, codes);
            for (int hash = 0; hash < 3; hash++) {
                if (!(decided & which & 1 << hash)) continue;
                check(got & 1 << hash && !memcmp(codes + 8 * hash, family + 8 * hash, 8), "%s, family %d, rule %d: " PICTURE,
                      available[i]->name, hash, rule, OF);
                hashes++;
            }
            free(codes);
            free(block);
            free(kept_block);
        }
        if (p->channels == 1 && p->width >= HM_PDQ_MIN_SIDE && p->height >= HM_PDQ_MIN_SIDE) {
            check_plane(p, kind, expected[0], quality[0], rule, family, decided);
        }
    }
    for (size_t i = 0; i < available_count; i++) {
        const hm_pixels *kernels = available[i]->pixels;
        kernels->luma(p, found);
        for (size_t at = 0; at < p->width * p->height; at++) {
            check(found[at] == luma[at], "%s, luma: " PICTURE ": item %zu", available[i]->name, OF, at);
        }
        for (int dihedral = 0; dihedral < 2; dihedral++) {
            check_pdq(kernels, available[i]->name, p, kind, dihedral, expected[dihedral], quality[dihedral]);
            check_pdq(kernels, available[i]->name, &plane, kind, dihedral, expected[dihedral], quality[dihedral]);
        }
    }
    free(luma);
    free(found);
}

enum { NOISE, BLOBS, EXTREMES, GRADIENT, FLAT, KINDS };
static const char *const kinds[KINDS] = {"noise", "blobs", "extremes", "gradient", "flat"};

static void paint(uint64_t *state, int kind, uint8_t *pixels, size_t width, size_t height, size_t stride, unsigned channels) {
    unsigned fx = 3 + (unsigned)(next_random(state) % 40), fy = 3 + (unsigned)(next_random(state) % 40);
    for (size_t y = 0; y < height; y++) {
        uint8_t *row = pixels + y * stride;
        if (kind == NOISE) fill_random(state, row, width * channels);
        for (size_t x = 0; x < width; x++) {
            for (unsigned c = 0; c < channels; c++) {
                uint8_t *value = row + x * channels + c;
                if (kind == BLOBS) *value = (uint8_t)((x * fx / (width + 7) * 37 ^ y * fy / (height + 5) * 91) + 50 * c);
                if (kind == EXTREMES) *value = next_random(state) >> 63 ? 255 : 0;
                if (kind == GRADIENT) *value = (uint8_t)((x * 255 / width + y * 200 / height) / 2 + 10 * c);
                if (kind == FLAT) *value = (uint8_t)(90 + 40 * c);
            }
        }
    }
}

size_t check_pixels(void) {
    /* Both sides of lanes and blocks of 16, 32 and 64, of the windows of PDQ, of 128 and 1,024 pixels, and narrow ones. */
    static const size_t sizes[][2] = {{1, 1},     {1, 40},    {40, 1},    {4, 9},     {5, 5},     {8, 8},     {9, 8},
                                      {31, 33},   {32, 32},   {63, 65},   {64, 64},   {128, 128}, {129, 127}, {130, 131},
                                      {255, 257}, {200, 150}, {385, 200}, {1025, 66}, {66, 1025}, {3, 700},   {700, 3},
                                      {2049, 70}, {70, 2049}};
    uint64_t state = 3;
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        size_t width = sizes[i][0], height = sizes[i][1];
        for (int kind = 0; kind < KINDS; kind++) {
            unsigned channels = (unsigned[]){3, 1, 4}[(i + (size_t)kind) % 3];
            /* Rows may have gaps; behind the last row nothing may be read. */
            size_t stride = width * channels + (kind == BLOBS ? 5 : 0);
            size_t bytes = (height - 1) * stride + width * channels;
            uint8_t *pixels = need(bytes);
            for (size_t at = 0; at < bytes; at++) pixels[at] = 0xee;
            paint(&state, kind, pixels, width, height, stride, channels);
            hm_picture picture = {pixels, NULL, height, width, stride, channels, NULL};
            check_picture(&picture, kinds[kind]);
            free(pixels);
        }
    }
    return hashes;
}
