/* The pixel kernels with AVX-512 (BW, VL, VNNI). Compiled with its own flags; see kernels_avx512.c. */

#include "pixels.h"

#ifdef HM_X86_64
#include <immintrin.h>

#define PX_BYTES 64
#if defined(__GNUC__)
#define pd_fma(a, b, c) ((pd)_mm512_fmadd_pd((__m512d)(a), (__m512d)(b), (__m512d)(c)))
#endif
#if defined(__GNUC__)
#define pf_fma(a, b, c) ((pf)_mm512_fmadd_ps((__m512)(a), (__m512)(b), (__m512)(c)))
#define pf_fnma(a, b, c) ((pf)_mm512_fnmadd_ps((__m512)(a), (__m512)(b), (__m512)(c)))
#endif
#define PX_HAS_WEIGHTED_ROWS
#define PX_HAS_COMBINE
#define PX_HAS_TURN
#define PX_HAS_SAMPLES
#define PX_HAS_LUMA_ROW
#include "pixels_vectors.h"

/* 64 columns: rows in pairs, byte by byte, so that one instruction multiplies and adds both. Weights to 64 keep a pair's sum
 * inside 16 signed bits; the sum of all may use the sign bit. */
HM_INLINE void weighted_block(const uint8_t *first, size_t stride, const uint16_t *weights, size_t count, __mmask64 inside,
                              uint16_t *out) {
    const __m512i order_low = _mm512_setr_epi64(0, 1, 8, 9, 2, 3, 10, 11);
    const __m512i order_high = _mm512_setr_epi64(4, 5, 12, 13, 6, 7, 14, 15);
    __m512i low = _mm512_setzero_si512(), high = _mm512_setzero_si512();
    size_t t = 0;
    for (; t + 2 <= count; t += 2) {
        __m512i a = _mm512_maskz_loadu_epi8(inside, first + t * stride);
        __m512i b = _mm512_maskz_loadu_epi8(inside, first + (t + 1) * stride);
        __m512i pair = _mm512_set1_epi16((short)(weights[t] | weights[t + 1] << 8));
        low = _mm512_add_epi16(low, _mm512_maddubs_epi16(_mm512_unpacklo_epi8(a, b), pair));
        high = _mm512_add_epi16(high, _mm512_maddubs_epi16(_mm512_unpackhi_epi8(a, b), pair));
    }
    if (t < count) {
        __m512i a = _mm512_maskz_loadu_epi8(inside, first + t * stride), zero = _mm512_setzero_si512();
        __m512i one = _mm512_set1_epi16((short)weights[t]);
        low = _mm512_add_epi16(low, _mm512_maddubs_epi16(_mm512_unpacklo_epi8(a, zero), one));
        high = _mm512_add_epi16(high, _mm512_maddubs_epi16(_mm512_unpackhi_epi8(a, zero), one));
    }
    _mm512_storeu_si512(out, _mm512_permutex2var_epi64(low, order_low, high));
    _mm512_storeu_si512(out + 32, _mm512_permutex2var_epi64(low, order_high, high));
}

static void px_weighted_rows(const uint8_t *first, size_t stride, const uint16_t *weights, size_t count, size_t n,
                             uint16_t *out) {
    uint16_t largest = 0;
    for (size_t t = 0; t < count; t++) largest = weights[t] > largest ? weights[t] : largest;
    if (largest > 64) {
        memset(out, 0, n * sizeof *out);
        for (size_t t = 0; t < count; t++) {
            for (size_t x = 0; x < n; x++) out[x] = (uint16_t)(out[x] + weights[t] * first[t * stride + x]);
        }
        return;
    }
    size_t x = 0;
    for (; x + 64 <= n; x += 64) weighted_block(first + x, stride, weights, count, ~(__mmask64)0, out + x);
    if (x < n) weighted_block(first + x, stride, weights, count, ((__mmask64)1 << (n - x)) - 1, out + x);
}

