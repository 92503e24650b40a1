/* Flat scan, ring index, tables and order of hits against a loop over all pairs. */

#include "check.h"

static uint16_t masks[HM_CHUNK_VALUES];
static uint32_t mask_counts[17];
static size_t searches;

static int grow(hm_sink *sink, size_t capacity) {
    hm_hit *hits = realloc(sink->hits, capacity * sizeof *hits);
    if (!hits) return HM_NO_MEMORY;
    sink->hits = hits;
    sink->capacity = capacity;
    return HM_OK;
}

static uint8_t bits_of[256];

static unsigned distance_of(const uint8_t *a, const uint8_t *b, size_t width) {
    unsigned distance = 0;
    for (size_t i = 0; i < width; i++) distance += bits_of[a[i] ^ b[i]];
    return distance;
}

/* Results in the order of (query, distance, row). */
typedef struct {
    int64_t *offsets, *rows;
    uint16_t *distances;
    size_t count;
} result_t;

static void free_result(result_t *r) {
    free(r->offsets);
    free(r->rows);
    free(r->distances);
}

typedef struct {
    const uint8_t *codes, *queries;
    size_t n, width, nq;
    unsigned radius;
    const uint32_t *starts, *rows; /* NULL: positions are the rows */
    size_t row_count;
    const char *kind;
} case_t;

static int by_order(const void *a, const void *b) {
    const int64_t *x = a, *y = b;
    for (int i = 0; i < 2; i++) {
        if (x[i] != y[i]) return x[i] < y[i] ? -1 : 1;
    }
    return 0;
}

static result_t oracle(const case_t *c) {
    result_t r = {need((c->nq + 1) * 8), NULL, NULL, 0};
    size_t capacity = 0;
    r.offsets[0] = 0;
    for (size_t q = 0; q < c->nq; q++) {
        int64_t(*pairs)[2] = need((c->row_count + 1) * sizeof *pairs);
        size_t found = 0;
        for (size_t i = 0; i < c->n; i++) {
            unsigned distance = distance_of(c->codes + i * c->width, c->queries + q * c->width, c->width);
            if (distance > c->radius) continue;
            for (uint32_t k = c->starts ? c->starts[i] : 0; k < (c->starts ? c->starts[i + 1] : 1); k++) {
                pairs[found][0] = distance;
                pairs[found++][1] = c->starts ? (int64_t)c->rows[k] : (int64_t)i;
            }
        }
        qsort(pairs, found, sizeof *pairs, by_order);
        if (r.count + found > capacity) {
            capacity = (r.count + found) * 2;
            r.rows = realloc(r.rows, capacity * sizeof *r.rows);
            r.distances = realloc(r.distances, capacity * sizeof *r.distances);
            check(r.rows && r.distances, "no memory");
        }
        for (size_t i = 0; i < found; i++) {
            r.rows[r.count] = pairs[i][1];
            r.distances[r.count++] = (uint16_t)pairs[i][0];
        }
        r.offsets[q + 1] = (int64_t)r.count;
        free(pairs);
    }
    return r;
}

/* Hits, ordered by the code under test, are the oracle's. They are given in two parts, as threads give them. */
static void compare(const case_t *c, const result_t *expected, const hm_sink *sink, const char *name, const char *way) {
    size_t half = sink->count / 3;
    hm_hits parts[2] = {{sink->hits, half}, {sink->count ? sink->hits + half : NULL, sink->count - half}};
    int64_t *offsets = need((c->nq + 1) * 8), *cursor = need(c->nq * 8);
    int status = hm_hits_count(parts, 2, c->nq, c->starts, c->n, c->row_count, offsets);
    size_t m = status == HM_OK ? (size_t)offsets[c->nq] : 0;
#define CASE "%s, %s: %s, %zu codes of %zu bytes, %zu queries, radius %u"
#define NAMES name, way, c->kind, c->n, c->width, c->nq, c->radius
    check(status == HM_OK && m == expected->count, CASE ": %zu results, expected %zu (status %d)", NAMES, m, expected->count,
          status);
    uint64_t *keys = need(m * 8), *spare = need(m * 8);
    int64_t *rows = need(m * 8);
    uint16_t *distances = need(m * 2);
    status = hm_hits_order(parts, 2, c->nq, c->starts, c->rows, c->row_count, offsets, cursor, keys, spare, rows, distances, NULL);
    check(status == HM_OK, CASE ": order: status %d", NAMES, status);
    check(!memcmp(offsets, expected->offsets, (c->nq + 1) * 8), CASE ": results of other queries", NAMES);
    for (size_t i = 0; i < m; i++) {
        check(rows[i] == expected->rows[i] && distances[i] == expected->distances[i],
              CASE ": result %zu is row %lld at %u, expected row %lld at %u", NAMES, i, (long long)rows[i], distances[i],
              (long long)expected->rows[i], expected->distances[i]);
    }
    free(offsets);
    free(cursor);
    free(keys);
    free(spare);
    free(rows);
    free(distances);
    searches++;
}

