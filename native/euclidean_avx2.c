/* AVX2: bytes as 16-bit numbers, two products and their sum in each lane. (Products of bytes at once would saturate.) */

#include "kernels.h"

#ifdef HM_X86_64
#include <immintrin.h>

HM_INLINE uint32_t euclidean_distance(const uint8_t *a, const uint8_t *b, size_t width) {
    __m256i sum = _mm256_setzero_si256();
    size_t at = 0;
    for (; at + 16 <= width; at += 16) {
        __m256i x = _mm256_cvtepu8_epi16(_mm_loadu_si128((const __m128i *)(a + at)));
        __m256i y = _mm256_cvtepu8_epi16(_mm_loadu_si128((const __m128i *)(b + at)));
        __m256i d = _mm256_sub_epi16(x, y);
        sum = _mm256_add_epi32(sum, _mm256_madd_epi16(d, d));
    }
    __m128i half = _mm_add_epi32(_mm256_castsi256_si128(sum), _mm256_extracti128_si256(sum, 1));
    half = _mm_add_epi32(half, _mm_shuffle_epi32(half, 0x4e));
    half = _mm_add_epi32(half, _mm_shuffle_epi32(half, 0xb1));
    uint32_t distance = (uint32_t)_mm_cvtsi128_si32(half);
    for (; at < width; at++) distance += (uint32_t)((a[at] - b[at]) * (a[at] - b[at]));
    return distance;
}

#define EUCLIDEAN_LANES 16
#define EUCLIDEAN_QUERIES 4
#define EUCLIDEAN_PARTS 2
#define EUCLIDEAN_SIGNED 0
#define EUCLIDEAN_SURVIVOR 600

HM_INLINE int euclidean_tile(const uint32_t *codes, const uint32_t *queries, size_t rows, const int32_t *starts,
                             const int32_t *limits, uint32_t *masks) {
    __m256i low[4], high[4];
    for (int i = 0; i < 4; i++) {
        low[i] = _mm256_loadu_si256((const __m256i *)starts);
        high[i] = _mm256_loadu_si256((const __m256i *)(starts + 8));
    }
    for (size_t row = 0; row < rows; row++) {
        __m256i a = _mm256_loadu_si256((const __m256i *)(codes + row * 16));
        __m256i b = _mm256_loadu_si256((const __m256i *)(codes + row * 16 + 8));
        for (int i = 0; i < 4; i++) {
            __m256i query = _mm256_set1_epi32((int)queries[row * 4 + i]);
            low[i] = _mm256_add_epi32(low[i], _mm256_madd_epi16(a, query));
            high[i] = _mm256_add_epi32(high[i], _mm256_madd_epi16(b, query));
        }
    }
    __m256i any = _mm256_setzero_si256();
    for (int i = 0; i < 4; i++) {
        __m256i below = _mm256_set1_epi32(limits[i] - 1); /* there is no >= */
        any = _mm256_or_si256(any, _mm256_cmpgt_epi32(_mm256_max_epi32(low[i], high[i]), below));
    }
    if (HM_OFTEN(_mm256_testz_si256(any, any))) return 0;
    for (int i = 0; i < 4; i++) {
        __m256i below = _mm256_set1_epi32(limits[i] - 1);
        uint32_t first = (uint32_t)_mm256_movemask_ps(_mm256_castsi256_ps(_mm256_cmpgt_epi32(low[i], below)));
        uint32_t second = (uint32_t)_mm256_movemask_ps(_mm256_castsi256_ps(_mm256_cmpgt_epi32(high[i], below)));
        masks[i] = second << 8 | first;
    }
    return 1;
}

/* Bytes after which a pair that is beyond the radius is given up, where codes are compared as they lie. */
#define EUCLIDEAN_PREFIX 48

#include "euclidean.h"

int hm_euclidean_avx2(const hm_euclidean *job, hm_sink *sink) { return euclidean_search(job, sink); }
#endif
