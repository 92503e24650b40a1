/* What the kernels offer, to module.c and to each other. No Python here: pointers, lengths and plain structs.
 *
 * Every instruction set fills one `hm_kernels`; dispatch.c chooses between them. All of them give the same result. */
#ifndef HASHMATCH_KERNELS_H
#define HASHMATCH_KERNELS_H

#include <stddef.h>
#include <stdint.h>

#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "the native kernels read little-endian words; build without them (HASHMATCH_BUILD_NATIVE=0)"
#endif

#if defined(__x86_64__) || defined(_M_X64)
#define HM_X86_64 1
#endif
#if defined(__aarch64__) || defined(_M_ARM64)
#define HM_AARCH64 1
#endif

#if defined(_MSC_VER) && !defined(__clang__)
#define HM_INLINE static __forceinline
#define HM_NOINLINE static __declspec(noinline)
#define HM_RARE(x) (x)
#define HM_OFTEN(x) (x)
#else
#define HM_INLINE static inline __attribute__((always_inline))
#define HM_NOINLINE static __attribute__((noinline))
#define HM_RARE(x) __builtin_expect(!!(x), 0)
#define HM_OFTEN(x) __builtin_expect(!!(x), 1)
#endif

#if defined(_MSC_VER) && !defined(__clang__)
#include <intrin.h>
HM_INLINE unsigned HM_LOWEST_BIT(uint32_t x) {
    unsigned long at;
    _BitScanForward(&at, x);
    return at;
}
#define HM_PREFETCH(p) ((void)(p))
#else
#define HM_LOWEST_BIT(x) ((unsigned)__builtin_ctz(x))
#define HM_PREFETCH(p) __builtin_prefetch((p), 0, 3)
#endif

/* What a kernel returns. */
enum {
    HM_OK = 0,
    HM_NO_MEMORY = -1,  /* a sink could not grow */
    HM_DAMAGED = -2,    /* a table leads outside the codes */
    HM_ABANDONED = -3,  /* the search would cost more than a flat scan; nothing was added to the sink */
};

/* --- exact Hamming search ------------------------------------------------------------------------------------------ */

/* One pair within the radius. `key` orders by distance, then position: distance << 32 | position. */
typedef struct {
    uint64_t key;
    uint32_t query;
    uint32_t reserved;
} hm_hit;

/* Where hits go. Kernels call hm_reserve before they write; `grow` is module.c's, the only file that allocates. */
typedef struct hm_sink {
    hm_hit *hits;
    size_t count, capacity;
    int (*grow)(struct hm_sink *sink, size_t capacity);
} hm_sink;

HM_INLINE int hm_reserve(hm_sink *sink, size_t more) {
    if (HM_OFTEN(sink->capacity - sink->count >= more)) return HM_OK;
    return sink->grow(sink, sink->count + more);
}

HM_INLINE void hm_push(hm_sink *sink, uint32_t query, uint32_t position, uint32_t distance) {
    hm_hit *hit = &sink->hits[sink->count++];
    hit->key = (uint64_t)distance << 32 | position;
    hit->query = query;
    hit->reserved = 0;
}

#define HM_FLAT_BLOCK 512 /* codes that the flat scan turns into columns at a time: 16 KiB of 256-bit codes */
/* Words from a column to the next. Not a multiple of 4 KiB: stores would then look as if the loads depended on them. */
#define HM_FLAT_STRIDE (HM_FLAT_BLOCK + 24)

/* Flat scan. `radii` has one radius a query; `ids` names the queries in the hits (NULL: 0, 1, 2 ...). `columns` is scratch
 * of HM_FLAT_STRIDE words for each word of a code, 64-byte aligned. */
typedef struct {
    const uint8_t *codes;
    size_t n, width; /* width in bytes */
    const uint8_t *queries;
    const uint32_t *ids;
    size_t nq;
    const uint16_t *radii;
    uint64_t *columns;
} hm_flat;

/* --- the ring index: see hamming_ring.h for its layout and the proof */

#define HM_CHUNK_VALUES 65536
#define HM_RING_BUCKETS 262208 /* bytes from the start of a chunk's table to its buckets: 65,537 offsets, up to a line */
#define HM_RING_PADDING 64 /* readable bytes behind the last bucket */

typedef struct {
    const uint8_t *codes;
    size_t n, width;
    unsigned chunks;             /* width / 2: 4 or 16 */
    const uint32_t *offsets[16]; /* one a chunk: 65,537, in entries; offsets[c][v] is where bucket v of chunk c starts */
    const uint8_t *buckets[16];  /* one a chunk: n x 8 bytes, and HM_RING_PADDING */
} hm_ring;