static void *aligned_columns(size_t width, void **block) {
    size_t bytes = (width + 7) / 8 * HM_FLAT_STRIDE * 8;
    *block = need(bytes + 64);
    return (void *)(((uintptr_t)*block + 63) & ~(uintptr_t)63);
}

static void check_flat(const hm_kernels *kernels, const case_t *c, const result_t *expected) {
    hm_sink sink = {NULL, 0, 0, grow};
    void *block;
    uint64_t *columns = aligned_columns(c->width, &block);
    uint16_t *radii = need(c->nq * 2);
    for (size_t q = 0; q < c->nq; q++) radii[q] = (uint16_t)c->radius;
    hm_flat job = {c->codes, c->n, c->width, c->queries, NULL, c->nq, radii, columns};
    int status = kernels->flat(&job, &sink);
    check(status == HM_OK, "%s, flat: status %d", kernels->name, status);
    compare(c, expected, &sink, kernels->name, "flat");

    /* The queries backwards, each with a radius of its own: what it finds is what is near enough in the former result. */
    uint8_t *turned = need(c->nq * c->width);
    uint32_t *ids = need(c->nq * 4);
    for (size_t q = 0; q < c->nq; q++) {
        memcpy(turned + (c->nq - 1 - q) * c->width, c->queries + q * c->width, c->width);
        ids[c->nq - 1 - q] = (uint32_t)q;
        radii[c->nq - 1 - q] = (uint16_t)(c->radius * q / c->nq);
    }
    size_t every = sink.count, wanted = 0;
    for (size_t i = 0; i < every; i++) {
        wanted += sink.hits[i].key >> 32 <= c->radius * (uint64_t)sink.hits[i].query / c->nq;
    }
    sink.count = 0;
    job.queries = turned;
    job.ids = ids;
    status = kernels->flat(&job, &sink);
    check(status == HM_OK && sink.count == wanted, "%s, flat with a radius a query: %zu hits, expected %zu", kernels->name,
          sink.count, wanted);
    free(turned);
    free(ids);
    free(radii);
    free(block);
    free(sink.hits);
}

/* Tables as FORMATS.md describes them, made without the code under test. */
static void check_table(const case_t *c, unsigned chunk, const uint8_t *table) {
    size_t chunks = c->width / 2, at = 0;
    const uint32_t *offsets = (const void *)table;
    uint32_t *counts = calloc(HM_CHUNK_VALUES, sizeof *counts);
    check(counts, "no memory");
    for (size_t i = 0; i < c->n; i++) counts[c->codes[i * c->width + 2 * chunk] | c->codes[i * c->width + 2 * chunk + 1] << 8]++;
    for (size_t v = 0; v < HM_CHUNK_VALUES; v++) {
        check(offsets[v] == at, "table of chunk %u: bucket %zu starts at %u, expected %zu", chunk, v, offsets[v], at);
        at += counts[v];
    }
    check(offsets[HM_CHUNK_VALUES] == c->n, "table of chunk %u does not end at %zu", chunk, c->n);
    memset(counts, 0, HM_CHUNK_VALUES * sizeof *counts);
    for (size_t i = 0; i < c->n; i++) {
        const uint8_t *code = c->codes + i * c->width;
        unsigned value = code[2 * chunk] | code[2 * chunk + 1] << 8;
        size_t length = offsets[value + 1] - offsets[value], k = counts[value]++;
        const uint8_t *bucket = table + HM_RING_BUCKETS + 8 * (size_t)offsets[value];
        uint32_t position;
        memcpy(&position, bucket + 4 * length + 4 * k, 4);
        check(!memcmp(bucket + 2 * k, code + 2 * ((chunk + 1) % chunks), 2) &&
                  !memcmp(bucket + 2 * length + 2 * k, code + 2 * ((chunk + 2) % chunks), 2) && position == i,
              "table of chunk %u: code %zu is not where it belongs", chunk, i);
    }
    for (size_t i = 4 * 65537; i < HM_RING_BUCKETS; i++) check(!table[i], "table of chunk %u: byte %zu is not 0", chunk, i);
    for (size_t i = 0; i < HM_RING_PADDING; i++) {
        check(!table[HM_RING_BUCKETS + 8 * c->n + i], "table of chunk %u: byte %zu behind the buckets is not 0", chunk, i);
    }
    free(counts);
}

