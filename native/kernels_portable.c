/* Portable C: no vector intrinsics, no assumption about the processor. Loops over 16-bit lanes are written so that a
 * compiler vectorises them for the baseline (SSE2 on x86-64). */

#include "kernels.h"

HM_INLINE uint64_t hm_popcount64(uint64_t x) {
    x = x - ((x >> 1) & 0x5555555555555555u);
    x = (x & 0x3333333333333333u) + ((x >> 2) & 0x3333333333333333u);
    x = (x + (x >> 4)) & 0x0f0f0f0f0f0f0f0fu;
    return (x * 0x0101010101010101u) >> 56;
}

#include "lanes_scalar.h"

typedef struct {
    uint16_t lane[32];
} frag_t;

HM_INLINE frag_t frag_load(const uint8_t *p) {
    frag_t f;
    memcpy(&f, p, 64);
    return f;
}

HM_INLINE uint16_t popcount16(uint16_t x) {
    x = (uint16_t)(x - ((x >> 1) & 0x5555));
    x = (uint16_t)((x & 0x3333) + ((x >> 2) & 0x3333));
    x = (uint16_t)((x + (x >> 4)) & 0x0f0f);
    return (uint16_t)((x + (x >> 8)) & 0x1f);
}

/* 32 lanes of 0 or 0xffff to 32 bits. */
HM_INLINE uint32_t lanes_to_bits(const uint16_t *lanes) {
    static const uint16_t bit[16] = {1,     2,     4,      8,      0x10,   0x20,   0x40,   0x80,
                                     0x100, 0x200, 0x400, 0x800, 0x1000, 0x2000, 0x4000, 0x8000};
    uint16_t low = 0, high = 0;
    for (int i = 0; i < 16; i++) {
        low = (uint16_t)(low | (lanes[i] & bit[i]));
        high = (uint16_t)(high | (lanes[i + 16] & bit[i]));
    }
    return (uint32_t)high << 16 | low;
}

HM_INLINE uint32_t frag_le(frag_t f, uint16_t value, unsigned limit) {
    uint16_t lanes[32];
    for (int i = 0; i < 32; i++) {
        lanes[i] = (uint16_t)(popcount16((uint16_t)(f.lane[i] ^ value)) <= (uint16_t)limit ? 0xffff : 0);
    }
    return lanes_to_bits(lanes);
}

HM_INLINE uint32_t frag_pair_le(frag_t f, frag_t g, uint16_t next, uint16_t third, unsigned limit) {
    uint16_t lanes[32];
    for (int i = 0; i < 32; i++) {
        uint16_t sum = (uint16_t)(popcount16((uint16_t)(f.lane[i] ^ next)) + popcount16((uint16_t)(g.lane[i] ^ third)));
        lanes[i] = (uint16_t)(sum <= (uint16_t)limit ? 0xffff : 0);
    }
    return lanes_to_bits(lanes);
}

#include "masks_scalar.h"
#include "hamming_flat.h"
#include "hamming_ring.h"

const hm_kernels hm_portable = {"portable", hm_flat_scan, hm_ring_by_query, hm_ring_by_bucket, &hm_pixels_portable, hm_euclidean_portable};
