/* From hits in any order to results ordered by (query, distance, row). */

#include <string.h>

#include "kernels.h"

static uint32_t position_of(const hm_hit *hit) { return (uint32_t)hit->key; }

/* offsets[q + 1] - offsets[q] = results of query q. HM_DAMAGED where `starts` leads outside the rows. */
int hm_hits_count(const hm_hits *parts, size_t nparts, size_t nq, const uint32_t *starts, size_t codes, size_t rows,
                  int64_t *offsets) {
    memset(offsets, 0, (nq + 1) * sizeof *offsets);
    for (size_t p = 0; p < nparts; p++) {
        for (size_t i = 0; i < parts[p].count; i++) {
            const hm_hit *hit = &parts[p].hits[i];
            int64_t count = 1;
            if (starts) {
                uint32_t at = position_of(hit);
                if (at >= codes || starts[at] > starts[at + 1] || starts[at + 1] > rows) return HM_DAMAGED;
                count = (int64_t)starts[at + 1] - starts[at];
            }
            offsets[hit->query + 1] += count;
        }
    }
    for (size_t q = 0; q < nq; q++) offsets[q + 1] += offsets[q];
    return HM_OK;
}

static void insertion_sort(uint64_t *keys, size_t n) {
    for (size_t i = 1; i < n; i++) {
        uint64_t key = keys[i];
        size_t at = i;
        for (; at && keys[at - 1] > key; at--) keys[at] = keys[at - 1];
        keys[at] = key;
    }
}

/* Runs of `RUN` keys by insertion, then merged, two by two, to and fro. */
#define RUN 16
/* Most keys that are merged and not counted: 2,048 counters a digit cost more than they save up to some 350 keys. At 80
 * keys merging takes 19 ns a key, counting 72. */
#define MERGED 320
static void merge_sort(uint64_t *keys, uint64_t *spare, size_t n) {
    for (size_t at = 0; at < n; at += RUN) insertion_sort(keys + at, n - at < RUN ? n - at : RUN);
    uint64_t *from = keys, *to = spare;
    for (size_t width = RUN; width < n; width *= 2) {
        for (size_t start = 0; start < n; start += 2 * width) {
            size_t middle = n - start < width ? n : start + width, end = n - start < 2 * width ? n : start + 2 * width;
            size_t a = start, b = middle, k = start;
            while (a < middle && b < end) { /* without a branch that cannot be foretold */
                uint64_t left = from[a], right = from[b];
                size_t second = right < left;
                to[k++] = second ? right : left;
                a += 1 - second;
                b += second;
            }
            memcpy(to + k, from + a, (middle - a) * sizeof *to);
            memcpy(to + k + (middle - a), from + b, (end - b) * sizeof *to);
        }
        uint64_t *swap = from;
        from = to;
        to = swap;
    }
    if (from != keys) memcpy(keys, from, n * sizeof *keys);
}

/* Least significant digit first, 11 bits at a time, of the bits that differ at all. */
static void radix_sort(uint64_t *keys, uint64_t *spare, size_t n) {
    uint64_t any = 0, all = ~(uint64_t)0;
    for (size_t i = 0; i < n; i++) {
        any |= keys[i];
        all &= keys[i];
    }
    uint64_t differs = any & ~all;
    uint64_t *from = keys, *to = spare;
    for (unsigned shift = 0; shift < 64 && differs >> shift; shift += 11) {
        if (!(differs >> shift & 2047)) continue;
        size_t count[2049] = {0};
        for (size_t i = 0; i < n; i++) count[(from[i] >> shift & 2047) + 1]++;
        for (size_t v = 0; v < 2048; v++) count[v + 1] += count[v];
        for (size_t i = 0; i < n; i++) to[count[from[i] >> shift & 2047]++] = from[i];
        uint64_t *swap = from;
        from = to;
        to = swap;
    }
    if (from != keys) memcpy(keys, from, n * sizeof *keys);
}

/* `offsets` as hm_hits_count made them; `cursor` int64[nq]; `keys` and `spare` uint64[offsets[nq]] are scratch. HM_DAMAGED
 * where `starts` no longer say what they said when they were counted: the file was written over. */
int hm_hits_order(const hm_hits *parts, size_t nparts, size_t nq, const uint32_t *starts, const uint32_t *rows,
                  size_t rows_count, const int64_t *offsets, int64_t *cursor, uint64_t *keys, uint64_t *spare,
                  int64_t *out_rows, uint16_t *out_distances, uint32_t *out_far) {
    memcpy(cursor, offsets, nq * sizeof *cursor);
    for (size_t p = 0; p < nparts; p++) {
        for (size_t i = 0; i < parts[p].count; i++) {
            const hm_hit *hit = &parts[p].hits[i];
            if (!starts) {
                keys[cursor[hit->query]++] = hit->key;
                continue;
            }
            uint64_t distance = hit->key >> 32 << 32;
            uint32_t at = position_of(hit), first = starts[at], last = starts[at + 1];
            int64_t *to = &cursor[hit->query];
            if (first > last || last > rows_count) return HM_DAMAGED;
            if ((int64_t)last - first > offsets[hit->query + 1] - *to) return HM_DAMAGED;
            for (uint32_t k = first; k < last; k++) keys[(*to)++] = distance | rows[k];
        }
    }
    for (size_t q = 0; q < nq; q++) {
        if (cursor[q] != offsets[q + 1]) return HM_DAMAGED;
        size_t n = (size_t)(offsets[q + 1] - offsets[q]);
        uint64_t *mine = keys + offsets[q];
        if (n <= MERGED) {
            merge_sort(mine, spare + offsets[q], n);
        } else {
            radix_sort(mine, spare + offsets[q], n);
        }
        for (size_t i = 0; i < n; i++) {
            size_t at = (size_t)offsets[q] + i;
            out_rows[at] = (int64_t)(uint32_t)mine[i];
            if (out_far) {
                out_far[at] = (uint32_t)(mine[i] >> 32);
            } else {
                out_distances[at] = (uint16_t)(mine[i] >> 32);
            }
        }
    }
    return HM_OK;
}
