/* AVX-512 with VNNI: four products of bytes and their sum in each lane, 64 at a time. */

#include "kernels.h"

#ifdef HM_X86_64
#include <immintrin.h>

HM_INLINE uint32_t euclidean_distance(const uint8_t *a, const uint8_t *b, size_t width) {
    __m512i sum = _mm512_setzero_si512();
    size_t at = 0;
    for (; at + 32 <= width; at += 32) {
        __m512i x = _mm512_cvtepu8_epi16(_mm256_loadu_si256((const __m256i *)(a + at)));
        __m512i y = _mm512_cvtepu8_epi16(_mm256_loadu_si256((const __m256i *)(b + at)));
        __m512i d = _mm512_sub_epi16(x, y);
        sum = _mm512_dpwssd_epi32(sum, d, d);
    }
    __m256i half = _mm256_add_epi32(_mm512_castsi512_si256(sum), _mm512_extracti64x4_epi64(sum, 1));
    for (; at < width; at += 16) {
        __mmask16 inside = width - at < 16 ? (__mmask16)((1u << (width - at)) - 1) : (__mmask16)0xffff;
        __m256i x = _mm256_cvtepu8_epi16(_mm_maskz_loadu_epi8(inside, a + at));
        __m256i y = _mm256_cvtepu8_epi16(_mm_maskz_loadu_epi8(inside, b + at));
        __m256i d = _mm256_sub_epi16(x, y);
        half = _mm256_dpwssd_epi32(half, d, d);
    }
    __m128i quarter = _mm_add_epi32(_mm256_castsi256_si128(half), _mm256_extracti128_si256(half, 1));
    quarter = _mm_add_epi32(quarter, _mm_shuffle_epi32(quarter, 0x4e));
    return (uint32_t)_mm_cvtsi128_si32(_mm_add_epi32(quarter, _mm_shuffle_epi32(quarter, 0xb1)));
}

#define EUCLIDEAN_LANES 32
#define EUCLIDEAN_QUERIES 8
#define EUCLIDEAN_PARTS 1
#define EUCLIDEAN_SIGNED 1
#define EUCLIDEAN_SURVIVOR 1500

HM_INLINE int euclidean_tile(const uint32_t *codes, const uint32_t *queries, size_t rows, const int32_t *starts,
                             const int32_t *limits, uint32_t *masks) {
    __m512i low[8], high[8];
    for (int i = 0; i < 8; i++) {
        low[i] = _mm512_loadu_si512(starts);
        high[i] = _mm512_loadu_si512(starts + 16);
    }
    for (size_t row = 0; row < rows; row++) {
        __m512i a = _mm512_loadu_si512(codes + row * 32), b = _mm512_loadu_si512(codes + row * 32 + 16);
        for (int i = 0; i < 8; i++) {
            __m512i query = _mm512_set1_epi32((int)queries[row * 8 + i]);
            low[i] = _mm512_dpbusd_epi32(low[i], a, query);
            high[i] = _mm512_dpbusd_epi32(high[i], b, query);
        }
    }
    __mmask16 any = 0;
    for (int i = 0; i < 8; i++) {
        __m512i most = _mm512_max_epi32(low[i], high[i]);
        any |= _mm512_cmpge_epi32_mask(most, _mm512_set1_epi32(limits[i]));
    }
    if (HM_OFTEN(!any)) return 0;
    for (int i = 0; i < 8; i++) {
        __m512i limit = _mm512_set1_epi32(limits[i]);
        masks[i] = (uint32_t)_mm512_cmpge_epi32_mask(high[i], limit) << 16 | _mm512_cmpge_epi32_mask(low[i], limit);
    }
    return 1;
}

/* Bytes after which a pair that is beyond the radius is given up, where codes are compared as they lie. */
#define EUCLIDEAN_PREFIX 48

#include "euclidean.h"

int hm_euclidean_avx512(const hm_euclidean *job, hm_sink *sink) { return euclidean_search(job, sink); }
#endif
