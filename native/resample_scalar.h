/* The operations of pixels_resample.h in plain C: one pixel an item, whole coefficients. */

#include <stdint.h>

#define RS_TAPS 1
#define RS_PARTS 1
#define RS_SUM_LINES 32

HM_INLINE void px_dot(const int32_t *items, const int32_t *digits, size_t plane, size_t groups, int32_t *sums) {
    (void)plane; /* there is one */
    uint32_t total[RS_SUM_LINES];
    memcpy(total, sums, sizeof total);
    for (size_t group = 0; group < groups; group++) {
        const int32_t *pixels = items + group * RS_SUM_LINES;
        uint32_t factor = (uint32_t)digits[group];
        for (int line = 0; line < RS_SUM_LINES; line++) total[line] += factor * (uint32_t)pixels[line];
    }
    memcpy(sums, total, sizeof total);
}

/* Pillow's L: weights of 2^-16, half added. */
static void px_grey_row(const uint8_t *restrict row, size_t n, unsigned channels, uint8_t *restrict out) {
    if (channels == 3) {
        for (size_t x = 0; x < n; x++) {
            uint32_t sum = 19595u * row[3 * x] + 38470u * row[3 * x + 1] + 7471u * row[3 * x + 2] + 0x8000u;
            out[x] = (uint8_t)(sum >> 16);
        }
    } else {
        for (size_t x = 0; x < n; x++) {
            uint32_t sum = 19595u * row[4 * x] + 38470u * row[4 * x + 1] + 7471u * row[4 * x + 2] + 0x8000u;
            out[x] = (uint8_t)(sum >> 16);
        }
    }
}