static void build(const case_t *c, hm_ring *ring, uint8_t **tables) {
    void *scratch = need(hm_ring_build_scratch(c->n));
    memset(ring, 0, sizeof *ring);
    ring->codes = c->codes;
    ring->n = c->n;
    ring->width = c->width;
    ring->chunks = (unsigned)c->width / 2;
    for (unsigned chunk = 0; chunk < ring->chunks; chunk++) {
        tables[chunk] = need(HM_RING_BUCKETS + 8 * c->n + HM_RING_PADDING);
        memset(tables[chunk], 0xa5, HM_RING_BUCKETS + 8 * c->n + HM_RING_PADDING);
        check(hm_ring_build(c->codes, c->n, c->width, chunk, tables[chunk], scratch) == HM_OK, "building");
        check_table(c, chunk, tables[chunk]);
        ring->offsets[chunk] = (const void *)tables[chunk];
        ring->buckets[chunk] = tables[chunk] + HM_RING_BUCKETS;
        check(hm_ring_check(ring->offsets[chunk], c->n) == HM_OK, "a table that was just built is refused");
        check(hm_ring_skew(ring->offsets[chunk], c->n) > 0, "skew");
    }
    free(scratch);
}

/* Query by query; those that are abandoned are asked again by a flat scan, as module.c does. */
static void check_by_query(const hm_kernels *kernels, const case_t *c, const result_t *expected, hm_ring_search *job) {
    hm_sink sink = {NULL, 0, 0, grow};
    uint8_t *fallback = need(c->nq);
    memset(fallback, 7, c->nq);
    size_t middle = c->nq / 2;
    int first = kernels->ring_by_query(job, 0, middle, fallback, &sink);
    int second = kernels->ring_by_query(job, middle, c->nq, fallback, &sink);
    check(first == HM_OK && second == HM_OK, "%s, ring by query: status %d, %d", kernels->name, first, second);
    for (size_t q = 0; q < c->nq; q++) {
        check(fallback[q] <= (job->budget < (uint64_t)1 << 60), "%s: query %zu was abandoned at no limit", kernels->name, q);
        if (!fallback[q]) continue;
        for (size_t i = 0; i < sink.count; i++) {
            check(sink.hits[i].query != q, "%s: an abandoned query left hits", kernels->name);
        }
        void *block;
        uint32_t id = (uint32_t)q;
        uint16_t radius = (uint16_t)c->radius;
        hm_flat flat = {c->codes, c->n, c->width, c->queries + q * c->width, &id, 1, &radius, aligned_columns(c->width, &block)};
        check(kernels->flat(&flat, &sink) == HM_OK, "%s, flat", kernels->name);
        free(block);
    }
    compare(c, expected, &sink, kernels->name, job->budget < (uint64_t)1 << 60 ? "ring by query, abandoned" : "ring by query");
    free(fallback);
    free(sink.hits);
}

