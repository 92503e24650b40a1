/* Search by squared Euclidean distance over bytes: PhotoDNA. Included once by each euclidean_*.c, which defines the operations.
 *
 * Exact for every radius: what is left out is proved to be too far, and what is left in is measured in full.
 *
 * Few queries (fewer than HM_EUCLIDEAN_FEW): one pass over the codes as they lie, which memory decides.
 *
 * Many: codes are taken HM_EUCLIDEAN_BLOCK at a time and turned into columns, so that a vector holds the same word (four
 * bytes) of several codes and no sum runs across it; the block stays in the first-level cache while all queries pass over
 * it, a tile of EUCLIDEAN_LANES codes by EUCLIDEAN_QUERIES queries in registers.
 *
 * Only some of the words are turned and compared. A sum of squares over a part of the bytes is never larger than that over
 * all of them, so a pair that is beyond the radius in a part is out. With q and c over that part, |q - c|^2 <= r just where
 * q.c - |c|^2 / 2 >= (|q|^2 - r) / 2: a dot product that starts at a number of the code is compared with one of the query.
 * Halves are rounded towards letting a pair through. Where the bytes of the query are taken as signed (less 128, as the
 * instructions of AVX-512 want it), the number of the code makes up for it: q.c = (q - 128).c + 128 sum(c).
 *
 * How many words pays depends on the codes and the radius alone: too few let pairs through that then have to be measured,
 * too many are work for nothing. A sample of the pairs decides (euclidean_words); the result does not depend on it. The
 * bytes of a word come from all over the code, in steps that share no factor with its width, because neighbouring bytes,
 * which are of neighbouring parts of a picture, say nearly the same: of codes like that, the first 32 bytes in a row let
 * 500 times as many pairs through.
 *
 * Defined before: euclidean_distance (of two codes), and where there are vectors EUCLIDEAN_LANES, EUCLIDEAN_QUERIES,
 * EUCLIDEAN_PARTS (columns that a word becomes: 1, or 2 of 16-bit bytes), EUCLIDEAN_SIGNED, EUCLIDEAN_SURVIVOR (what
 * measuring a pair costs, in columns of a pair) and euclidean_tile (masks of the lanes that pass; 0 where none does). */

#include <string.h>

#ifdef EUCLIDEAN_LANES

/* The order in which bytes are taken: a step of about the golden ratio of the width leaves no part out for long. */
static void euclidean_order(size_t width, uint16_t *order) {
    size_t step = (width * 89 + 72) / 144;
    for (;; step--) {
        size_t a = width, b = step;
        while (b) {
            size_t rest = a % b;
            a = b;
            b = rest;
        }
        if (a <= 1) break;
    }
    for (size_t i = 0, at = 0; i < width; i++, at = (at + step) % width) order[i] = (uint16_t)at;
}

/* Four bytes in that order; behind the last stand zeros. */
HM_INLINE uint32_t euclidean_word(const uint8_t *code, size_t width, const uint16_t *order, size_t word) {
    const uint16_t *at = order + 4 * word;
    if (HM_OFTEN(4 * word + 4 <= width)) {
        return code[at[0]] | (uint32_t)code[at[1]] << 8 | (uint32_t)code[at[2]] << 16 | (uint32_t)code[at[3]] << 24;
    }
    uint32_t value = 0;
    for (size_t i = 0; 4 * word + i < width; i++) value |= (uint32_t)code[at[i]] << (8 * i);
    return value;
}

static int32_t half_down(int32_t x) { return x >= 0 ? x / 2 : -((1 - x) / 2); }

