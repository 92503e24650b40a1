/* Portable C: a loop that compilers turn into the 16-bit products of the baseline (SSE2 on x86-64). */

#include "kernels.h"

HM_INLINE uint32_t euclidean_distance(const uint8_t *a, const uint8_t *b, size_t width) {
    int32_t distance = 0;
    for (size_t at = 0; at < width; at++) {
        int16_t d = (int16_t)(a[at] - b[at]);
        distance += d * d;
    }
    return (uint32_t)distance;
}

/* Bytes after which a pair that is beyond the radius is given up: a third of a PhotoDNA hash. */
#define EUCLIDEAN_PREFIX 48

#include "euclidean.h"

int hm_euclidean_portable(const hm_euclidean *job, hm_sink *sink) { return euclidean_search(job, sink); }
