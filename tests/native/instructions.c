/* Runs each kernel once on fixed input, for benchmarks/instructions.py to count its instructions under valgrind.
 *
 *     instructions IMPLEMENTATION
 *
 * Collection is switched on by `harness_collect` and figures are written before `harness_done`; what is executed in functions
 * whose names begin with `harness_` is not counted. A line for each case, in their order: name, unit of work, how many,
 * checksum of the result, parameters, separated by tabs. The input depends on nothing but this file; everything is aligned
 * and allocated before, so that neither the place in memory nor the library's allocator changes a figure. */

#include <stdarg.h>

#include "check.h"
#include "checksums.h"
#include "json_text.h"

static const hm_kernels *kernels;
static int all_alike; /* whether the cases of which there is one version for all implementations are run, too */

void harness_collect(void (*run)(void *), void *job);
void harness_done(void);

static void *aligned(size_t bytes) {
    uint8_t *block = need(bytes + 128), *at = (uint8_t *)(((uintptr_t)block + 127) & ~(uintptr_t)127);
    memset(at, 0, bytes);
    return at; /* never freed: the program is short */
}

static uint64_t mixed(uint64_t x) { return next_random(&x); }

static uint64_t sum_of(const void *bytes, size_t length) {
    uint64_t sum = 0xcbf29ce484222325u;
    for (size_t i = 0; i < length; i++) sum = (sum ^ ((const uint8_t *)bytes)[i]) * 0x100000001b3u;
    return sum;
}

__attribute__((format(printf, 4, 5))) static void tell(const char *name, const char *unit, size_t work, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    printf("%s\t%s\t%zu\t", name, unit, work);
    vprintf(format, arguments);
    printf("\n");
    va_end(arguments);
}

static void count(void (*run)(void *), void *job) {
    harness_collect(run, job);
    harness_done();
}

/* --- searches */

static int no_growth(hm_sink *sink, size_t capacity) {
    (void)sink;
    check(0, "room for %zu hits is asked for", capacity);
    return HM_NO_MEMORY;
}

static hm_sink sink;

static void empty_sink(void) {
    if (!sink.hits) sink = (hm_sink){need(sizeof(hm_hit) << 20), 0, (size_t)1 << 20, no_growth};
    sink.count = 0;
}

/* The order of hits is not part of it. */
static uint64_t sum_of_hits(void) {
    uint64_t sum = sink.count;
    for (size_t i = 0; i < sink.count; i++) sum += mixed(sink.hits[i].key ^ mixed(sink.hits[i].query));
    check(sink.count, "nothing is found");
    return sum;
}

/* Random codes, and queries of which every second one is a code with up to `far` bits changed. */
static void make_codes(uint64_t seed, uint8_t **codes, size_t n, uint8_t **queries, size_t nq, size_t width, unsigned far) {
    *codes = aligned(n * width);
    *queries = aligned(nq * width + 64);
    fill_random(&seed, *codes, n * width);
    fill_random(&seed, *queries, nq * width);
    for (size_t q = 0; q < nq; q += 2) {
        uint8_t *query = *queries + q * width;
        memcpy(query, *codes + next_random(&seed) % n * width, width);
        for (unsigned i = (unsigned)(q / 2) % (far + 1); i; i--) {
            uint64_t bit = next_random(&seed) % (8 * width);
            query[bit / 8] ^= (uint8_t)(1 << bit % 8);
        }
    }
}

static void harness_flat(void *job) { check(kernels->flat(job, &sink) == HM_OK, "flat"); }

static void flat(const char *name, size_t n, size_t width, size_t nq, unsigned radius) {
    uint8_t *codes, *queries;
    uint16_t *radii = aligned(2 * nq);
    make_codes(1, &codes, n, &queries, nq, width, radius);
    for (size_t q = 0; q < nq; q++) radii[q] = (uint16_t)radius;
    hm_flat job = {codes, n, width, queries, NULL, nq, radii, aligned((width + 7) / 8 * HM_FLAT_STRIDE * 8)};
    empty_sink();
    count(harness_flat, &job);
    tell(name, "pairs", n * nq, "%016llx\tentries=%zu queries=%zu bits=%zu radius=%u", (unsigned long long)sum_of_hits(), n, nq,
         8 * width, radius);
}

typedef struct {
    const uint8_t *codes;
    size_t n, width;
    uint8_t *table;
    void *scratch;
} build_job;

