/* AVX-512 with BITALG and VPOPCNTDQ (Ice Lake, Zen 4 and later). Compiled with its own flags; dispatch.c asks the processor
 * before anything here runs. */

#include "kernels.h"

#ifdef HM_X86_64
#include <immintrin.h>
#include <string.h>

HM_INLINE uint64_t hm_popcount64(uint64_t x) { return (uint64_t)_mm_popcnt_u64(x); }

#define FLAT_LANES 16

HM_INLINE __m512i half_distance(const uint64_t *columns, size_t half, const uint64_t *query) {
    __m512i sum = _mm512_popcnt_epi64(
        _mm512_xor_si512(_mm512_loadu_si512(columns), _mm512_set1_epi64((long long)query[0])));
    for (size_t word = 1; word < half; word++) {
        sum = _mm512_add_epi64(
            sum, _mm512_popcnt_epi64(_mm512_xor_si512(_mm512_loadu_si512(columns + word * HM_FLAT_STRIDE),
                                                      _mm512_set1_epi64((long long)query[word]))));
    }
    return sum;
}

/* The smallest distance of each lane over all queries: one comparison and one branch for 64 pairs. */
HM_INLINE int flat_any(const uint64_t *columns, size_t half, const uint64_t *queries, size_t nq, size_t words,
                       uint32_t largest) {
    __m512i least = _mm512_set1_epi64(-1);
    for (size_t q = 0; q < nq; q++) {
        __m512i a = half_distance(columns, half, queries + q * words);
        __m512i b = half_distance(columns + 8, half, queries + q * words);
        least = _mm512_min_epu64(least, _mm512_min_epu64(a, b));
    }
    return _mm512_cmple_epu64_mask(least, _mm512_set1_epi64(largest)) != 0;
}

HM_INLINE uint32_t flat_mask(const uint64_t *columns, size_t half, const uint64_t *query, uint32_t radius) {
    __m512i limit = _mm512_set1_epi64(radius);
    uint32_t low = _mm512_cmple_epu64_mask(half_distance(columns, half, query), limit);
    uint32_t high = _mm512_cmple_epu64_mask(half_distance(columns + 8, half, query), limit);
    return high << 8 | low;
}

HM_INLINE uint32_t distance_of(const uint8_t *a, const uint8_t *b, size_t width) {
    uint64_t distance = 0, x, y;
    for (size_t at = 0; at < width; at += 8) {
        memcpy(&x, a + at, 8);
        memcpy(&y, b + at, 8);
        distance += hm_popcount64(x ^ y);
    }
    return (uint32_t)distance;
}

/* Eight codes at a time: pairs of vectors give two columns of four codes each, and these pairs two columns of eight. */
static size_t columns_4(const uint8_t *codes, size_t count, uint64_t *columns) {
    const __m512i first = _mm512_setr_epi64(0, 4, 8, 12, 1, 5, 9, 13), second = _mm512_setr_epi64(2, 6, 10, 14, 3, 7, 11, 15);
    size_t done = 0;
    for (; done + 8 <= count; done += 8) {
        const uint8_t *p = codes + done * 32;
        uint64_t *out = columns + done;
        __m512i a = _mm512_loadu_si512(p), b = _mm512_loadu_si512(p + 64);
        __m512i c = _mm512_loadu_si512(p + 128), d = _mm512_loadu_si512(p + 192);
        __m512i ab = _mm512_permutex2var_epi64(a, first, b), cd = _mm512_permutex2var_epi64(c, first, d);
        __m512i ef = _mm512_permutex2var_epi64(a, second, b), gh = _mm512_permutex2var_epi64(c, second, d);
        _mm512_storeu_si512(out, _mm512_shuffle_i64x2(ab, cd, 0x44));
        _mm512_storeu_si512(out + HM_FLAT_STRIDE, _mm512_shuffle_i64x2(ab, cd, 0xee));
        _mm512_storeu_si512(out + 2 * HM_FLAT_STRIDE, _mm512_shuffle_i64x2(ef, gh, 0x44));
        _mm512_storeu_si512(out + 3 * HM_FLAT_STRIDE, _mm512_shuffle_i64x2(ef, gh, 0xee));
    }
    return done;
}

#define FLAT_COLUMNS_4 columns_4

typedef __m512i frag_t;

HM_INLINE frag_t frag_load(const uint8_t *p) { return _mm512_loadu_si512(p); }

HM_INLINE __m512i frag_distance(frag_t f, uint16_t value) {
    return _mm512_popcnt_epi16(_mm512_xor_si512(f, _mm512_set1_epi16((short)value)));
}

HM_INLINE uint32_t frag_le(frag_t f, uint16_t value, unsigned limit) {
    return _mm512_cmple_epu16_mask(frag_distance(f, value), _mm512_set1_epi16((short)limit));
}

HM_INLINE uint32_t frag_pair_le(frag_t f, frag_t g, uint16_t next, uint16_t third, unsigned limit) {
    __m512i sum = _mm512_add_epi16(frag_distance(f, next), frag_distance(g, third));
    return _mm512_cmple_epu16_mask(sum, _mm512_set1_epi16((short)limit));
}

HM_INLINE void frag_row(frag_t f, const hm_seeker *seekers, size_t count, unsigned limit, uint32_t *masks) {
    for (size_t i = 0; i < count; i++) masks[i] = frag_le(f, seekers[i].next, limit);
}

/* Sixteen masks at a time, without a branch on any of them. */
HM_INLINE size_t frag_nonzero(const uint32_t *masks, size_t count, uint32_t valid, uint16_t *out) {
    const __m512i step = _mm512_set1_epi32(16), keep = _mm512_set1_epi32((int)valid);
    __m512i index = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    size_t found = 0;
    for (size_t at = 0; at < count; at += 16) {
        __mmask16 inside = count - at < 16 ? (__mmask16)((1u << (count - at)) - 1) : (__mmask16)0xffff;
        __mmask16 some = _mm512_mask_test_epi32_mask(inside, _mm512_loadu_si512(masks + at), keep);
        __m256i packed = _mm512_cvtepi32_epi16(_mm512_maskz_compress_epi32(some, index));
        _mm256_storeu_si256((__m256i *)(out + found), packed);
        found += (size_t)_mm_popcnt_u32(some);
        index = _mm512_add_epi32(index, step);
    }
    return found;
}

#include "hamming_flat.h"
#include "hamming_ring.h"

const hm_kernels hm_avx512 = {"avx512", hm_flat_scan, hm_ring_by_query, hm_ring_by_bucket, &hm_pixels_avx512, hm_euclidean_avx512};
#endif
