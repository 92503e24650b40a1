/* The flat scan's lanes where one 64-bit word at a time is best: portable C, and AVX2 machines, whose scalar population
 * count beats the vector one. hm_popcount64 is defined before. */

#include <string.h>

#define FLAT_LANES 8

HM_INLINE int flat_any(const uint64_t *columns, size_t half, const uint64_t *queries, size_t nq, size_t words,
                       uint32_t largest) {
    uint64_t near = 0;
    for (size_t lane = 0; lane < FLAT_LANES; lane++) {
        for (size_t q = 0; q < nq; q++) {
            uint64_t distance = 0;
            for (size_t word = 0; word < half; word++) {
                distance += hm_popcount64(columns[word * HM_FLAT_STRIDE + lane] ^ queries[q * words + word]);
            }
            near |= distance <= largest;
        }
    }
    return near != 0;
}

HM_INLINE uint32_t flat_mask(const uint64_t *columns, size_t half, const uint64_t *query, uint32_t radius) {
    uint32_t mask = 0;
    for (size_t lane = 0; lane < FLAT_LANES; lane++) {
        uint64_t distance = 0;
        for (size_t word = 0; word < half; word++) {
            distance += hm_popcount64(columns[word * HM_FLAT_STRIDE + lane] ^ query[word]);
        }
        mask |= (uint32_t)(distance <= radius) << lane;
    }
    return mask;
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