static void harness_build(void *job) {
    build_job *b = job;
    check(hm_ring_build(b->codes, b->n, b->width, 1, b->table, b->scratch) == HM_OK, "building");
}

static void harness_ring_check(void *job) {
    build_job *b = job;
    check(hm_ring_check((const void *)b->table, b->n) == HM_OK, "checking");
}

static void ring_build(size_t n, size_t width) {
    uint8_t *codes, *queries;
    size_t bytes = HM_RING_BUCKETS + 8 * n + HM_RING_PADDING;
    make_codes(2, &codes, n, &queries, 1, width, 0);
    build_job job = {codes, n, width, aligned(bytes), aligned(hm_ring_build_scratch(n))};
    count(harness_build, &job);
    tell("ring-build", "codes", n, "%016llx\tentries=%zu bits=%zu tables=1", (unsigned long long)sum_of(job.table, bytes), n,
         8 * width);
    count(harness_ring_check, &job);
    tell("ring-check", "tables", 1, "%016llx\tentries=%zu bits=%zu", (unsigned long long)n, n, 8 * width);
}

typedef struct {
    hm_ring_search search;
    hm_sorted_queries sorted;
    uint8_t *fallback;
    uint32_t values;
    uint64_t spent;
} ring_job;

static void harness_by_query(void *job) {
    ring_job *r = job;
    check(kernels->ring_by_query(&r->search, 0, r->search.nq, r->fallback, &sink) == HM_OK, "ring by query");
}

static void harness_by_bucket(void *job) {
    ring_job *r = job;
    for (unsigned chunk = 0; chunk < r->search.ring->chunks; chunk++) {
        check(kernels->ring_by_bucket(&r->search, chunk, 0, r->values, &r->sorted, &r->spent, &sink) == HM_OK, "ring by bucket");
    }
}

/* Query by query with the first `single` of the queries; bucket by bucket with all, but not for all values of a chunk. */
static void ring(size_t n, size_t width, size_t single, size_t nq, unsigned radius, uint32_t values) {
    uint8_t *codes, *queries;
    make_codes(3, &codes, n, &queries, nq, width, radius);
    hm_ring index = {.codes = codes, .n = n, .width = width, .chunks = (unsigned)width / 2};
    void *scratch = aligned(hm_ring_build_scratch(n));
    for (unsigned chunk = 0; chunk < index.chunks; chunk++) {
        uint8_t *table = aligned(HM_RING_BUCKETS + 8 * n + HM_RING_PADDING);
        check(hm_ring_build(codes, n, width, chunk, table, scratch) == HM_OK, "building");
        index.offsets[chunk] = (const void *)table;
        index.buckets[chunk] = table + HM_RING_BUCKETS;
    }
    static uint16_t masks[HM_CHUNK_VALUES];
    static uint32_t mask_counts[17];
    hm_ring_masks(masks, mask_counts);
    ring_job job = {
        .search = {.ring = &index, .queries = queries, .nq = single, .masks = masks, .mask_counts = mask_counts,
                   .scratch = aligned(sizeof(hm_ring_scratch)), .budget = (uint64_t)1 << 62},
        .sorted = {aligned((HM_CHUNK_VALUES + 1) * 4), aligned((nq + 8) * sizeof(hm_seeker)), -1},
        .fallback = aligned(nq),
        .values = values,
    };
    hm_ring_limits_of(index.chunks, radius, &job.search.limits);
    empty_sink();
    count(harness_by_query, &job);
    tell("ring-by-query", "queries", single, "%016llx\tentries=%zu queries=%zu bits=%zu radius=%u",
         (unsigned long long)sum_of_hits(), n, single, 8 * width, radius);
    job.search.nq = nq;
    empty_sink();
    count(harness_by_bucket, &job);
    tell("ring-by-bucket", "queries", nq, "%016llx\tentries=%zu queries=%zu bits=%zu radius=%u values=%u",
         (unsigned long long)sum_of_hits(), n, nq, 8 * width, radius, values);
}

typedef struct {
    hm_hits part;
    size_t nq, codes;
    int64_t *offsets, *cursor, *rows;
    uint64_t *keys, *spare;
    uint16_t *distances;
} order_job;

