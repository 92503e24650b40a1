/* NEON, which every aarch64 has. */

#include "kernels.h"

#ifdef HM_AARCH64
#include <arm_neon.h>
#include <string.h>

HM_INLINE uint64_t hm_popcount64(uint64_t x) { return vaddv_u8(vcnt_u8(vcreate_u8(x))); }

#define FLAT_LANES 8

/* Distances of two codes in the lanes of 64 bits. */
HM_INLINE uint64x2_t half_distance(const uint64_t *columns, size_t half, const uint64_t *query) {
    uint8x16_t sum = vdupq_n_u8(0); /* at most 4 x 8 bits a byte */
    for (size_t word = 0; word < half; word++) {
        uint64x2_t x = veorq_u64(vld1q_u64(columns + word * HM_FLAT_STRIDE), vdupq_n_u64(query[word]));
        sum = vaddq_u8(sum, vcntq_u8(vreinterpretq_u8_u64(x)));
    }
    return vpaddlq_u32(vpaddlq_u16(vpaddlq_u8(sum)));
}

HM_INLINE int flat_any(const uint64_t *columns, size_t half, const uint64_t *queries, size_t nq, size_t words,
                       uint32_t largest) {
    uint64x2_t limit = vdupq_n_u64(largest), near = vdupq_n_u64(0);
    for (size_t q = 0; q < nq; q++) {
        for (size_t lane = 0; lane < FLAT_LANES; lane += 2) {
            near = vorrq_u64(near, vcleq_u64(half_distance(columns + lane, half, queries + q * words), limit));
        }
    }
    return (vgetq_lane_u64(near, 0) | vgetq_lane_u64(near, 1)) != 0;
}

HM_INLINE uint32_t flat_mask(const uint64_t *columns, size_t half, const uint64_t *query, uint32_t radius) {
    uint32_t mask = 0;
    uint64x2_t limit = vdupq_n_u64(radius);
    for (size_t lane = 0; lane < FLAT_LANES; lane += 2) {
        uint64x2_t near = vcleq_u64(half_distance(columns + lane, half, query), limit);
        mask |= (uint32_t)(vgetq_lane_u64(near, 0) & 1) << lane | (uint32_t)(vgetq_lane_u64(near, 1) & 1) << (lane + 1);
    }
    return mask;
}

HM_INLINE uint32_t distance_of(const uint8_t *a, const uint8_t *b, size_t width) {
    if (width == 8) {
        uint64_t x, y;
        memcpy(&x, a, 8);
        memcpy(&y, b, 8);
        return (uint32_t)hm_popcount64(x ^ y);
    }
    uint8x16_t sum = vcntq_u8(veorq_u8(vld1q_u8(a), vld1q_u8(b)));
    sum = vaddq_u8(sum, vcntq_u8(veorq_u8(vld1q_u8(a + 16), vld1q_u8(b + 16))));
    return vaddlvq_u8(sum);
}

typedef struct {
    uint16x8_t part[4];
} frag_t;

HM_INLINE frag_t frag_load(const uint8_t *p) {
    frag_t f;
    for (int i = 0; i < 4; i++) f.part[i] = vreinterpretq_u16_u8(vld1q_u8(p + 16 * i));
    return f;
}

HM_INLINE uint16x8_t lanes_distance(uint16x8_t f, uint16x8_t value) {
    return vpaddlq_u8(vcntq_u8(vreinterpretq_u8_u16(veorq_u16(f, value))));
}

/* Lanes of 0 or 0xffff to 8 bits. */
HM_INLINE uint32_t to_bits(uint16x8_t lanes) {
    static const uint16_t bit[8] = {1, 2, 4, 8, 16, 32, 64, 128};
    return vaddvq_u16(vandq_u16(lanes, vld1q_u16(bit)));
}

HM_INLINE uint32_t frag_le(frag_t f, uint16_t value, unsigned limit) {
    uint16x8_t v = vdupq_n_u16(value), most = vdupq_n_u16((uint16_t)limit);
    uint32_t mask = 0;
    for (int i = 0; i < 4; i++) mask |= to_bits(vcleq_u16(lanes_distance(f.part[i], v), most)) << (8 * i);
    return mask;
}

HM_INLINE uint32_t frag_pair_le(frag_t f, frag_t g, uint16_t next, uint16_t third, unsigned limit) {
    uint16x8_t v = vdupq_n_u16(next), w = vdupq_n_u16(third), most = vdupq_n_u16((uint16_t)limit);
    uint32_t mask = 0;
    for (int i = 0; i < 4; i++) {
        uint16x8_t sum = vaddq_u16(lanes_distance(f.part[i], v), lanes_distance(g.part[i], w));
        mask |= to_bits(vcleq_u16(sum, most)) << (8 * i);
    }
    return mask;
}

#include "masks_scalar.h"
#include "hamming_flat.h"
#include "hamming_ring.h"

const hm_kernels hm_neon = {"neon", hm_flat_scan, hm_ring_by_query, hm_ring_by_bucket, &hm_pixels_neon, hm_euclidean_neon};
#endif
