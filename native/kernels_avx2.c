/* AVX2 with POPCNT and BMI (Haswell, Zen and later). Compiled with its own flags; dispatch.c asks the processor before
 * anything here runs. */

#include "kernels.h"

#ifdef HM_X86_64
#include <immintrin.h>
#include <string.h>

HM_INLINE uint64_t hm_popcount64(uint64_t x) { return (uint64_t)_mm_popcnt_u64(x); }

#include "lanes_scalar.h"

/* Four codes at a time. */
static size_t columns_4(const uint8_t *codes, size_t count, uint64_t *columns) {
    size_t done = 0;
    for (; done + 4 <= count; done += 4) {
        const __m256i *p = (const __m256i *)(codes + done * 32);
        uint64_t *out = columns + done;
        __m256i a = _mm256_loadu_si256(p), b = _mm256_loadu_si256(p + 1);
        __m256i c = _mm256_loadu_si256(p + 2), d = _mm256_loadu_si256(p + 3);
        __m256i ab = _mm256_unpacklo_epi64(a, b), cd = _mm256_unpacklo_epi64(c, d); /* words 0 and 2 */
        __m256i ef = _mm256_unpackhi_epi64(a, b), gh = _mm256_unpackhi_epi64(c, d); /* words 1 and 3 */
        _mm256_storeu_si256((__m256i *)out, _mm256_permute2x128_si256(ab, cd, 0x20));
        _mm256_storeu_si256((__m256i *)(out + HM_FLAT_STRIDE), _mm256_permute2x128_si256(ef, gh, 0x20));
        _mm256_storeu_si256((__m256i *)(out + 2 * HM_FLAT_STRIDE), _mm256_permute2x128_si256(ab, cd, 0x31));
        _mm256_storeu_si256((__m256i *)(out + 3 * HM_FLAT_STRIDE), _mm256_permute2x128_si256(ef, gh, 0x31));
    }
    return done;
}

#define FLAT_COLUMNS_4 columns_4

/* 32 fragments, reordered so that packing two vectors of 16 to bytes gives their order back. */
typedef struct {
    __m256i low, high;
} frag_t;

HM_INLINE frag_t frag_load(const uint8_t *p) {
    __m256i a = _mm256_loadu_si256((const __m256i *)p), b = _mm256_loadu_si256((const __m256i *)(p + 32));
    frag_t f = {_mm256_permute2x128_si256(a, b, 0x20), _mm256_permute2x128_si256(a, b, 0x31)};
    return f;
}

/* Population count of 16-bit lanes: two table look-ups of nibbles, then the two bytes of a lane are added. */
HM_INLINE __m256i popcount_lanes(__m256i x) {
    const __m256i table = _mm256_setr_epi8(0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4, 0, 1, 1, 2, 1, 2, 2, 3, 1, 2,
                                           2, 3, 2, 3, 3, 4);
    const __m256i nibble = _mm256_set1_epi8(15);
    __m256i low = _mm256_shuffle_epi8(table, _mm256_and_si256(x, nibble));
    __m256i high = _mm256_shuffle_epi8(table, _mm256_and_si256(_mm256_srli_epi16(x, 4), nibble));
    return _mm256_maddubs_epi16(_mm256_add_epi8(low, high), _mm256_set1_epi8(1));
}

/* Lanes of 0 or -1 to 32 bits. The halves were swapped at loading, so that this order is the memory's. */
HM_INLINE uint32_t to_bits(__m256i low, __m256i high) {
    return (uint32_t)_mm256_movemask_epi8(_mm256_packs_epi16(low, high));
}

/* Clearing the lowest bit of a lane leaves zero after k steps where at most k bits are set: cheaper than counting, for
 * the limits of 2 and 3 that the usual radius gives. */
HM_INLINE __m256i clear_lowest(__m256i x) {
    return _mm256_and_si256(x, _mm256_add_epi16(x, _mm256_set1_epi16(-1)));
}

HM_INLINE uint32_t frag_le(frag_t f, uint16_t value, unsigned limit) {
    const __m256i v = _mm256_set1_epi16((short)value), zero = _mm256_setzero_si256();
    __m256i low = _mm256_xor_si256(f.low, v), high = _mm256_xor_si256(f.high, v);
    if (limit <= 3) {
        for (unsigned i = 0; i < limit; i++) {
            low = clear_lowest(low);
            high = clear_lowest(high);
        }
        return to_bits(_mm256_cmpeq_epi16(low, zero), _mm256_cmpeq_epi16(high, zero));
    }
    const __m256i over = _mm256_set1_epi16((short)(limit + 1));
    return to_bits(_mm256_cmpgt_epi16(over, popcount_lanes(low)), _mm256_cmpgt_epi16(over, popcount_lanes(high)));
}

HM_INLINE uint32_t frag_pair_le(frag_t f, frag_t g, uint16_t next, uint16_t third, unsigned limit) {
    const __m256i v = _mm256_set1_epi16((short)next), w = _mm256_set1_epi16((short)third);
    const __m256i over = _mm256_set1_epi16((short)(limit + 1));
    __m256i low = _mm256_add_epi16(popcount_lanes(_mm256_xor_si256(f.low, v)),
                                   popcount_lanes(_mm256_xor_si256(g.low, w)));
    __m256i high = _mm256_add_epi16(popcount_lanes(_mm256_xor_si256(f.high, v)),
                                    popcount_lanes(_mm256_xor_si256(g.high, w)));
    return to_bits(_mm256_cmpgt_epi16(over, low), _mm256_cmpgt_epi16(over, high));
}

HM_INLINE void frag_row(frag_t f, const hm_seeker *seekers, size_t count, unsigned limit, uint32_t *masks) {
    if (limit == 2) {
        for (size_t i = 0; i < count; i++) masks[i] = frag_le(f, seekers[i].next, 2);
    } else if (limit == 3) {
        for (size_t i = 0; i < count; i++) masks[i] = frag_le(f, seekers[i].next, 3);
    } else {
        for (size_t i = 0; i < count; i++) masks[i] = frag_le(f, seekers[i].next, limit);
    }
}

#define FRAG_ROW
#include "masks_scalar.h"
#include "hamming_flat.h"
#include "hamming_ring.h"

const hm_kernels hm_avx2 = {"avx2", hm_flat_scan, hm_ring_by_query, hm_ring_by_bucket, &hm_pixels_avx2, hm_euclidean_avx2};
#endif