static void harness_order(void *job) {
    order_job *o = job;
    check(hm_hits_count(&o->part, 1, o->nq, NULL, o->codes, o->codes, o->offsets) == HM_OK, "counting hits");
    check(hm_hits_order(&o->part, 1, o->nq, NULL, NULL, 0, o->offsets, o->cursor, o->keys, o->spare, o->rows, o->distances, NULL) ==
              HM_OK,
          "ordering hits");
}

static void hits_order(size_t count_of_hits, size_t nq, size_t codes) {
    uint64_t seed = 4;
    hm_hit *hits = aligned(count_of_hits * sizeof *hits);
    for (size_t i = 0; i < count_of_hits; i++) {
        hits[i].key = next_random(&seed) % 32 << 32 | (i * 7919) % codes;
        hits[i].query = (uint32_t)(next_random(&seed) % nq);
    }
    order_job job = {{hits, count_of_hits}, nq, codes, aligned((nq + 1) * 8), aligned(nq * 8), aligned(count_of_hits * 8),
                     aligned(count_of_hits * 8), aligned(count_of_hits * 8), aligned(count_of_hits * 2)};
    count(harness_order, &job);
    tell("hits-order", "hits", count_of_hits, "%016llx\thits=%zu queries=%zu",
         (unsigned long long)(sum_of(job.rows, count_of_hits * 8) ^ sum_of(job.distances, count_of_hits * 2)), count_of_hits, nq);
}

static void harness_euclidean(void *job) { check(kernels->euclidean(job, &sink) == HM_OK, "squared distance"); }

static void euclidean(const char *name, size_t n, size_t nq, uint32_t radius) {
    const size_t width = 144; /* PhotoDNA's */
    uint8_t *codes, *queries;
    make_codes(5, &codes, n, &queries, nq, width, 12);
    hm_euclidean job = {codes, n, width, queries, nq, radius, aligned(hm_euclidean_scratch(width, nq))};
    empty_sink();
    count(harness_euclidean, &job);
    tell(name, "pairs", n * nq, "%016llx\tentries=%zu queries=%zu bytes=%zu squared_radius=%u",
         (unsigned long long)sum_of_hits(), n, nq, width, radius);
}

/* --- digests */

static void harness_find(void *job) { check(hm_digests_find(job) == HM_OK, "finding digests"); }

static void harness_parse(void *job) { hm_digests_parse(job); }

static void harness_write(void *job) { check(hm_digests_write(job) == HM_OK, "writing lines"); }

static void digests(size_t n, size_t nq, size_t width, unsigned bits) {
    uint64_t seed = 6, step = ~(uint64_t)0 / n;
    uint8_t *values = aligned(n * width), *queries = aligned(nq * width);
    uint32_t *table = aligned((((size_t)1 << bits) + 1) * 4);
    fill_random(&seed, values, n * width);
    fill_random(&seed, queries, nq * width);
    for (size_t i = 0; i < n; i++) { /* ascending by construction */
        uint64_t lead = i * step + next_random(&seed) % step;
        for (size_t b = 0; b < 8; b++) values[i * width + b] = (uint8_t)(lead >> (56 - 8 * b));
        table[(lead >> (64 - bits)) + 1]++;
    }
    for (size_t p = 0; p < (size_t)1 << bits; p++) table[p + 1] += table[p];
    for (size_t q = 0; q < nq; q += 2) memcpy(queries + q * width, values + next_random(&seed) % n * width, width);
    int64_t *first = aligned(nq * 8), *last = aligned(nq * 8);
    hm_digest_lookup find = {values, n, width, table, bits, queries, nq, first, last};
    count(harness_find, &find);
    size_t found = 0;
    for (size_t q = 0; q < nq; q++) found += first[q] != last[q];
    check(found == (nq + 1) / 2, "%zu digests are found", found);
    tell("digests-find", "digests", nq, "%016llx\tentries=%zu queries=%zu bits=%zu",
         (unsigned long long)(sum_of(first, nq * 8) ^ found), n, nq, 8 * width);

    uint32_t *rows = aligned(n * 4), *zeros = aligned(n * 4);
    uint64_t *refs = aligned((n + 1) * 8), names[2] = {0, 8};
    uint8_t *text = aligned(n * 12);
    for (size_t i = 0; i < n; i++) {
        rows[i] = (uint32_t)((i * 7919) % n);
        refs[i + 1] = refs[i] + 6 + i % 7;
    }
    memset(text, 'r', n * 12);
    size_t capacity = nq * (2 * width + 40);
    hm_lookup_lines write = {.digests = queries, .first = first, .last = last, .n = nq, .width = width, .rows = rows, .count = n,
                             .row_source = zeros, .row_category = zeros, .ref_offsets = refs, .ref_text = text, .nrows = n,
                             .ref_size = n * 12, .sources = {(const uint8_t *)"a source", 8, names, 1},
                             .categories = {(const uint8_t *)"category", 8, names, 1}, .out = aligned(capacity),
                             .capacity = capacity};
    count(harness_write, &write);
    check(write.stopped == HM_LINES_DONE, "not all lines are written");
    tell("digests-write", "lines", nq, "%016llx\tqueries=%zu bits=%zu", (unsigned long long)sum_of(write.out, write.written), nq,
         8 * width);

    char *lines = aligned(nq * (2 * width + 64));
    size_t size = 0;
    for (size_t q = 0; q < nq; q++) {
        for (size_t b = 0; b < width; b++) size += (size_t)sprintf(lines + size, "%02x", queries[q * width + b]);
        size += (size_t)sprintf(lines + size, "  folder/of some/file %zu.jpg\n", q);
    }
    uint8_t *out = aligned(nq * width);
    hm_digest_lines parse = {.text = (const uint8_t *)lines, .size = size, .width = width, .out = out, .capacity = nq, .paths = -1};
    count(harness_parse, &parse);
    check(parse.found == nq && !memcmp(out, queries, nq * width), "%zu digests are parsed", parse.found);
    tell("digests-parse", "lines", nq, "%016llx\tlines=%zu bits=%zu", (unsigned long long)sum_of(out, nq * width), nq, 8 * width);
}

