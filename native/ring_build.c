/* Building the tables of the ring index, and the thresholds of a search (hamming_ring.h describes both). */

#include <stdint.h>
#include <string.h>

#include "kernels.h"

static uint16_t chunk_of(const uint8_t *code, size_t chunk) {
    uint16_t value;
    memcpy(&value, code + 2 * chunk, 2);
    return value;
}

/* What a code leaves in a table, on its way there. */
typedef struct {
    uint32_t position;
    uint16_t next, third;
} ring_entry;

/* Bytes of scratch that building the table of n codes takes; 0 where they are more than a size_t counts. Only a part of it
 * is touched, unless most codes share the high byte of the chunk. */
size_t hm_ring_build_scratch(size_t n) {
    if (n > (SIZE_MAX - HM_CHUNK_VALUES * sizeof(uint32_t)) / (sizeof(ring_entry) + 1)) return 0;
    return HM_CHUNK_VALUES * sizeof(uint32_t) + n * (sizeof(ring_entry) + 1);
}

/* The table of one chunk: a counting sort in two steps, by the high byte of the value and then by the low one, so that what
 * is written to at the same time fits into the processor's caches: 1.3 to 1.6 times as fast as one step at ten million codes.
 *
 * The buckets of all values with one high byte lie together in the table, and take as many bytes as there are entries of
 * them, times eight: the first step leaves the entries there, and the second brings each to its bucket, by way of a copy.
 *
 * `table` has HM_RING_BUCKETS + 8 n + HM_RING_PADDING bytes, `scratch` hm_ring_build_scratch(n), and both are aligned to 4.
 * HM_DAMAGED where the codes change meanwhile, as those of a file that is written over. */
int hm_ring_build(const uint8_t *codes, size_t n, size_t width, size_t chunk, uint8_t *table, void *scratch) {
    enum { HIGHS = 256, LOWS = 256 };
    size_t chunks = width / 2, second = (chunk + 1) % chunks, third = (chunk + 2) % chunks;
    uint32_t *start = (uint32_t *)(void *)table, *cursor = scratch;
    ring_entry *copy = (ring_entry *)(void *)(cursor + HM_CHUNK_VALUES);
    uint8_t *low = (uint8_t *)(copy + n);
    uint8_t *buckets = table + HM_RING_BUCKETS;
    size_t end[HIGHS], at[HIGHS];
    memset(start, 0, HM_RING_BUCKETS);
    memset(buckets + n * 8, 0, HM_RING_PADDING);
    for (size_t i = 0; i < n; i++) start[chunk_of(codes + i * width, chunk) + 1]++;
    for (size_t v = 0; v < HM_CHUNK_VALUES; v++) start[v + 1] += start[v];
    for (size_t high = 0; high < HIGHS; high++) {
        at[high] = start[high * LOWS];
        end[high] = start[(high + 1) * LOWS];
    }
    for (size_t i = 0; i < n; i++) {
        const uint8_t *code = codes + i * width;
        uint16_t value = chunk_of(code, chunk);
        size_t place = at[value >> 8];
        if (HM_RARE(place >= end[value >> 8])) return HM_DAMAGED;
        at[value >> 8] = place + 1;
        ring_entry entry = {(uint32_t)i, chunk_of(code, second), chunk_of(code, third)};
        memcpy(buckets + place * 8, &entry, 8);
        low[place] = (uint8_t)(value & 0xFF);
    }
    memset(cursor, 0, HM_CHUNK_VALUES * sizeof *cursor);
    for (size_t high = 0; high < HIGHS; high++) {
        size_t first = start[high * LOWS], count = end[high] - first;
        memcpy(copy, buckets + first * 8, count * 8);
        for (size_t i = 0; i < count; i++) {
            size_t value = high * LOWS + low[first + i];
            size_t length = start[value + 1] - start[value], place = cursor[value]++;
            if (HM_RARE(place >= length)) return HM_DAMAGED;
            uint8_t *bucket = buckets + (size_t)start[value] * 8;
            memcpy(bucket + place * 2, &copy[i].next, 2);
            memcpy(bucket + (length + place) * 2, &copy[i].third, 2);
            memcpy(bucket + (length + place) * 4, &copy[i].position, 4);
        }
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