/* Thresholds of one search: see hamming_ring.h. A chunk with probe[c] < 0 is not probed. */
typedef struct {
    unsigned radius;
    int probe[16], pair[16], triple[16];
} hm_ring_limits;

typedef struct {
    const uint8_t *bucket;
    uint32_t length;
    uint8_t chunk, distance;
} hm_probe;

typedef struct {
    const uint8_t *bucket;
    uint32_t length, at, mask;
    uint8_t chunk, distance;
} hm_survivor;

typedef struct {
    const uint8_t *row; /* not aligned by itself; read with memcpy */
    uint32_t value, query;
    uint8_t chunk;
} hm_candidate;

#define HM_PROBES 2048
#define HM_SURVIVORS 1024
#define HM_CANDIDATES 256
#define HM_TILE 512

/* One query at one chunk: the two chunks behind it, and its number. 8 bytes, so that eight are one vector. */
typedef struct {
    uint16_t next, third;
    uint32_t query;
} hm_seeker;

/* Scratch of one ring search; module.c allocates it. */
typedef struct {
    hm_probe probes[HM_PROBES];
    hm_survivor survivors[HM_SURVIVORS];
    hm_candidate candidates[HM_CANDIDATES + 32];
    uint32_t tile_masks[HM_TILE + 32];
    hm_seeker tile[HM_TILE + 32];
    uint16_t tile_hits[HM_TILE + 64];
} hm_ring_scratch;

typedef struct {
    const hm_ring *ring;
    hm_ring_limits limits;
    const uint8_t *queries; /* for ring_by_bucket nobody else's: it counts them, then places them */
    size_t nq;
    const uint16_t *masks;       /* all 16-bit values, by number of bits, then value */
    const uint32_t *mask_counts; /* 17: how many have at most that many bits */
    hm_ring_scratch *scratch;
    uint64_t budget; /* work beyond which a search is abandoned, in candidates of the first fragment */
} hm_ring_search;

/* Queries sorted by the value of one chunk, for the search bucket by bucket: module.c allocates, hamming_ring.h fills. */
typedef struct {
    uint32_t *offsets;  /* 65,537 */
    hm_seeker *seekers; /* nq and 8 more */
    int chunk;          /* the chunk that they are sorted by, -1 before the first */
} hm_sorted_queries;

/* --- search by squared Euclidean distance: see euclidean.h */

#define HM_EUCLIDEAN_BLOCK 256 /* codes that are turned into columns at a time */
#define HM_EUCLIDEAN_FEW 6     /* queries: fewer are compared with the codes as they lie */
#define HM_EUCLIDEAN_WIDEST 8191 /* bytes: sums of products fit 32 bits */

typedef struct {
    const uint8_t *codes;
    size_t n, width; /* width in bytes, up to HM_EUCLIDEAN_WIDEST */
    const uint8_t *queries;
    size_t nq;
    uint32_t radius; /* squared, inclusive; at most width x 255 x 255 */
    void *scratch;   /* hm_euclidean_scratch bytes, 64-byte aligned */
} hm_euclidean;

HM_INLINE size_t hm_euclidean_scratch(size_t width, size_t nq) {
    size_t words = (width + 3) / 4, rows = HM_EUCLIDEAN_BLOCK + nq + 8;
    return rows * words * 8 + rows * 4 + width * 2;
}

/* --- exact digests: digests.c */

/* Where each query stands among the sorted values: first and last (exclusive), equal where it is absent. */
typedef struct {
    const uint8_t *values; /* count x width, width at least 8 */
    size_t count, width;
    const uint32_t *table; /* 2^bits + 1, bits from 1 to 31: how many values have leading bits below the index */
    unsigned bits;
    const uint8_t *queries; /* n x width */
    size_t n;
    int64_t *first, *last;
} hm_digest_lookup;

int hm_digests_find(const hm_digest_lookup *job);

#define HM_LONGEST_PATH 65536 /* bytes; a line with a longer one is left to the caller */

/* Lines of text to digests, up to the first line that is none of the common forms: it is left to the caller. */
typedef struct {
    const uint8_t *text;
    size_t size, width; /* width a multiple of 4 */
    uint8_t *out;       /* capacity x width */
    size_t capacity;
    /* in and out */
    size_t at;    /* where the next line starts */
    size_t found; /* digests in `out` */
    size_t lines; /* lines that were passed, whatever they held */
    int paths;    /* whether the first digest came with a path: -1 not known yet, 0 or 1 */
} hm_digest_lines;

void hm_digests_parse(hm_digest_lines *job);

typedef struct {
    const uint8_t *text;
    size_t size;
    const uint64_t *offsets; /* count + 1 */
    size_t count;
} hm_names;