/* --- pixels */

typedef struct {
    hm_picture picture;
    int dihedral, status, quality, which, vertical;
    void *scratch, *tables;
    uint8_t codes[256];
    float *luma;
    hm_plane plane;
} pixel_job;

static void harness_pdq_fast(void *job) {
    pixel_job *p = job;
    p->status = kernels->pixels->pdq_fast(&p->picture, p->dihedral, p->scratch, p->codes, &p->quality);
}

static void harness_pdq_exact(void *job) {
    pixel_job *p = job;
    kernels->pixels->pdq_exact(&p->picture, p->dihedral, p->scratch, p->codes, &p->quality);
}

static void harness_luma(void *job) {
    pixel_job *p = job;
    kernels->pixels->luma(&p->picture, p->luma);
}

static void harness_family(void *job) {
    pixel_job *p = job;
    p->status = kernels->pixels->family(&p->picture, p->which, p->vertical, p->scratch, p->codes);
}

static void harness_tables(void *job) {
    pixel_job *p = job;
    kernels->pixels->tables(&p->picture, p->which, p->scratch, p->tables);
}

static void harness_plane(void *job) {
    pixel_job *p = job;
    kernels->pixels->plane(&p->picture, p->which | HM_PDQ, p->vertical, p->scratch, &p->plane);
}

/* Shapes with soft edges and a little noise. */
static pixel_job picture(size_t width, size_t height, unsigned channels) {
    uint64_t seed = 7;
    size_t stride = width * channels;
    uint8_t *pixels = aligned(height * stride);
    long centres[12][4];
    for (int i = 0; i < 12; i++) {
        centres[i][0] = (long)(next_random(&seed) % 1000);
        centres[i][1] = (long)(next_random(&seed) % 1000);
        centres[i][2] = 20000 + (long)(next_random(&seed) % 60000);
        centres[i][3] = (long)(next_random(&seed) % 160);
    }
    for (size_t y = 0; y < height; y++) {
        for (size_t x = 0; x < width; x++) {
            long value = 20 + (long)(x * 50 / width), u = (long)(x * 1000 / width), v = (long)(y * 1000 / height);
            for (int i = 0; i < 12; i++) {
                long far = (u - centres[i][0]) * (u - centres[i][0]) + (v - centres[i][1]) * (v - centres[i][1]);
                if (far < centres[i][2]) value += centres[i][3] * (centres[i][2] - far) / centres[i][2];
            }
            value += (long)(next_random(&seed) % 9);
            for (unsigned c = 0; c < channels; c++) {
                long shade = value + 12 * (long)c;
                pixels[y * stride + x * channels + c] = (uint8_t)(shade > 255 ? 255 : shade);
            }
        }
    }
    pixel_job job = {.picture = {pixels, NULL, height, width, stride, channels, NULL}, .which = HM_PHASH | HM_DHASH | HM_AHASH};
    size_t bytes[3] = {hm_pdq_fast_scratch(&job.picture), hm_pdq_exact_scratch(&job.picture), hm_family_scratch(&job.picture)}, most = 0;
    for (int i = 0; i < 3; i++) most = bytes[i] > most ? bytes[i] : most;
    job.scratch = aligned(most);
    return job;
}