static void check_by_bucket(const hm_kernels *kernels, const case_t *c, const result_t *expected, hm_ring_search *job) {
    hm_sink sink = {NULL, 0, 0, grow};
    hm_sorted_queries sorted = {need((HM_CHUNK_VALUES + 1) * 4), calloc(c->nq + 8, sizeof(hm_seeker)), -1};
    uint64_t spent = 0;
    check(sorted.seekers, "no memory");
    for (unsigned chunk = 0; chunk < job->ring->chunks; chunk++) {
        for (uint32_t value = 0; value < HM_CHUNK_VALUES; value += HM_CHUNK_VALUES / 2) {
            int status = kernels->ring_by_bucket(job, chunk, value, value + HM_CHUNK_VALUES / 2, &sorted, &spent, &sink);
            check(status == HM_OK, "%s, ring by bucket: status %d", kernels->name, status);
        }
    }
    compare(c, expected, &sink, kernels->name, "ring by bucket");
    free(sorted.offsets);
    free(sorted.seekers);
    free(sink.hits);
}

static void check_case(const case_t *c, unsigned ring_up_to) {
    result_t expected = oracle(c);
    for (size_t i = 0; i < available_count; i++) check_flat(available[i], c, &expected);
    if ((c->width == 8 || c->width == 32) && c->radius <= ring_up_to) {
        hm_ring ring;
        uint8_t *tables[16] = {NULL};
        build(c, &ring, tables);
        hm_ring_search job = {.ring = &ring, .queries = c->queries, .nq = c->nq, .masks = masks, .mask_counts = mask_counts,
                              .scratch = need(sizeof(hm_ring_scratch))};
        hm_ring_limits_of(ring.chunks, c->radius, &job.limits);
        for (size_t i = 0; i < available_count; i++) {
            job.budget = (uint64_t)1 << 62;
            check_by_query(available[i], c, &expected, &job);
            /* Every value of a chunk asks for its neighbours: with the radius this grows long, under an emulator above all. */
            if (c->radius <= c->width) check_by_bucket(available[i], c, &expected, &job);
            job.budget = 3;
            check_by_query(available[i], c, &expected, &job);
        }
        free(job.scratch);
        for (unsigned chunk = 0; chunk < ring.chunks; chunk++) free(tables[chunk]);
    }
    free_result(&expected);
}

static void flip(uint64_t *state, uint8_t *code, size_t width, unsigned bits) {
    for (unsigned i = 0; i < bits; i++) {
        uint64_t at = next_random(state) % (8 * width);
        code[at / 8] ^= (uint8_t)(1 << at % 8);
    }
}

enum { RANDOM, FEW_VALUES, ONE_BUCKET, ZEROS, KINDS };
static const char *const kinds[KINDS] = {"random", "few values of chunks", "one bucket", "all alike"};

static void make_codes(uint64_t *state, int kind, uint8_t *codes, size_t n, size_t width) {
    uint8_t alphabet[6];
    fill_random(state, alphabet, sizeof alphabet);
    memset(codes, 0, n * width);
    for (size_t i = 0; i < n; i++) {
        uint8_t *code = codes + i * width;
        if (kind == RANDOM) fill_random(state, code, width);
        if (kind == FEW_VALUES) {
            for (size_t at = 0; at + 2 <= width; at += 2) memcpy(code + at, alphabet + 2 * (next_random(state) % 3), 2);
        }
        if (kind == ONE_BUCKET) { /* all equal but in the last bytes */
            code[width - 1] = (uint8_t)i;
            if (width > 1) code[width - 2] = (uint8_t)(i >> 8);
        }
    }
}

static void check_size(uint64_t *state, int kind, size_t n, size_t width, size_t nq, const unsigned *radii, unsigned ring_up_to) {
    uint8_t *codes = need(n * width), *queries = need(nq * width);
    make_codes(state, kind, codes, n, width);
    for (size_t q = 0; q < nq; q++) {
        if (n && q % 3) {
            memcpy(queries + q * width, codes + next_random(state) % n * width, width);
            flip(state, queries + q * width, width, (unsigned)(next_random(state) % (width == 32 ? 40 : 9)));
        } else {
            fill_random(state, queries + q * width, width);
        }
    }
    /* A code is borne by up to three rows, whose numbers are in no order. */
    uint32_t *starts = need((n + 1) * 4), *rows;
    size_t row_count = 0;
    for (size_t i = 0; i < n; i++) {
        starts[i] = (uint32_t)row_count;
        row_count += 1 + next_random(state) % 3;
    }
    starts[n] = (uint32_t)row_count;
    rows = need(row_count * 4);
    for (size_t i = 0; i < row_count; i++) rows[i] = (uint32_t)i;
    for (size_t i = row_count; i > 1; i--) {
        size_t other = next_random(state) % i;
        uint32_t kept = rows[i - 1];
        rows[i - 1] = rows[other];
        rows[other] = kept;
    }
    for (; *radii <= 8 * width; radii++) {
        case_t c = {codes, queries, n, width, nq, *radii, NULL, NULL, n, kinds[kind]};
        if (*radii & 1) {
            c.starts = starts;
            c.rows = rows;
            c.row_count = row_count;
        }
        check_case(&c, ring_up_to);
    }
    free(codes);
    free(queries);
    free(starts);
    free(rows);
}