/* Words to compare: the cheapest of some, judged by pairs that are spread over all. */
static size_t euclidean_words(const hm_euclidean *job, const uint16_t *order) {
    static const uint8_t shares[] = {2, 3, 4, 5, 6, 7, 8, 9, 10, 12, 14, 16, 20, 24, 36};
    enum { SHARES = sizeof shares, QUERIES = 32, CODES = 64 };
    size_t words = (job->width + 3) / 4, usual = (words + 3) / 4;
    if (job->n / CODES < 64 || job->nq < QUERIES) return usual;
    size_t passed[SHARES] = {0};
    for (size_t i = 0; i < QUERIES; i++) {
        const uint8_t *query = job->queries + i * job->nq / QUERIES * job->width;
        for (size_t j = 0; j < CODES; j++) {
            const uint8_t *code = job->codes + j * job->n / CODES * job->width;
            uint32_t distance = 0;
            for (size_t share = 0, word = 0; share < SHARES && distance <= job->radius; share++) {
                for (; word * 36 < shares[share] * words; word++) {
                    uint32_t a = euclidean_word(query, job->width, order, word);
                    uint32_t b = euclidean_word(code, job->width, order, word);
                    for (int shift = 0; shift < 32; shift += 8) {
                        int32_t d = (int32_t)(a >> shift & 255) - (int32_t)(b >> shift & 255);
                        distance += (uint32_t)(d * d);
                    }
                }
                passed[share] += distance <= job->radius;
            }
        }
    }
    size_t best = 0, least = SIZE_MAX;
    for (size_t share = 0; share < SHARES; share++) {
        size_t count = (shares[share] * words + 35) / 36;
        size_t cost = count * EUCLIDEAN_PARTS * QUERIES * CODES + passed[share] * EUCLIDEAN_SURVIVOR;
        if (cost < least) {
            least = cost;
            best = count;
        }
    }
    return best;
}

/* The bytes of a word as they stand in columns. */
HM_INLINE void euclidean_put(uint32_t word, uint32_t *out, size_t stride) {
#if EUCLIDEAN_PARTS == 2
    out[0] = word & 0x00ff00ff;
    out[stride] = word >> 8 & 0x00ff00ff;
#else
    (void)stride;
    out[0] = word;
#endif
}

/* Sum and sum of squares over the bytes of a word. */
HM_INLINE void euclidean_add(uint32_t word, int32_t *sum, int32_t *squares) {
    for (int shift = 0; shift < 32; shift += 8) {
        int32_t byte = (int32_t)(word >> shift & 255);
        *sum += byte;
        *squares += byte * byte;
    }
}

/* Queries in tiles of columns, with their limits. What fills up the last tile is beyond every limit. */
static void euclidean_turn_queries(const hm_euclidean *job, const uint16_t *order, size_t used, uint32_t *columns,
                                   int32_t *limits) {
    size_t rows = used * EUCLIDEAN_PARTS;
    size_t padded = (job->nq + EUCLIDEAN_QUERIES - 1) / EUCLIDEAN_QUERIES * EUCLIDEAN_QUERIES;
    for (size_t q = 0; q < padded; q++) {
        uint32_t *out = columns + q / EUCLIDEAN_QUERIES * rows * EUCLIDEAN_QUERIES + q % EUCLIDEAN_QUERIES;
        int32_t sum = 0, squares = 0;
        for (size_t i = 0; i < used; i++) {
            uint32_t word = q < job->nq ? euclidean_word(job->queries + q * job->width, job->width, order, i) : 0;
            euclidean_add(word, &sum, &squares);
            if (EUCLIDEAN_SIGNED) word ^= 0x80808080u;
            euclidean_put(word, out + i * EUCLIDEAN_PARTS * EUCLIDEAN_QUERIES, EUCLIDEAN_QUERIES);
        }
        limits[q] = q < job->nq ? half_down(squares - (int32_t)job->radius) : INT32_MAX;
    }
}

