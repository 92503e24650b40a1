/* NEON, which every aarch64 has. */

#include "kernels.h"

#ifdef HM_AARCH64
#include <arm_neon.h>

HM_INLINE uint32_t euclidean_distance(const uint8_t *a, const uint8_t *b, size_t width) {
    uint32x4_t sum = vdupq_n_u32(0);
    size_t at = 0;
    for (; at + 16 <= width; at += 16) {
        uint8x16_t d = vabdq_u8(vld1q_u8(a + at), vld1q_u8(b + at));
        sum = vpadalq_u16(sum, vmull_u8(vget_low_u8(d), vget_low_u8(d)));
        sum = vpadalq_u16(sum, vmull_high_u8(d, d));
    }
    uint32_t distance = vaddvq_u32(sum);
    for (; at < width; at++) distance += (uint32_t)((a[at] - b[at]) * (a[at] - b[at]));
    return distance;
}

#define EUCLIDEAN_LANES 8
#define EUCLIDEAN_QUERIES 4
#define EUCLIDEAN_PARTS 1
#define EUCLIDEAN_SIGNED 0
#define EUCLIDEAN_SURVIVOR 100 /* not measured: no such machine was at hand */

/* Four lanes of 32 bits to four bits. */
HM_INLINE uint32_t euclidean_bits(uint32x4_t lanes) {
    static const uint32_t bit[4] = {1, 2, 4, 8};
    return vaddvq_u32(vandq_u32(lanes, vld1q_u32(bit)));
}

HM_INLINE int euclidean_tile(const uint32_t *codes, const uint32_t *queries, size_t rows, const int32_t *starts,
                             const int32_t *limits, uint32_t *masks) {
    /* Each of four vectors holds two sums of pairs for two codes. */
    uint32x4_t sums[4][4];
    for (int i = 0; i < 4; i++) {
        for (int part = 0; part < 4; part++) sums[i][part] = vdupq_n_u32(0);
    }
    for (size_t row = 0; row < rows; row++) {
        uint8x16_t a = vreinterpretq_u8_u32(vld1q_u32(codes + row * 8));
        uint8x16_t b = vreinterpretq_u8_u32(vld1q_u32(codes + row * 8 + 4));
        for (int i = 0; i < 4; i++) {
            uint8x16_t query = vreinterpretq_u8_u32(vdupq_n_u32(queries[row * 4 + i]));
            sums[i][0] = vpadalq_u16(sums[i][0], vmull_u8(vget_low_u8(a), vget_low_u8(query)));
            sums[i][1] = vpadalq_u16(sums[i][1], vmull_high_u8(a, query));
            sums[i][2] = vpadalq_u16(sums[i][2], vmull_u8(vget_low_u8(b), vget_low_u8(query)));
            sums[i][3] = vpadalq_u16(sums[i][3], vmull_high_u8(b, query));
        }
    }
    int32x4_t low = vld1q_s32(starts), high = vld1q_s32(starts + 4);
    uint32_t any = 0;
    for (int i = 0; i < 4; i++) {
        int32x4_t limit = vdupq_n_s32(limits[i]);
        int32x4_t first = vaddq_s32(low, vreinterpretq_s32_u32(vpaddq_u32(sums[i][0], sums[i][1])));
        int32x4_t second = vaddq_s32(high, vreinterpretq_s32_u32(vpaddq_u32(sums[i][2], sums[i][3])));
        masks[i] = euclidean_bits(vcgeq_s32(second, limit)) << 4 | euclidean_bits(vcgeq_s32(first, limit));
        any |= masks[i];
    }
    return any != 0;
}

/* Bytes after which a pair that is beyond the radius is given up, where codes are compared as they lie. */
#define EUCLIDEAN_PREFIX 48

#include "euclidean.h"

int hm_euclidean_neon(const hm_euclidean *job, hm_sink *sink) { return euclidean_search(job, sink); }
#endif