/* What a table from a file may say: offsets that lie are refused, positions that lead nowhere end the search. */
static void check_damage(uint64_t *state) {
    uint8_t codes[100 * 8];
    fill_random(state, codes, sizeof codes);
    case_t c = {codes, codes, 100, 8, 5, 6, NULL, NULL, 100, "damaged"};
    hm_ring ring;
    uint8_t *tables[16] = {NULL};
    build(&c, &ring, tables);
    hm_ring_search job = {.ring = &ring, .queries = codes, .nq = c.nq, .masks = masks, .mask_counts = mask_counts,
                          .scratch = need(sizeof(hm_ring_scratch)), .budget = (uint64_t)1 << 62};
    hm_ring_limits_of(ring.chunks, c.radius, &job.limits);
    uint32_t positions[100];
    for (size_t i = 0; i < 100; i++) positions[i] = 100 + (uint32_t)(next_random(state) >> 33);
    for (unsigned chunk = 0; chunk < 4; chunk++) {
        const uint32_t *offsets = ring.offsets[chunk];
        for (size_t v = 0; v < HM_CHUNK_VALUES; v++) {
            size_t length = offsets[v + 1] - offsets[v];
            memcpy(tables[chunk] + HM_RING_BUCKETS + 8 * (size_t)offsets[v] + 4 * length, positions, 4 * length);
        }
    }
    for (size_t i = 0; i < available_count; i++) {
        hm_sink sink = {NULL, 0, 0, grow};
        uint8_t fallback[5];
        check(available[i]->ring_by_query(&job, 0, c.nq, fallback, &sink) == HM_DAMAGED, "%s: positions that lead nowhere",
              available[i]->name);
        free(sink.hits);
    }
    uint32_t *offsets = (void *)tables[0];
    static const uint32_t lies[4][2] = {{0, 1}, {65536, 99}, {65536, 101}, {30000, 0xffffffff}};
    for (int i = 0; i < 4; i++) {
        uint32_t kept = offsets[lies[i][0]];
        offsets[lies[i][0]] = lies[i][1];
        check(hm_ring_check(offsets, 100) == HM_DAMAGED, "offset %u says %u, and is believed", lies[i][0], lies[i][1]);
        offsets[lies[i][0]] = kept;
    }
    check(hm_ring_check(offsets, 100) == HM_OK, "offsets that are right are refused");
    free(job.scratch);
    for (unsigned chunk = 0; chunk < 4; chunk++) free(tables[chunk]);

    uint32_t starts[101];
    for (uint32_t i = 0; i <= 100; i++) starts[i] = i;
    starts[50] = 4000000000u;
    hm_hit hit = {49, 0, 0};
    hm_hits part = {&hit, 1};
    int64_t counted[2];
    check(hm_hits_count(&part, 1, 1, starts, 100, 100, counted) == HM_DAMAGED, "a start that leads nowhere is believed");
    hit.key = 10;
    starts[50] = 50;
    check(hm_hits_count(&part, 1, 1, starts, 100, 100, counted) == HM_OK && counted[1] == 1, "one row");
    int64_t cursor[1], row[2];
    uint64_t keys[1], spare[1];
    uint16_t far[1];
    uint32_t rows[100] = {0};
    static const uint32_t later[][2] = {{10, 12}, {10, 10}, {11, 10}, {90, 101}};
    for (int i = 0; i < 4; i++) { /* a file that is written over after the rows were counted */
        starts[10] = later[i][0];
        starts[11] = later[i][1];
        check(hm_hits_order(&part, 1, 1, starts, rows, 100, counted, cursor, keys, spare, row, far, NULL) == HM_DAMAGED,
              "rows that were not counted are written");
    }
    hit.key = 100;
    check(hm_hits_count(&part, 1, 1, starts, 100, 100, counted) == HM_DAMAGED, "a position that leads nowhere is believed");
}