/* A block of codes in tiles of columns, with the numbers that their sums start at. */
static void euclidean_turn_codes(const hm_euclidean *job, const uint16_t *order, size_t first, size_t count, size_t used,
                                 uint32_t *columns, int32_t *starts) {
    size_t rows = used * EUCLIDEAN_PARTS;
    size_t padded = (count + EUCLIDEAN_LANES - 1) / EUCLIDEAN_LANES * EUCLIDEAN_LANES;
    for (size_t i = 0; i < padded; i++) {
        const uint8_t *code = job->codes + (first + i) * job->width;
        uint32_t *out = columns + i / EUCLIDEAN_LANES * rows * EUCLIDEAN_LANES + i % EUCLIDEAN_LANES;
        int32_t sum = 0, squares = 0;
        for (size_t w = 0; w < used; w++) {
            uint32_t word = i < count ? euclidean_word(code, job->width, order, w) : 0;
            euclidean_add(word, &sum, &squares);
            euclidean_put(word, out + w * EUCLIDEAN_PARTS * EUCLIDEAN_LANES, EUCLIDEAN_LANES);
        }
        starts[i] = i < count ? (EUCLIDEAN_SIGNED ? 128 * sum : 0) - squares / 2 : -(1 << 30);
    }
}

static int euclidean_tiles(const hm_euclidean *job, hm_sink *sink) {
    size_t words = (job->width + 3) / 4;
    uint32_t *codes = job->scratch, *queries = codes + HM_EUCLIDEAN_BLOCK * words * 2;
    int32_t *starts = (int32_t *)(queries + (job->nq + 8) * words * 2), *limits = starts + HM_EUCLIDEAN_BLOCK;
    uint16_t *order = (uint16_t *)(limits + job->nq + 8);
    euclidean_order(job->width, order);
    size_t used = euclidean_words(job, order), rows = used * EUCLIDEAN_PARTS;
    euclidean_turn_queries(job, order, used, queries, limits);
    for (size_t first = 0; first < job->n; first += HM_EUCLIDEAN_BLOCK) {
        size_t count = job->n - first < HM_EUCLIDEAN_BLOCK ? job->n - first : HM_EUCLIDEAN_BLOCK;
        euclidean_turn_codes(job, order, first, count, used, codes, starts);
        for (size_t q = 0; q < job->nq; q += EUCLIDEAN_QUERIES) {
            int status = hm_reserve(sink, EUCLIDEAN_QUERIES * HM_EUCLIDEAN_BLOCK);
            if (status != HM_OK) return status;
            for (size_t at = 0; at < count; at += EUCLIDEAN_LANES) {
                uint32_t masks[EUCLIDEAN_QUERIES];
                if (HM_OFTEN(!euclidean_tile(codes + at * rows, queries + q * rows, rows, starts + at, limits + q, masks))) continue;
                for (size_t i = 0; i < EUCLIDEAN_QUERIES; i++) {
                    const uint8_t *query = job->queries + (q + i) * job->width;
                    for (uint32_t mask = masks[i]; mask; mask &= mask - 1) {
                        size_t position = first + at + HM_LOWEST_BIT(mask);
                        uint32_t distance = euclidean_distance(query, job->codes + position * job->width, job->width);
                        if (distance <= job->radius) hm_push(sink, (uint32_t)(q + i), (uint32_t)position, distance);
                    }
                }
            }
        }
    }
    return HM_OK;
}
#endif

static int euclidean_search(const hm_euclidean *job, hm_sink *sink) {
#ifdef EUCLIDEAN_LANES
    if (job->nq >= HM_EUCLIDEAN_FEW) return euclidean_tiles(job, sink);
#endif
    for (size_t first = 0; first < job->n; first += HM_EUCLIDEAN_BLOCK) {
        size_t last = job->n - first < HM_EUCLIDEAN_BLOCK ? job->n : first + HM_EUCLIDEAN_BLOCK;
        for (size_t q = 0; q < job->nq; q++) {
            const uint8_t *query = job->queries + q * job->width;
            int status = hm_reserve(sink, HM_EUCLIDEAN_BLOCK);
            if (status != HM_OK) return status;
            for (size_t i = first; i < last; i++) {
                const uint8_t *code = job->codes + i * job->width;
#ifdef EUCLIDEAN_PREFIX
                if (job->width > EUCLIDEAN_PREFIX && euclidean_distance(query, code, EUCLIDEAN_PREFIX) > job->radius) continue;
#endif
                uint32_t distance = euclidean_distance(query, code, job->width);
                if (distance <= job->radius) hm_push(sink, (uint32_t)q, (uint32_t)i, distance);
            }
        }
    }
    return HM_OK;
}
