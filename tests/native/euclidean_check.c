/* Search by squared Euclidean distance against a loop over all pairs. */

#include "check.h"

static size_t searches;

static int grow(hm_sink *sink, size_t capacity) {
    hm_hit *hits = realloc(sink->hits, capacity * sizeof *hits);
    if (!hits) return HM_NO_MEMORY;
    sink->hits = hits;
    sink->capacity = capacity;
    return HM_OK;
}

static int no_memory(hm_sink *sink, size_t capacity) {
    (void)sink, (void)capacity;
    return HM_NO_MEMORY;
}

static uint32_t distance_of(const uint8_t *a, const uint8_t *b, size_t width) {
    uint32_t distance = 0;
    for (size_t i = 0; i < width; i++) {
        int d = a[i] - b[i];
        distance += (uint32_t)(d * d);
    }
    return distance;
}

static int by_number(const void *a, const void *b) {
    const uint64_t *x = a, *y = b;
    return *x < *y ? -1 : *x > *y;
}

typedef struct {
    const uint8_t *codes, *queries;
    size_t n, width, nq;
    uint32_t radius;
    const char *kind;
} case_t;

static int search(const hm_kernels *kernels, const case_t *c, hm_sink *sink) {
    size_t bytes = hm_euclidean_scratch(c->width, c->nq);
    uint8_t *block = need(bytes + 64), *scratch = block;
    while ((uintptr_t)scratch % 64) scratch++;
    hm_euclidean job = {c->codes, c->n, c->width, c->queries, c->nq, c->radius, scratch};
    int status = kernels->euclidean(&job, sink);
    free(block);
    return status;
}

/* `keys` are distance << 32 | position of all pairs, ordered query by query. */
static void compare(const hm_kernels *kernels, const case_t *c, const uint64_t *keys) {
    hm_sink sink = {NULL, 0, 0, grow};
    int status = search(kernels, c, &sink);
    check(status == HM_OK, "%s, squared distance: status %d", kernels->name, status);
    hm_hits part = {sink.hits, sink.count};
    int64_t *offsets = need((c->nq + 1) * 8), *cursor = need(c->nq * 8);
    check(hm_hits_count(&part, 1, c->nq, NULL, c->n, c->n, offsets) == HM_OK, "count");
    size_t m = (size_t)offsets[c->nq];
    uint64_t *sorted = need(m * 8), *spare = need(m * 8);
    int64_t *rows = need(m * 8);
    uint32_t *far = need(m * 4);
    check(hm_hits_order(&part, 1, c->nq, NULL, NULL, 0, offsets, cursor, sorted, spare, rows, NULL, far) == HM_OK, "order");
    for (size_t q = 0; q < c->nq; q++) {
        size_t found = (size_t)offsets[q];
        for (size_t i = 0; i < c->n; i++) {
            uint64_t key = keys[q * c->n + i];
            if (key >> 32 > c->radius) break;
            check(found < (size_t)offsets[q + 1], "%s: %zu %s codes of %zu bytes, radius %u: query %zu of %zu lacks a pair",
                  kernels->name, c->n, c->kind, c->width, c->radius, q, c->nq);
            check(far[found] == key >> 32 && rows[found] == (int64_t)(uint32_t)key,
                  "%s: %zu %s codes of %zu bytes, radius %u: query %zu of %zu, another pair", kernels->name, c->n, c->kind,
                  c->width, c->radius, q, c->nq);
            found++;
        }
        check(found == (size_t)offsets[q + 1], "%s: a pair beyond the radius", kernels->name);
    }
    if (m) {
        hm_sink none = {NULL, 0, 0, no_memory};
        check(search(kernels, c, &none) == HM_NO_MEMORY, "%s: hits without memory", kernels->name);
    }
    free(offsets), free(cursor), free(sorted), free(spare), free(rows), free(far), free(sink.hits);
    searches++;
}

enum { RANDOM, SMALL_VALUES, EXTREMES, ALIKE, KINDS };
static const char *const kinds[KINDS] = {"random", "small", "extreme", "equal"};

static void check_size(uint64_t *state, int kind, size_t n, size_t width, size_t nq) {
    uint8_t *codes = need(n * width), *queries = need(nq * width);
    fill_random(state, codes, n * width);
    fill_random(state, queries, nq * width);
    for (size_t i = 0; i < (n + nq) * width; i++) {
        uint8_t *byte = i < n * width ? &codes[i] : &queries[i - n * width];
        if (kind == SMALL_VALUES) *byte = *byte >= 240 ? 255 : *byte % 16;
        if (kind == EXTREMES) *byte = *byte < 128 ? 0 : 255;
        if (kind == ALIKE) *byte = i < n * width ? 255 : 254;
    }
    for (size_t q = 0; n && q < nq; q += 2) { /* near one of the codes */
        memcpy(queries + q * width, codes + next_random(state) % n * width, width);
        queries[q * width + next_random(state) % width] ^= (uint8_t)(1 << q % 8);
    }
    uint64_t *keys = need(n * nq * 8), *all = need(n * nq * 8);
    for (size_t q = 0; q < nq; q++) {
        for (size_t i = 0; i < n; i++) {
            keys[q * n + i] = (uint64_t)distance_of(queries + q * width, codes + i * width, width) << 32 | i;
        }
        qsort(keys + q * n, n, sizeof *keys, by_number);
    }
    for (size_t i = 0; i < n * nq; i++) all[i] = keys[i];
    qsort(all, n * nq, sizeof *all, by_number);
    /* Distances that occur, and one less: the radius is inclusive. */
    uint32_t furthest = (uint32_t)(width * 255 * 255), radii[] = {0, 40000, furthest, furthest, furthest, furthest, furthest};
    if (n && nq) {
        radii[3] = (uint32_t)(all[n * nq / 50] >> 32);
        radii[4] = radii[3] ? radii[3] - 1 : 0;
        radii[5] = (uint32_t)(all[n * nq / 2] >> 32);
        radii[6] = (uint32_t)(all[n * nq - 1] >> 32) - (kind != ALIKE);
    }
    for (size_t r = 0; r < sizeof radii / sizeof *radii; r++) {
        case_t c = {codes, queries, n, width, nq, radii[r] < furthest ? radii[r] : furthest, kinds[kind]};
        for (size_t i = 0; i < available_count; i++) compare(available[i], &c, keys);
    }
    free(codes), free(queries), free(keys), free(all);
}

size_t check_euclidean(void) {
    static const size_t lengths[] = {0, 1, 2, 7, 8, 9, 15, 16, 17, 31, 32, 33, 255, 256, 257, 513};
    static const size_t widths[] = {1, 2, 3, 4, 5, 15, 16, 17, 31, 32, 33, 47, 49, 63, 65, 89, 143, 144, 145, 258, 8191};
    static const size_t counts[] = {0, 1, 5, 6, 7, 8, 9, 16, 17};
    uint64_t state = 3;
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        for (size_t k = 0; k < sizeof counts / sizeof *counts; k++) {
            check_size(&state, (int)(i + k) % KINDS, lengths[i], 144, counts[k]);
        }
    }
    for (size_t i = 0; i < sizeof widths / sizeof *widths; i++) {
        for (int kind = 0; kind < KINDS; kind++) check_size(&state, kind, 37, widths[i], 9 - (i % 2) * 6);
    }
    /* Enough pairs for the sample that the number of words is chosen by. */
    for (int kind = 0; kind < KINDS; kind++) check_size(&state, kind, 4100, 144, 33);
    check_size(&state, SMALL_VALUES, 4100, 13, 32);
    return searches;
}