HM_INLINE __m512 to_float(__m512i words) {
    return _mm512_cvtepi32_ps(_mm512_cvtepu16_epi32(_mm512_castsi512_si256(words)));
}

HM_INLINE __m512 luma_of(__m512 red, __m512 green, __m512 blue) {
    __m512 sum = _mm512_mul_ps(red, _mm512_set1_ps(299));
    sum = _mm512_fmadd_ps(green, _mm512_set1_ps(587), sum);
    return _mm512_fmadd_ps(blue, _mm512_set1_ps(114), sum);
}

/* Reads up to 31 items behind the sums, and writes up to 15 behind the row: both have room (pixels_layout.h). */
static void px_combine(const uint16_t *sums, size_t width, unsigned channels, float *out) {
    if (channels == 1) {
        for (size_t x = 0; x < width; x += 16) {
            __m512i words = _mm512_cvtepu16_epi32(_mm256_loadu_si256((const __m256i *)(sums + x)));
            _mm512_storeu_ps(out + x, _mm512_cvtepi32_ps(words));
        }
        return;
    }
    uint16_t order[3][32];
    for (unsigned channel = 0; channel < 3; channel++) {
        for (unsigned i = 0; i < 32; i++) order[channel][i] = (uint16_t)((i & 15) * channels + channel);
    }
    const __m512i red = _mm512_loadu_si512(order[0]), green = _mm512_loadu_si512(order[1]);
    const __m512i blue = _mm512_loadu_si512(order[2]);
    for (size_t x = 0; x < width; x += 16) {
        __m512i a = _mm512_loadu_si512(sums + x * channels), b = _mm512_loadu_si512(sums + x * channels + 32);
        __m512 r = to_float(_mm512_permutex2var_epi16(a, red, b)), g = to_float(_mm512_permutex2var_epi16(a, green, b));
        _mm512_storeu_ps(out + x, luma_of(r, g, to_float(_mm512_permutex2var_epi16(a, blue, b))));
    }
}

static void px_turn(const float *from, size_t stride, float *to, size_t to_stride) {
    __m512 r[16], s[16];
    for (int i = 0; i < 16; i++) r[i] = _mm512_loadu_ps(from + (size_t)i * stride);
    for (int i = 0; i < 16; i += 2) {
        s[i] = _mm512_unpacklo_ps(r[i], r[i + 1]);
        s[i + 1] = _mm512_unpackhi_ps(r[i], r[i + 1]);
    }
    for (int i = 0; i < 16; i += 4) {
        for (int j = 0; j < 2; j++) {
            __m512d a = _mm512_castps_pd(s[i + j]), b = _mm512_castps_pd(s[i + j + 2]);
            r[i + 2 * j] = _mm512_castpd_ps(_mm512_unpacklo_pd(a, b));
            r[i + 2 * j + 1] = _mm512_castpd_ps(_mm512_unpackhi_pd(a, b));
        }
    }
    for (int i = 0; i < 16; i += 8) {
        for (int j = 0; j < 4; j++) {
            s[i + j] = _mm512_shuffle_f32x4(r[i + j], r[i + j + 4], 0x88);
            s[i + j + 4] = _mm512_shuffle_f32x4(r[i + j], r[i + j + 4], 0xdd);
        }
    }
    for (int j = 0; j < 8; j++) {
        r[j] = _mm512_shuffle_f32x4(s[j], s[j + 8], 0x88);
        r[j + 8] = _mm512_shuffle_f32x4(s[j], s[j + 8], 0xdd);
    }
    for (int i = 0; i < 16; i++) _mm512_storeu_ps(to + (size_t)i * to_stride, r[i]);
}

HM_INLINE void px_samples(const float *columns, size_t count, const double *weights, double *sums) {
    __m512d low = _mm512_loadu_pd(sums), high = _mm512_loadu_pd(sums + 8);
    for (size_t t = 0; t < count; t++) {
        __m512d weight = _mm512_set1_pd(weights[t]);
        const float *column = columns + t * PDQ_ROWS;
        low = _mm512_fmadd_pd(weight, _mm512_cvtps_pd(_mm256_loadu_ps(column)), low);
        high = _mm512_fmadd_pd(weight, _mm512_cvtps_pd(_mm256_loadu_ps(column + 8)), high);
    }
    _mm512_storeu_pd(sums, low);
    _mm512_storeu_pd(sums + 8, high);
}

