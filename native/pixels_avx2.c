/* The pixel kernels with AVX2 and FMA. Compiled with its own flags; see kernels_avx2.c. */

#include "pixels.h"

#ifdef HM_X86_64
#include <immintrin.h>

#define PX_BYTES 32
#if defined(__GNUC__)
#define pd_fma(a, b, c) ((pd)_mm256_fmadd_pd((__m256d)(a), (__m256d)(b), (__m256d)(c)))
#endif
#if defined(__GNUC__)
#define pf_fma(a, b, c) ((pf)_mm256_fmadd_ps((__m256)(a), (__m256)(b), (__m256)(c)))
#define pf_fnma(a, b, c) ((pf)_mm256_fnmadd_ps((__m256)(a), (__m256)(b), (__m256)(c)))
#endif
#define PX_HAS_WEIGHTED_ROWS
#define PX_HAS_TURN
#define PX_HAS_SAMPLES
#define PX_HAS_LUMA_ROW
#include "pixels_vectors.h"

/* 32 columns; see pixels_avx512.c. */
HM_INLINE void weighted_block(const uint8_t *first, size_t stride, const uint16_t *weights, size_t count, uint16_t *out) {
    __m256i low = _mm256_setzero_si256(), high = _mm256_setzero_si256();
    for (size_t t = 0; t < count; t += 2) {
        int two = t + 1 < count;
        __m256i a = _mm256_loadu_si256((const __m256i *)(first + t * stride));
        __m256i b = two ? _mm256_loadu_si256((const __m256i *)(first + (t + 1) * stride)) : _mm256_setzero_si256();
        __m256i pair = _mm256_set1_epi16((short)(weights[t] | (two ? weights[t + 1] : 0) << 8));
        low = _mm256_add_epi16(low, _mm256_maddubs_epi16(_mm256_unpacklo_epi8(a, b), pair));
        high = _mm256_add_epi16(high, _mm256_maddubs_epi16(_mm256_unpackhi_epi8(a, b), pair));
    }
    _mm256_storeu_si256((__m256i *)out, _mm256_permute2x128_si256(low, high, 0x20));
    _mm256_storeu_si256((__m256i *)(out + 16), _mm256_permute2x128_si256(low, high, 0x31));
}

static void px_weighted_rows(const uint8_t *first, size_t stride, const uint16_t *weights, size_t count, size_t n,
                             uint16_t *out) {
    uint16_t largest = 0;
    for (size_t t = 0; t < count; t++) largest = weights[t] > largest ? weights[t] : largest;
    if (largest > 64 || n < 32) {
        memset(out, 0, n * sizeof *out);
        for (size_t t = 0; t < count; t++) {
            for (size_t x = 0; x < n; x++) out[x] = (uint16_t)(out[x] + weights[t] * first[t * stride + x]);
        }
        return;
    }
    for (size_t x = 0; x + 32 <= n; x += 32) weighted_block(first + x, stride, weights, count, out + x);
    if (n % 32) weighted_block(first + n - 32, stride, weights, count, out + n - 32); /* some columns once more */
}

HM_INLINE void turn8(const float *from, size_t stride, float *to, size_t to_stride) {
    __m256 r[8], s[8];
    for (int i = 0; i < 8; i++) r[i] = _mm256_loadu_ps(from + (size_t)i * stride);
    for (int i = 0; i < 8; i += 2) {
        s[i] = _mm256_unpacklo_ps(r[i], r[i + 1]);
        s[i + 1] = _mm256_unpackhi_ps(r[i], r[i + 1]);
    }
    for (int i = 0; i < 8; i += 4) {
        for (int j = 0; j < 2; j++) {
            __m256d a = _mm256_castps_pd(s[i + j]), b = _mm256_castps_pd(s[i + j + 2]);
            r[i + 2 * j] = _mm256_castpd_ps(_mm256_unpacklo_pd(a, b));
            r[i + 2 * j + 1] = _mm256_castpd_ps(_mm256_unpackhi_pd(a, b));
        }
    }
    for (int i = 0; i < 4; i++) {
        _mm256_storeu_ps(to + (size_t)i * to_stride, _mm256_permute2f128_ps(r[i], r[i + 4], 0x20));
        _mm256_storeu_ps(to + (size_t)(i + 4) * to_stride, _mm256_permute2f128_ps(r[i], r[i + 4], 0x31));
    }
}

static void px_turn(const float *from, size_t stride, float *to, size_t to_stride) {
    for (size_t row = 0; row < 16; row += 8) {
        for (size_t column = 0; column < 16; column += 8) {
            turn8(from + row * stride + column, stride, to + column * to_stride + row, to_stride);
        }
    }
}

HM_INLINE void px_samples(const float *columns, size_t count, const double *weights, double *sums) {
    __m256d total[4];
    for (int i = 0; i < 4; i++) total[i] = _mm256_loadu_pd(sums + 4 * i);
    for (size_t t = 0; t < count; t++) {
        __m256d weight = _mm256_set1_pd(weights[t]);
        for (int i = 0; i < 4; i++) {
            __m256d column = _mm256_cvtps_pd(_mm_loadu_ps(columns + t * PDQ_ROWS + 4 * i));
            total[i] = _mm256_fmadd_pd(weight, column, total[i]);
        }
    }
    for (int i = 0; i < 4; i++) _mm256_storeu_pd(sums + 4 * i, total[i]);
}