static void tell_pixels(const char *name, const pixel_job *job, const void *bytes, size_t length) {
    const hm_picture *p = &job->picture;
    tell(name, "pixels", p->width * p->height, "%016llx\twidth=%zu height=%zu channels=%u", (unsigned long long)sum_of(bytes, length),
         p->width, p->height, p->channels);
}

static void pdq(size_t width, size_t height, unsigned channels, int exact, int dihedral) {
    pixel_job job = picture(width, height, channels);
    job.dihedral = dihedral;
    count(exact ? harness_pdq_exact : harness_pdq_fast, &job);
    check(job.status == HM_OK && job.quality > 50, "pdq, %zu x %zu: status %d, quality %d", width, height, job.status, job.quality);
    tell_pixels(exact ? "pdq-exact" : dihedral ? "pdq-dihedral" : "pdq", &job, job.codes, dihedral ? 256 : 32);
}

static void family(size_t width, size_t height, unsigned channels) {
    pixel_job job = picture(width, height, channels);
    count(harness_family, &job);
    check(job.status == job.which, "family, %zu x %zu: decided %d", width, height, job.status);
    tell_pixels("family", &job, job.codes, 24);
    job.tables = aligned(hm_family_tables(&job.picture));
    count(harness_tables, &job);
    /* Tables are laid out for each implementation by itself: what they are good for is compared. */
    memset(job.codes, 0, sizeof job.codes);
    job.picture.tables = job.tables;
    harness_family(&job);
    check(job.status == job.which, "family with tables, %zu x %zu: decided %d", width, height, job.status);
    tell_pixels("family-tables", &job, job.codes, 24);
    memset(job.codes, 0, sizeof job.codes);
    count(harness_family, &job);
    tell_pixels("family-with-tables", &job, job.codes, 24);
}

static void plane(size_t width, size_t height) {
    pixel_job job = picture(width, height, 1);
    job.picture.tables = job.tables = aligned(hm_family_tables(&job.picture));
    harness_tables(&job);
    count(harness_plane, &job);
    uint64_t sums[3] = {sum_of(job.plane.pdq, 32), sum_of(job.plane.family, 24), sum_of(job.plane.ordered, sizeof job.plane.ordered)};
    tell_pixels("plane", &job, sums, sizeof sums);
}

static void luma(size_t width, size_t height, unsigned channels) {
    pixel_job job = picture(width, height, channels);
    job.luma = aligned(width * height * 4);
    count(harness_luma, &job);
    tell_pixels("luma", &job, job.luma, width * height * 4);
}

/* --- checksums and text */

typedef struct {
    const uint8_t *bytes;
    size_t length, times;
    uint64_t sum;
} sum_job;

static void harness_crc32(void *job) {
    sum_job *s = job;
    for (size_t i = 0; i < s->times; i++) s->sum += hm_crc32(s->bytes + i, s->length);
}

static void harness_adler32(void *job) {
    sum_job *s = job;
    for (size_t i = 0; i < s->times; i++) s->sum += hm_adler32(s->bytes + i, s->length);
}

static void checksums(size_t length, size_t times) {
    uint64_t seed = 8;
    uint8_t *bytes = aligned(length + times);
    fill_random(&seed, bytes, length + times);
    sum_job crc = {bytes, length, times, 0}, adler = crc;
    count(harness_crc32, &crc);
    tell("crc32", "bytes", length * times, "%016llx\tlength=%zu times=%zu", (unsigned long long)crc.sum, length, times);
    count(harness_adler32, &adler);
    tell("adler32", "bytes", length * times, "%016llx\tlength=%zu times=%zu", (unsigned long long)adler.sum, length, times);
}

/* Each document of a row of them to canonical text. Not `harness_`: what the compiler takes into it is the kernel. */
HM_NOINLINE void json_documents(hm_json *j) {
    while (j->at < j->end) {
        if (!put_object(j, 1)) return;
        if (j->at < j->end && *j->at == ',') j->at++;
    }
}