static int by_key(const void *a, const void *b) {
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

/* Queries with 0, 1, 2, ... hits each, beside qsort: every number about which a way to sort begins or ends. Keys that are
 * ascending, descending, of few values, and at random. */
static void check_order(uint64_t *state) {
    enum { QUERIES = 700, HITS = QUERIES * (QUERIES - 1) / 2 };
    hm_hit *hits = need(HITS * sizeof *hits);
    uint64_t *expected = need(HITS * 8), *keys = need(HITS * 8), *spare = need(HITS * 8);
    int64_t *offsets = need((QUERIES + 1) * 8), *cursor = need(QUERIES * 8), *rows = need(HITS * 8);
    uint32_t *far = need(HITS * 4);
    for (int kind = 0; kind < 4; kind++) {
        size_t at = 0;
        for (uint32_t q = 0; q < QUERIES; q++) {
            for (uint32_t i = 0; i < q; i++, at++) {
                uint64_t made[] = {i, q - i, next_random(state) % 3 << 32 | next_random(state) % 3, next_random(state)};
                hits[at] = (hm_hit){made[kind], q, 0};
                expected[at] = made[kind];
            }
            qsort(expected + at - q, q, sizeof *expected, by_key);
        }
        hm_hits part = {hits, HITS};
        check(hm_hits_count(&part, 1, QUERIES, NULL, 0, 0, offsets) == HM_OK && offsets[QUERIES] == HITS, "counting hits");
        check(hm_hits_order(&part, 1, QUERIES, NULL, NULL, 0, offsets, cursor, keys, spare, rows, NULL, far) == HM_OK, "ordering");
        for (size_t i = 0; i < HITS; i++) {
            check((uint64_t)far[i] << 32 == expected[i] >> 32 << 32 && (uint64_t)rows[i] == (uint32_t)expected[i],
                  "order of hits, kind %d: result %zu", kind, i);
        }
        searches += QUERIES;
    }
    free(hits);
    free(expected);
    free(keys);
    free(spare);
    free(offsets);
    free(cursor);
    free(rows);
    free(far);
}

size_t check_hamming(void) {
    static const size_t lengths[] = {0, 1, 2, 3, 7, 8, 9, 15, 16, 17, 31, 32, 33, 63, 64, 65, 511, 512, 513, 1025};
    static const size_t widths[] = {1, 2, 7, 8, 9, 16, 31, 32, 33, 144};
    static const unsigned edges[] = {0, 6, 9999}, wide[] = {0, 1, 2, 3, 6, 7, 12, 31, 32, 43, 44, 47, 64, 65, 128, 255, 256, 9999};
    static const unsigned usual[] = {6, 31, 9999};
    uint64_t state = 1;
    for (unsigned value = 0; value < 256; value++) {
        for (unsigned x = value; x; x >>= 1) bits_of[value] = (uint8_t)(bits_of[value] + (x & 1));
    }
    hm_ring_masks(masks, mask_counts);
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        for (size_t w = 8; w <= 32; w += 24) check_size(&state, RANDOM, lengths[i], w, 1 + i % 6, w == 32 ? usual : edges, 31);
    }
    for (size_t i = 0; i < sizeof widths / sizeof *widths; i++) check_size(&state, RANDOM, 70, widths[i], 5, wide, 0);
    for (int kind = 0; kind < KINDS; kind++) {
        check_size(&state, kind, 700, 8, 30, wide, 12);
        check_size(&state, kind, 700, 32, 30, wide, 47);
    }
    /* Enough queries for more than one tile, and buckets that hold many. */
    check_size(&state, FEW_VALUES, 3000, 8, 1200, edges, 6);
    check_size(&state, ONE_BUCKET, 3000, 32, 1200, (const unsigned[]){5, 9999}, 31);
    check_size(&state, RANDOM, 10000, 32, 400, (const unsigned[]){31, 9999}, 31);
    check_damage(&state);
    check_order(&state);
    return searches;
}
