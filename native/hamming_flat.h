/* Flat scan: every query against every code. Included once by each kernels_*.c, which defines the vector operations.
 *
 * Codes are turned into columns (all first words, all second words ...) block by block, so that a vector holds the same
 * word of several codes and no sum runs across a vector. The block stays in the first-level cache while all queries pass
 * over it, four at a time in registers.
 *
 * Defined before: FLAT_LANES (at most 31 codes), flat_any (whether any of the lanes is within the largest radius of any of
 * the queries, by their first `half` words; lanes behind the end may say yes), flat_mask (which lanes are), and
 * hm_popcount64. Where FLAT_COLUMNS_4 is defined, it turns the first codes of a block of 256-bit codes into columns and
 * returns how many: for few queries that is a good part of the work.
 *
 * Where the radius is small, the first half of a 256-bit code decides nearly always: 128 random bits are within 40 of
 * each other once in 10^5. The other half is read only for vectors that hold such a code. */

#include <string.h>

#define HM_HALF_IS_ENOUGH 44 /* bits: from here on the first half of a code lets too many through to pay */

static void hm_columns(const uint8_t *codes, size_t count, size_t width, uint64_t *columns) {
    size_t words = (width + 7) / 8, done = 0;
#ifdef FLAT_COLUMNS_4
    if (width == 32) done = FLAT_COLUMNS_4(codes, count, columns);
#endif
    for (size_t word = 0; word < words; word++) {
        size_t bytes = width - word * 8 < 8 ? width - word * 8 : 8;
        uint64_t *column = columns + word * HM_FLAT_STRIDE;
        if (bytes == 8) {
            for (size_t i = done; i < count; i++) memcpy(&column[i], codes + i * width + word * 8, 8);
        } else {
            for (size_t i = 0; i < count; i++) {
                uint64_t value = 0;
                memcpy(&value, codes + i * width + word * 8, bytes);
                column[i] = value;
            }
        }
        /* The last vector of a short block reads these; they are masked out, but must not be garbage to a sanitizer. */
        for (size_t i = count; i < HM_FLAT_BLOCK && i < count + FLAT_LANES; i++) column[i] = 0;
    }
}

HM_INLINE uint32_t hm_distance_columns(const uint64_t *columns, size_t words, size_t at, const uint64_t *query) {
    uint32_t distance = 0;
    for (size_t word = 0; word < words; word++) {
        distance += (uint32_t)hm_popcount64(columns[word * HM_FLAT_STRIDE + at] ^ query[word]);
    }
    return distance;
}

/* Up to four queries of `words` 64-bit words against a block. `half` words decide first. */
HM_INLINE void hm_flat_block(const uint64_t *columns, size_t count, size_t words, size_t half, const uint64_t *queries,
                             const uint32_t *ids, const uint16_t *radii, size_t nq, uint32_t first, hm_sink *sink) {
    uint32_t largest = 0;
    for (size_t q = 0; q < nq; q++) largest = radii[q] > largest ? radii[q] : largest;
    for (size_t at = 0; at < count; at += FLAT_LANES) {
        if (HM_OFTEN(!flat_any(columns + at, half, queries, nq, words, largest))) continue;
        uint32_t valid = count - at < FLAT_LANES ? (1u << (count - at)) - 1 : ~0u;
        for (size_t q = 0; q < nq; q++) {
            const uint64_t *query = queries + q * words;
            uint32_t mask = flat_mask(columns + at, half, query, radii[q]) & valid;
            while (mask) {
                size_t lane = at + HM_LOWEST_BIT(mask);
                mask &= mask - 1;
                uint32_t distance = hm_distance_columns(columns, words, lane, query);
                if (distance <= radii[q]) hm_push(sink, ids[q], first + (uint32_t)lane, distance);
            }
        }
    }
}

static int hm_flat_scan(const hm_flat *job, hm_sink *sink) {
    size_t words = (job->width + 7) / 8;
    for (size_t first = 0; first < job->n; first += HM_FLAT_BLOCK) {
        size_t count = job->n - first < HM_FLAT_BLOCK ? job->n - first : HM_FLAT_BLOCK;
        hm_columns(job->codes + first * job->width, count, job->width, job->columns);
        for (size_t q = 0; q < job->nq; q += 4) {
            uint64_t queries[4 * 4] = {0};
            uint32_t ids[4];
            size_t group = job->nq - q < 4 ? job->nq - q : 4;
            uint32_t largest = 0;
            for (size_t i = 0; i < group; i++) {
                if (words <= 4) memcpy(queries + i * words, job->queries + (q + i) * job->width, job->width);
                ids[i] = job->ids ? job->ids[q + i] : (uint32_t)(q + i);
                largest = job->radii[q + i] > largest ? job->radii[q + i] : largest;
            }
            int status = hm_reserve(sink, group * count);
            if (status != HM_OK) return status;
            const uint16_t *radii = job->radii + q;
            uint32_t at = (uint32_t)first;
            if (job->width == 32 && group == 4 && largest < HM_HALF_IS_ENOUGH) {
                hm_flat_block(job->columns, count, 4, 2, queries, ids, radii, 4, at, sink);
            } else if (job->width == 32 && largest < HM_HALF_IS_ENOUGH) {
                hm_flat_block(job->columns, count, 4, 2, queries, ids, radii, group, at, sink);
            } else if (job->width == 32) {
                hm_flat_block(job->columns, count, 4, 4, queries, ids, radii, group, at, sink);
            } else if (job->width == 8 && group == 4) {
                hm_flat_block(job->columns, count, 1, 1, queries, ids, radii, 4, at, sink);
            } else if (job->width == 8) {
                hm_flat_block(job->columns, count, 1, 1, queries, ids, radii, group, at, sink);
            } else {
                /* Widths that no algorithm of the registry has: correct, and no more. */
                for (size_t i = 0; i < group; i++) {
                    const uint8_t *query = job->queries + (q + i) * job->width;
                    for (size_t code = 0; code < count; code++) {
                        uint32_t distance = 0;
                        for (size_t word = 0; word < words; word++) {
                            size_t bytes = job->width - word * 8 < 8 ? job->width - word * 8 : 8;
                            uint64_t value = 0;
                            memcpy(&value, query + word * 8, bytes);
                            distance += (uint32_t)hm_popcount64(value ^ job->columns[word * HM_FLAT_STRIDE + code]);
                        }
                        if (distance <= radii[i]) hm_push(sink, ids[i], at + (uint32_t)code, distance);
                    }
                }
            }
        }
    }
    return HM_OK;
}