/* Eight pixels, one in each 32-bit lane after `order`. Reads 28 bytes of RGB (24 are needed) or 32 of RGBX. */
HM_INLINE __m256i eight(const uint8_t *row, unsigned channels) {
    __m128i low = _mm_loadu_si128((const __m128i *)row);
    return _mm256_inserti128_si256(_mm256_castsi128_si256(low), _mm_loadu_si128((const __m128i *)(row + 4 * channels)), 1);
}

HM_INLINE __m256i picked(unsigned channels, unsigned a, unsigned b) {
    uint8_t order[16];
    for (unsigned i = 0; i < 4; i++) {
        order[4 * i] = (uint8_t)(a + i * channels);
        order[4 * i + 2] = (uint8_t)(b == 128 ? 128 : b + i * channels);
        order[4 * i + 1] = order[4 * i + 3] = 128;
    }
    return _mm256_broadcastsi128_si256(_mm_loadu_si128((const __m128i *)order));
}

/* How many pixels may be read eight at a time. */
HM_INLINE size_t by_eights(size_t width, unsigned channels) {
    size_t spare = channels == 3 ? 2 : 0; /* the last load takes four bytes more than it needs */
    return width < 8 + spare ? 0 : (width - spare) / 8 * 8;
}

static void px_luma_row(const uint8_t *row, size_t width, unsigned channels, float *out) {
    if (channels == 1) {
        for (size_t x = 0; x < width; x++) out[x] = (float)row[x];
        return;
    }
    const __m256i first = picked(channels, 0, 1), second = picked(channels, 2, 128);
    const __m256i red_green = _mm256_set1_epi32(587 << 16 | 299), blue = _mm256_set1_epi32(114);
    size_t x = 0, end = by_eights(width, channels);
    for (; x < end; x += 8) {
        __m256i pixels = eight(row + x * channels, channels);
        __m256i sum = _mm256_madd_epi16(_mm256_shuffle_epi8(pixels, first), red_green);
        sum = _mm256_add_epi32(sum, _mm256_madd_epi16(_mm256_shuffle_epi8(pixels, second), blue));
        _mm256_storeu_ps(out + x, _mm256_div_ps(_mm256_cvtepi32_ps(sum), _mm256_set1_ps(1000)));
    }
    for (; x < width; x++) {
        const uint8_t *p = row + x * channels;
        out[x] = (float)(299 * p[0] + 587 * p[1] + 114 * p[2]) / 1000.0f;
    }
}

/* --- the 64-bit family */

#define RS_TAPS 2
#define RS_PARTS 2

/* 19595 R + 38470 G + 7471 B, with G twice at half its weight: 16 bits hold no more. */
static void px_grey_row(const uint8_t *row, size_t n, unsigned channels, uint8_t *out) {
    const __m256i first = picked(channels, 0, 1), second = picked(channels, 1, 2);
    const __m256i red_green = _mm256_set1_epi32(19235 << 16 | 19595), green_blue = _mm256_set1_epi32(7471 << 16 | 19235);
    const __m256i pack = _mm256_setr_epi8(2, 6, 10, 14, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, 2, 6, 10, 14, -1, -1,
                                          -1, -1, -1, -1, -1, -1, -1, -1, -1, -1);
    size_t x = 0, end = by_eights(n, channels);
    for (; x < end; x += 8) {
        __m256i pixels = eight(row + x * channels, channels);
        __m256i sum = _mm256_madd_epi16(_mm256_shuffle_epi8(pixels, first), red_green);
        sum = _mm256_add_epi32(sum, _mm256_madd_epi16(_mm256_shuffle_epi8(pixels, second), green_blue));
        sum = _mm256_shuffle_epi8(_mm256_add_epi32(sum, _mm256_set1_epi32(0x8000)), pack);
        __m128i bytes = _mm_unpacklo_epi32(_mm256_castsi256_si128(sum), _mm256_extracti128_si256(sum, 1));
        _mm_storel_epi64((__m128i *)(out + x), bytes);
    }
    for (; x < n; x++) {
        const uint8_t *p = row + x * channels;
        out[x] = (uint8_t)((19595u * p[0] + 38470u * p[1] + 7471u * p[2] + 0x8000u) >> 16);
    }
}

/* Pixels times digits, two to a lane. */
HM_INLINE void px_dot(const int32_t *items, const int32_t *digits, size_t plane, size_t groups, int32_t *sums) {
    __m256i low[4], high[4];
    for (int v = 0; v < 4; v++) low[v] = high[v] = _mm256_setzero_si256();
    for (size_t group = 0; group < groups; group++) {
        __m256i a = _mm256_set1_epi32(digits[group]), b = _mm256_set1_epi32(digits[plane + group]);
        for (int v = 0; v < 4; v++) {
            __m256i pixels = _mm256_loadu_si256((const __m256i *)(items + group * 32 + 8 * v));
            low[v] = _mm256_add_epi32(low[v], _mm256_madd_epi16(pixels, a));
            high[v] = _mm256_add_epi32(high[v], _mm256_madd_epi16(pixels, b));
        }
    }
    for (int v = 0; v < 4; v++) {
        __m256i *to = (__m256i *)(sums + 8 * v);
        __m256i sum = _mm256_add_epi32(low[v], _mm256_slli_epi32(high[v], 16));
        _mm256_storeu_si256(to, _mm256_add_epi32(_mm256_loadu_si256(to), sum));
    }
}

#include "pixels_pdq.h"
#include "pixels_resample.h"
#include "pixels_plane.h"

const hm_pixels hm_pixels_avx2 = {px_pdq_fast, px_pdq_exact, px_luma, px_family, px_tables, px_plane};
#endif