/* 16 pixels, one in each 32-bit lane, in the order in which they lie in memory. */
HM_INLINE __m512i sixteen(const uint8_t *row, size_t left, unsigned channels) {
    size_t bytes = (left < 16 ? left : 16) * channels;
    __m512i pixels = _mm512_maskz_loadu_epi8(bytes == 64 ? ~(__mmask64)0 : ((__mmask64)1 << bytes) - 1, row);
    if (channels == 4) return pixels;
    return _mm512_permutexvar_epi32(_mm512_setr_epi32(0, 1, 2, 0, 3, 4, 5, 0, 6, 7, 8, 0, 9, 10, 11, 0), pixels);
}

/* A byte shuffle of four pixels: bytes a, b, c, d of each, 128 for a zero byte. */
HM_INLINE __m512i picked(unsigned channels, unsigned a, unsigned b, unsigned c, unsigned d) {
    uint8_t order[16];
    for (unsigned i = 0; i < 4; i++) {
        unsigned pixel = i * channels;
        order[4 * i] = (uint8_t)(a + pixel);
        order[4 * i + 1] = (uint8_t)(b == 128 ? 128 : b + pixel);
        order[4 * i + 2] = (uint8_t)(c == 128 ? 128 : c + pixel);
        order[4 * i + 3] = (uint8_t)(d == 128 ? 128 : d + pixel);
    }
    return _mm512_broadcast_i32x4(_mm_loadu_si128((const __m128i *)order));
}

HM_INLINE __mmask16 lanes(size_t left) { return left < 16 ? (__mmask16)((1u << left) - 1) : (__mmask16)0xffff; }

static void px_luma_row(const uint8_t *row, size_t width, unsigned channels, float *out) {
    if (channels == 1) {
        for (size_t x = 0; x < width; x += 16) {
            __mmask16 inside = lanes(width - x);
            __m512i bytes = _mm512_cvtepu8_epi32(_mm_maskz_loadu_epi8(inside, row + x));
            _mm512_mask_storeu_ps(out + x, inside, _mm512_cvtepi32_ps(bytes));
        }
        return;
    }
    const __m512i first = picked(channels, 0, 128, 1, 128), second = picked(channels, 2, 128, 128, 128);
    const __m512i red_green = _mm512_set1_epi32(587 << 16 | 299), blue = _mm512_set1_epi32(114);
    const __m512 thousand = _mm512_set1_ps(1000);
    for (size_t x = 0; x < width; x += 16) {
        __m512i pixels = sixteen(row + x * channels, width - x, channels);
        __m512i sum = _mm512_madd_epi16(_mm512_shuffle_epi8(pixels, first), red_green);
        sum = _mm512_add_epi32(sum, _mm512_madd_epi16(_mm512_shuffle_epi8(pixels, second), blue));
        _mm512_mask_storeu_ps(out + x, lanes(width - x), _mm512_div_ps(_mm512_cvtepi32_ps(sum), thousand));
    }
}

/* --- the 64-bit family */

#define RS_TAPS 4
#define RS_PARTS 3

/* 19595 R + 38470 G + 7471 B, with G twice at half its weight, and each weight as two signed bytes. */
static void px_grey_row(const uint8_t *row, size_t n, unsigned channels, uint8_t *out) {
    const __m512i order = picked(channels, 0, 1, 1, 2);
    const __m512i high = _mm512_set1_epi32(77 | 75 << 8 | 75 << 16 | 29 << 24);
    const __m512i low = _mm512_set1_epi32((int)((uint8_t)(19595 - 77 * 256) | 35u << 8 | 35u << 16 | 47u << 24));
    const __m512i half = _mm512_set1_epi32(0x8000);
    for (size_t x = 0; x < n; x += 16) {
        __m512i pixels = _mm512_shuffle_epi8(sixteen(row + x * channels, n - x, channels), order);
        __m512i sum = _mm512_dpbusd_epi32(_mm512_setzero_si512(), pixels, high);
        sum = _mm512_dpbusd_epi32(_mm512_add_epi32(_mm512_slli_epi32(sum, 8), half), pixels, low);
        _mm512_mask_cvtepi32_storeu_epi8(out + x, lanes(n - x), _mm512_srli_epi32(sum, 16));
    }
}