static void harness_json(void *job) { json_documents(job); }

static void json(size_t documents) {
    static hm_members inner = {
        .text = {"\"Precategorized\":", "\"Created\":", "\"Odata.type\":"},
        .length = {17, 10, 13},
        .kind = {HM_FLAG, HM_DATE, HM_LEFT_OUT},
        .count = 3,
    };
    for (int i = 0; i < inner.count; i++) inner.of_length[(inner.length[i] - 3) & 31] |= (uint64_t)1 << i;
    uint64_t seed = 9;
    char *text = aligned(documents * 600);
    size_t size = 0;
    for (size_t i = 0; i < documents; i++) {
        unsigned long long number = next_random(&seed) >> 20;
        size += (size_t)sprintf(text + size,
                                "%s{\"MediaID\": %zu, \"Category\": %llu, \"Name\": \"a picture of nothing, number %llu.jpg\", "
                                "\"Odata.type\": \"a type\", \"Created\": \"\\/Date(%llu+0100)\\/\", \"Precategorized\": \"True\", "
                                "\"Comment\": \"a line\\nand \\u00e4nother \\\"one\\\"\", \"Tags\": [\"green\", \"blue\", null, %llu], "
                                "\"Empty\": \"\", \"Files\": [{\"FilePath\": \"C:\\\\folder\\\\of some\\\\file %llu\", \"Size\": %llu}]}",
                                i ? "," : "", i, number % 5, number, 1500000000000 + number % 100000000000, number % 1000, number,
                                number);
    }
    hm_json job = {.at = text, .end = text + size, .inner = &inner, .deepest = 8, .out = need(2 * size), .capacity = 2 * size};
    count(harness_json, &job);
    check(job.at == job.end, "%td bytes of JSON are refused", job.end - job.at);
    tell("json-text", "bytes", size, "%016llx\tdocuments=%zu", (unsigned long long)sum_of(job.out, job.used), documents);
}

/* --- the harness */

static void run_all(void) {
    flat("flat", 20000, 32, 8, 31);
    flat("flat-wide", 20000, 32, 8, 60);
    flat("flat", 60000, 8, 8, 6);
    ring(20000, 32, 400, 4000, 31, HM_CHUNK_VALUES / 16);
    ring(20000, 8, 2000, 4000, 6, HM_CHUNK_VALUES / 16);
    euclidean("euclidean", 2000, 24, 30000);
    euclidean("euclidean-few", 4000, 3, 30000);
    pdq(1024, 768, 3, 0, 0);
    pdq(512, 384, 3, 0, 0);
    pdq(300, 417, 4, 0, 0);
    pdq(256, 256, 1, 0, 0);
    pdq(512, 384, 3, 0, 1);
    pdq(200, 150, 3, 1, 0);
    pdq(64, 64, 1, 1, 0);
    luma(512, 384, 3);
    luma(512, 384, 4);
    family(512, 384, 3);
    family(300, 417, 1);
    plane(512, 384);
    if (!all_alike) return;
    ring_build(50000, 32);
    hits_order(40000, 500, 100000);
    hits_order(20000, 2000, 100000);
    digests(40000, 10000, 16, 15);
    digests(20000, 5000, 32, 14);
    checksums(100000, 10);
    checksums(19, 20000);
    json(1000);
}

/* Not static and never inlined: valgrind knows them by name. */
__attribute__((noinline)) void harness_collect(void (*run)(void *), void *job) {
    run(job);
    __asm__ volatile("" ::: "memory"); /* no tail call: it would leave the function before it runs */
}

__attribute__((noinline)) void harness_done(void) { __asm__ volatile("" ::: "memory"); }

int main(int argc, char **argv) {
    hm_implementation known[HM_MAX_IMPLEMENTATIONS];
    size_t known_count = hm_implementations(known);
    check(argc == 2, "usage: instructions IMPLEMENTATION");
    for (size_t i = 0; i < known_count; i++) {
        if (strcmp(known[i].kernels->name, argv[1])) continue;
        if (!known[i].available) {
            fprintf(stderr, "%s: %s\n", argv[1], known[i].reason);
            return 3;
        }
        kernels = known[i].kernels;
    }
    check(kernels, "no implementation is called %s", argv[1]);
    all_alike = !strcmp(argv[1], "portable");
    hm_pdq_tables();
    hm_resample_tables();
    hm_checksum_tables();
    run_all();
    return 0;
}
