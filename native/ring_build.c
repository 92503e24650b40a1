/* Building the tables of the ring index, and the thresholds of a search (hamming_ring.h describes both). */

#include <string.h>

#include "kernels.h"

static uint16_t chunk_of(const uint8_t *code, size_t chunk) {
    uint16_t value;
    memcpy(&value, code + 2 * chunk, 2);
    return value;
}

/* The table of one chunk: a counting sort. `table` has HM_RING_BUCKETS + 8 n + HM_RING_PADDING bytes and is aligned to 4;
 * `cursor` is scratch of 65,536. HM_DAMAGED where the codes change meanwhile, as those of a file that is written over. */
int hm_ring_build(const uint8_t *codes, size_t n, size_t width, size_t chunk, uint8_t *table, uint32_t *cursor) {
    enum { AHEAD = 16 };
    size_t chunks = width / 2;
    uint32_t *start = (uint32_t *)(void *)table;
    uint8_t *buckets = table + HM_RING_BUCKETS;
    memset(start, 0, HM_RING_BUCKETS);
    memset(buckets + n * 8, 0, HM_RING_PADDING);
    for (size_t i = 0; i < n; i++) start[chunk_of(codes + i * width, chunk) + 1]++;
    for (size_t v = 0; v < HM_CHUNK_VALUES; v++) start[v + 1] += start[v];
    memset(cursor, 0, HM_CHUNK_VALUES * sizeof *cursor);
    for (size_t i = 0; i < n; i++) {
        const uint8_t *code = codes + i * width;
        if (i + AHEAD < n) {
            /* The three places of a later entry, or nearly: entries between may move them on. 1.1 to 1.3 times as fast at
             * ten million codes. */
            uint16_t value = chunk_of(code + AHEAD * width, chunk);
            size_t length = start[value + 1] - start[value], at = cursor[value];
            const uint8_t *bucket = buckets + (size_t)start[value] * 8;
            HM_PREFETCH_WRITE(bucket + at * 2);
            HM_PREFETCH_WRITE(bucket + (length + at) * 2);
            HM_PREFETCH_WRITE(bucket + (length + at) * 4);
        }
        uint16_t value = chunk_of(code, chunk), next = chunk_of(code, (chunk + 1) % chunks);
        uint16_t third = chunk_of(code, (chunk + 2) % chunks);
        uint32_t position = (uint32_t)i;
        size_t length = start[value + 1] - start[value], at = cursor[value]++;
        if (HM_RARE(at >= length)) return HM_DAMAGED;
        uint8_t *bucket = buckets + (size_t)start[value] * 8;
        memcpy(bucket + at * 2, &next, 2);
        memcpy(bucket + (length + at) * 2, &third, 2);
        memcpy(bucket + (length + at) * 4, &position, 4);
    }
    return HM_OK;
}

/* The offsets of a chunk ascend from 0 to n: the condition under which no probe leaves the buckets. */
int hm_ring_check(const uint32_t *offsets, size_t n) {
    uint32_t falls = 0;
    if (offsets[0] != 0 || offsets[HM_CHUNK_VALUES] != n) return HM_DAMAGED;
    for (size_t v = 0; v < HM_CHUNK_VALUES; v++) falls |= offsets[v] > offsets[v + 1];
    return falls ? HM_DAMAGED : HM_OK;
}

/* How much longer than on even data the bucket is in which an average entry lies; 1 is even. */
double hm_ring_skew(const uint32_t *offsets, size_t n) {
    double sum = 0;
    if (!n) return 1;
    for (size_t v = 0; v < HM_CHUNK_VALUES; v++) {
        double length = (double)(offsets[v + 1] - offsets[v]);
        sum += length * length;
    }
    return sum / (double)n / (1 + (double)(n - 1) / HM_CHUNK_VALUES);
}

/* r + 1 is spread over the chunks as evenly as whole numbers allow: t + 1 each, and one more for some, far from each other,
 * because a chunk with a small threshold behind it filters better. */
void hm_ring_limits_of(unsigned chunks, unsigned radius, hm_ring_limits *out) {
    unsigned total = radius + 1, base = total / chunks, more = total % chunks;
    int t[16];
    for (unsigned c = 0; c < chunks; c++) {
        t[c] = (int)base - 1 + ((c + 1) * more / chunks > c * more / chunks ? 1 : 0);
    }
    out->radius = radius;
    for (unsigned c = 0; c < chunks; c++) {
        out->probe[c] = t[c];
        out->pair[c] = t[c] + t[(c + 1) % chunks] + 1;
        out->triple[c] = t[c] + t[(c + 1) % chunks] + t[(c + 2) % chunks] + 2;
    }
}

void hm_ring_masks(uint16_t *masks, uint32_t *mask_counts) {
    uint32_t at = 0;
    for (unsigned bits = 0; bits <= 16; bits++) {
        for (uint32_t value = 0; value < HM_CHUNK_VALUES; value++) {
            unsigned count = 0;
            for (uint32_t rest = value; rest; rest &= rest - 1) count++;
            if (count == bits) masks[at++] = (uint16_t)value;
        }
        mask_counts[bits] = at;
    }
}
