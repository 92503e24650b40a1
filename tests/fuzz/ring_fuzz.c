/* Ring tables that say anything, searched by every implementation: it stays inside them, and all implementations find the
 * same. Where nothing was written over, that is what a loop over all pairs finds.
 *
 * Byte 0: how many codes; byte 1: the radius, mostly a small one; byte 2: how alike the codes are; then pokes into the tables of 6 bytes: which
 * table and which part of it (1), where (2), what (3). */

#include "fuzz.h"

enum { WIDTH = 8, CHUNKS = 4, MOST = 255, QUERIES = 8 };

static uint16_t masks[HM_CHUNK_VALUES];
static uint32_t mask_counts[17];
static const hm_kernels *available[HM_MAX_IMPLEMENTATIONS];
static size_t available_count;

static int grow(hm_sink *sink, size_t capacity) {
    hm_hit *hits = realloc(sink->hits, capacity * sizeof *hits);
    if (!hits) return HM_NO_MEMORY;
    sink->hits = hits;
    sink->capacity = capacity;
    return HM_OK;
}

static uint64_t next_random(uint64_t *state) {
    uint64_t z = (*state += 0x9e3779b97f4a7c15u);
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

static int by_hit(const void *a, const void *b) {
    const hm_hit *x = a, *y = b;
    if (x->query != y->query) return x->query < y->query ? -1 : 1;
    return (x->key > y->key) - (x->key < y->key);
}

typedef struct {
    int status;
    hm_sink sink;
} found_t;

static found_t by_query(const hm_kernels *kernels, const hm_ring_search *job) {
    found_t f = {HM_OK, {NULL, 0, 0, grow}};
    uint8_t fallback[QUERIES];
    f.status = kernels->ring_by_query(job, 0, job->nq, fallback, &f.sink);
    return f;
}

static found_t by_bucket(const hm_kernels *kernels, const hm_ring_search *job) {
    found_t f = {HM_OK, {NULL, 0, 0, grow}};
    hm_sorted_queries sorted = {exact(NULL, (HM_CHUNK_VALUES + 1) * 4), exact(NULL, (job->nq + 8) * sizeof(hm_seeker)), -1};
    uint64_t spent = 0;
    for (unsigned chunk = 0; f.status == HM_OK && chunk < CHUNKS; chunk++) {
        /* Not all values, most of which have no entries: those of codes, and the ones behind them. */
        uint8_t seen[HM_CHUNK_VALUES / 2] = {0};
        for (size_t i = 0; f.status == HM_OK && i < job->ring->n; i++) {
            uint16_t value;
            memcpy(&value, job->ring->codes + i * WIDTH + 2 * chunk, 2);
            if (seen[value / 2]) continue;
            seen[value / 2] = 1;
            uint32_t first = value & ~1u;
            f.status = kernels->ring_by_bucket(job, chunk, first, first + 2, &sorted, &spent, &f.sink);
        }
    }
    free(sorted.offsets);
    free(sorted.seekers);
    return f;
}

static void sort(found_t *found) {
    if (found->sink.count) qsort(found->sink.hits, found->sink.count, sizeof(hm_hit), by_hit);
}

static void same(found_t *a, found_t *b) {
    require(a->status == b->status);
    if (a->status != HM_OK) return;
    require(a->sink.count == b->sink.count);
    sort(b);
    for (size_t i = 0; i < a->sink.count; i++) {
        require(a->sink.hits[i].key == b->sink.hits[i].key && a->sink.hits[i].query == b->sink.hits[i].query);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (!available_count) {
        hm_implementation known[HM_MAX_IMPLEMENTATIONS];
        size_t count = hm_implementations(known);
        for (size_t i = 0; i < count; i++) {
            if (known[i].available) available[available_count++] = known[i].kernels;
        }
        hm_ring_masks(masks, mask_counts);
    }
    if (size < 3) return 0;
    size_t n = data[0], sizes = HM_RING_BUCKETS + 8 * n + HM_RING_PADDING;
    unsigned radius = data[1] > 240 ? data[1] % 25u : data[1] % 9u, bits = data[2] % 17;
    uint64_t state = data[2] >> 5;
    uint8_t *codes = exact(NULL, n * WIDTH), *queries = exact(NULL, QUERIES * WIDTH), *tables[CHUNKS];
    for (size_t i = 0; i < n * WIDTH / 2; i++) {
        uint16_t value = (uint16_t)(next_random(&state) & ((1u << bits) - 1));
        memcpy(codes + 2 * i, &value, 2);
    }
    for (size_t q = 0; q < QUERIES; q++) {
        if (n) memcpy(queries + q * WIDTH, codes + next_random(&state) % n * WIDTH, WIDTH);
        for (unsigned i = 0; i < q; i++) queries[q * WIDTH + next_random(&state) % WIDTH] ^= (uint8_t)(1 << next_random(&state) % 8);
    }
    hm_ring ring = {.codes = codes, .n = n, .width = WIDTH, .chunks = CHUNKS};
    void *scratch = exact(NULL, hm_ring_build_scratch(n));
    for (unsigned chunk = 0; chunk < CHUNKS; chunk++) {
        tables[chunk] = exact(NULL, sizes);
        hm_ring_build(codes, n, WIDTH, chunk, tables[chunk], scratch);
        ring.offsets[chunk] = (const void *)tables[chunk];
        ring.buckets[chunk] = tables[chunk] + HM_RING_BUCKETS;
    }
    int poked = 0;
    for (size_t at = 3; at + 6 <= size; at += 6, poked = 1) {
        uint8_t *table = tables[data[at] % CHUNKS];
        size_t where = data[at + 1] | data[at + 2] << 8;
        uint32_t value = data[at + 3] | data[at + 4] << 8 | (uint32_t)(int8_t)data[at + 5] << 16;
        if (data[at] & 4) { /* an offset: of a value that has entries, if there are entries */
            uint16_t chunk_value = 0;
            if (n) memcpy(&chunk_value, codes + where % n * WIDTH + 2 * (data[at] % CHUNKS), 2);
            where = (size_t)(chunk_value + (data[at] >> 3 & 1)) * 4;
        } else {
            where = HM_RING_BUCKETS + where % (2 * n + 16) * 4;
        }
        memcpy(table + where, &value, 4);
    }
    int sound = HM_OK;
    for (unsigned chunk = 0; chunk < CHUNKS && sound == HM_OK; chunk++) {
        sound = hm_ring_check(ring.offsets[chunk], n);
        if (sound == HM_OK) hm_ring_skew(ring.offsets[chunk], n);
    }
    /* Offsets that lie are refused when a list is opened, and never searched. */
    if (sound == HM_OK) {
        hm_ring_search job = {.ring = &ring, .queries = queries, .nq = QUERIES, .masks = masks, .mask_counts = mask_counts,
                              .scratch = exact(NULL, sizeof(hm_ring_scratch)), .budget = (uint64_t)1 << 62};
        hm_ring_limits_of(CHUNKS, radius, &job.limits);
        /* Bucket by bucket every value asks for its neighbours, which are all values where the radius is large. */
        for (int way = 0; way < (radius <= 8 ? 2 : 1); way++) {
            found_t (*search)(const hm_kernels *, const hm_ring_search *) = way ? by_bucket : by_query;
            found_t first = search(available[0], &job);
            sort(&first);
            for (size_t i = 1; i < available_count; i++) {
                found_t other = search(available[i], &job);
                same(&first, &other);
                free(other.sink.hits);
            }
            size_t at = 0;
            for (uint32_t q = 0; !poked && q < QUERIES; q++) {
                uint32_t within = 0;
                for (size_t i = 0; i < n; i++) {
                    uint32_t distance = 0;
                    for (size_t b = 0; b < WIDTH; b++) {
                        for (unsigned x = codes[i * WIDTH + b] ^ queries[q * WIDTH + b]; x; x &= x - 1) distance++;
                    }
                    within += distance <= radius;
                }
                for (; at < first.sink.count && first.sink.hits[at].query == q; at++) within--;
                require(!within);
            }
            free(first.sink.hits);
        }
        free(job.scratch);
    }
    for (unsigned chunk = 0; chunk < CHUNKS; chunk++) free(tables[chunk]);
    free(scratch);
    free(codes);
    free(queries);
    return 0;
}