/* Unsigned pixels times signed digits, four to a lane. Two sets of sums hide the instruction's latency. */
HM_INLINE void px_dot(const int32_t *items, const int32_t *digits, size_t plane, size_t groups, int32_t *sums) {
    __m512i low[2][2], high[2][2];
    for (int set = 0; set < 2; set++) {
        for (int part = 0; part < 2; part++) low[set][part] = high[set][part] = _mm512_setzero_si512();
    }
    size_t group = 0;
    for (; group + 2 <= groups; group += 2) {
        for (int set = 0; set < 2; set++) {
            __m512i a = _mm512_loadu_si512(items + (group + (size_t)set) * 32);
            __m512i b = _mm512_loadu_si512(items + (group + (size_t)set) * 32 + 16);
            for (int part = 0; part < 2; part++) {
                __m512i digit = _mm512_set1_epi32(digits[(size_t)part * plane + group + (size_t)set]);
                low[set][part] = _mm512_dpbusd_epi32(low[set][part], a, digit);
                high[set][part] = _mm512_dpbusd_epi32(high[set][part], b, digit);
            }
        }
    }
    if (group < groups) {
        __m512i a = _mm512_loadu_si512(items + group * 32), b = _mm512_loadu_si512(items + group * 32 + 16);
        for (int part = 0; part < 2; part++) {
            __m512i digit = _mm512_set1_epi32(digits[(size_t)part * plane + group]);
            low[0][part] = _mm512_dpbusd_epi32(low[0][part], a, digit);
            high[0][part] = _mm512_dpbusd_epi32(high[0][part], b, digit);
        }
    }
    __m512i a = _mm512_slli_epi32(_mm512_add_epi32(low[0][1], low[1][1]), 8);
    __m512i b = _mm512_slli_epi32(_mm512_add_epi32(high[0][1], high[1][1]), 8);
    a = _mm512_add_epi32(a, _mm512_add_epi32(low[0][0], low[1][0]));
    b = _mm512_add_epi32(b, _mm512_add_epi32(high[0][0], high[1][0]));
    _mm512_storeu_si512(sums, _mm512_add_epi32(_mm512_loadu_si512(sums), a));
    _mm512_storeu_si512(sums + 16, _mm512_add_epi32(_mm512_loadu_si512(sums + 16), b));
}

HM_INLINE void px_top(const int32_t *items, const int32_t *digits, size_t groups, int32_t *sums) {
    __m512i a = _mm512_setzero_si512(), b = a;
    for (size_t group = 0; group < groups; group++) {
        __m512i digit = _mm512_set1_epi32(digits[group]);
        a = _mm512_dpbusd_epi32(a, _mm512_loadu_si512(items + group * 32), digit);
        b = _mm512_dpbusd_epi32(b, _mm512_loadu_si512(items + group * 32 + 16), digit);
    }
    a = _mm512_slli_epi32(a, 16);
    b = _mm512_slli_epi32(b, 16);
    _mm512_storeu_si512(sums, _mm512_add_epi32(_mm512_loadu_si512(sums), a));
    _mm512_storeu_si512(sums + 16, _mm512_add_epi32(_mm512_loadu_si512(sums + 16), b));
}

#include "pixels_pdq.h"
#include "pixels_resample.h"
#include "pixels_plane.h"

const hm_pixels hm_pixels_avx512 = {px_pdq_fast, px_pdq_exact, px_luma, px_family, px_tables, px_plane};
#endif