enum { HM_LINES_DONE = 0, HM_LINES_FULL = 1, HM_LINES_ESCAPE = 2 };

/* One line of text for each entry that a query found, one for a query that found none. */
typedef struct {
    const uint8_t *digests;      /* n x width: the queries; width a multiple of 4 */
    const int64_t *first, *last; /* of hm_digests_find */
    size_t n, width;
    const uint32_t *rows; /* row of each of the `count` values */
    size_t count;
    const uint32_t *row_source, *row_category; /* of each of the `nrows` rows: number of a name */
    const uint64_t *ref_offsets;               /* nrows + 1 */
    const uint8_t *ref_text;
    size_t nrows, ref_size;
    hm_names sources, categories;
    int hits_only;
    uint8_t *out;
    size_t capacity;
    /* in and out: the next line is that of entry `position` of query `query` */
    size_t query, position;
    /* out: bytes in `out`, and why it ended: HM_LINES_FULL the next line does not fit, HM_LINES_ESCAPE its reference is
     * not plain text and is left to the caller */
    size_t written;
    int stopped;
} hm_lookup_lines;

int hm_digests_write(hm_lookup_lines *job);

/* --- the table of one instruction set */

struct hm_pixels;

typedef struct {
    const char *name;
    int (*flat)(const hm_flat *job, hm_sink *sink);
    /* One query after the other, first to last (exclusive). fallback[i] is set to 1 for a query that was abandoned. */
    int (*ring_by_query)(const hm_ring_search *job, size_t first, size_t last, uint8_t *fallback, hm_sink *sink);
    /* All queries, bucket by bucket of one chunk, from value first to last (exclusive). `spent` runs on. */
    int (*ring_by_bucket)(const hm_ring_search *job, unsigned chunk, uint32_t first, uint32_t last,
                          hm_sorted_queries *sorted, uint64_t *spent, hm_sink *sink);
    const struct hm_pixels *pixels; /* pixels.h */
    int (*euclidean)(const hm_euclidean *job, hm_sink *sink);
} hm_kernels;

int hm_euclidean_portable(const hm_euclidean *job, hm_sink *sink);
#ifdef HM_X86_64
int hm_euclidean_avx2(const hm_euclidean *job, hm_sink *sink);
int hm_euclidean_avx512(const hm_euclidean *job, hm_sink *sink);
#endif
#ifdef HM_AARCH64
int hm_euclidean_neon(const hm_euclidean *job, hm_sink *sink);
#endif

extern const struct hm_pixels hm_pixels_portable;
#ifdef HM_X86_64
extern const struct hm_pixels hm_pixels_avx2, hm_pixels_avx512;
#endif
#ifdef HM_AARCH64
extern const struct hm_pixels hm_pixels_neon;
#endif

extern const hm_kernels hm_portable;
#ifdef HM_X86_64
extern const hm_kernels hm_avx2, hm_avx512;
#endif
#ifdef HM_AARCH64
extern const hm_kernels hm_neon;
#endif

/* dispatch.c: the implementations of this build, fastest first, and whether this processor runs them. */
typedef struct {
    const hm_kernels *kernels;
    int available;
    const char *reason; /* why not, "" where it is */
} hm_implementation;

#define HM_MAX_IMPLEMENTATIONS 4
size_t hm_implementations(hm_implementation *out);

/* ring_build.c */
size_t hm_ring_build_scratch(size_t n);
int hm_ring_build(const uint8_t *codes, size_t n, size_t width, size_t chunk, uint8_t *table, void *scratch);
int hm_ring_check(const uint32_t *offsets, size_t n);
double hm_ring_skew(const uint32_t *offsets, size_t n);
void hm_ring_limits_of(unsigned chunks, unsigned radius, hm_ring_limits *out);
void hm_ring_masks(uint16_t *masks, uint32_t *mask_counts);

/* hits.c: hits to ordered results. `starts` and `rows` expand positions to rows (NULL: positions are the rows). */
typedef struct {
    const hm_hit *hits;
    size_t count;
} hm_hits;

int hm_hits_count(const hm_hits *parts, size_t nparts, size_t nq, const uint32_t *starts, size_t codes, size_t rows,
                  int64_t *offsets);
/* Distances go to `out_distances`, or to `out_far` where they need more than 16 bits; the other one is NULL. */
int hm_hits_order(const hm_hits *parts, size_t nparts, size_t nq, const uint32_t *starts, const uint32_t *rows,
                  size_t rows_count, const int64_t *offsets, int64_t *cursor, uint64_t *keys, uint64_t *spare,
                  int64_t *out_rows, uint16_t *out_distances, uint32_t *out_far);

#endif
