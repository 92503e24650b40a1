/* The ring index: exact range search that looks at a small part of the codes. Included once by each kernels_*.c.
 *
 * Idea (Qin and Xiao, "Pigeonring: A Principle for Faster Thresholded Similarity Search", VLDB 2018). A code is cut into m
 * chunks of 16 bits, on a ring. Give chunk i a threshold t_i with sum(t_i + 1) = r + 1. Let x_i be the distance in chunk i
 * of two codes within r, and y_i = x_i - (t_i + 1): the y_i sum to at most -1. Start behind the last place where their
 * running sum is largest: from there every running sum around the ring is negative. So there is a chunk i with
 *
 *     x_i <= t_i,   x_i + x_(i+1) <= t_i + t_(i+1) + 1,   x_i + x_(i+1) + x_(i+2) <= t_i + t_(i+1) + t_(i+2) + 2.
 *
 * One table a chunk lists the codes by the value of that chunk. A search visits the buckets within t_i bits of the query's
 * chunk and reads, for every code there, the next chunk (the first fragment), for few of them the one behind it (the second
 * fragment), and for very few the code itself.
 *
 * Layout. Bucket v of chunk c holds the entries offsets[c][v] to offsets[c][v + 1] (exclusive) of that chunk; its bytes
 * start at offsets[c][v] * 8 in the chunk's buckets: all first fragments (uint16), then all second fragments (uint16), then
 * all positions (uint32), ascending. One page holds what a probe of a bucket needs. Offsets were checked when the codes were
 * opened, and are looked at again when they are used: the file may have been written over meanwhile.
 *
 * A pair that several chunks find is reported by the first of them only, which needs no memory of what was reported.
 *
 * Defined before: frag_t, frag_load (32 fragments), frag_le (which of them are within a limit of a value, as 32 bits),
 * frag_pair_le (the same for the sum of two), frag_nonzero (indices of the masks that are not zero) and distance_of. */

#include <string.h>

HM_INLINE uint16_t hm_chunk(const uint8_t *code, unsigned chunk) {
    uint16_t value;
    memcpy(&value, code + 2 * chunk, 2);
    return value;
}

HM_INLINE const uint8_t *hm_bucket(const hm_ring *ring, unsigned chunk, uint32_t start) {
    return ring->buckets[chunk] + (size_t)start * 8;
}

/* Whether `chunk` is the first through which this pair is found. */
static int hm_is_first(const hm_ring *ring, const hm_ring_limits *limits, const uint8_t *code, const uint8_t *query,
                       unsigned chunk) {
    unsigned m = ring->chunks;
    for (unsigned c = 0; c < chunk; c++) {
        int x[3];
        for (unsigned i = 0; i < 3; i++) {
            unsigned at = (c + i) & (m - 1);
            x[i] = (int)hm_popcount64((uint64_t)(uint16_t)(hm_chunk(code, at) ^ hm_chunk(query, at)));
        }
        if (x[0] <= limits->probe[c] && x[0] + x[1] <= limits->pair[c] && x[0] + x[1] + x[2] <= limits->triple[c]) {
            return 0;
        }
    }
    return 1;
}

/* The last step: the whole code. Candidates were prefetched when they were noted. */
static int hm_verify(const hm_ring_search *job, size_t count, hm_sink *sink) {
    const hm_ring *ring = job->ring;
    hm_candidate *candidates = job->scratch->candidates;
    size_t width = ring->width;
    for (size_t i = 0; i < count; i++) {
        memcpy(&candidates[i].value, candidates[i].row, 4);
        if (HM_RARE(candidates[i].value >= ring->n)) return HM_DAMAGED;
        HM_PREFETCH(ring->codes + candidates[i].value * width);
        HM_PREFETCH(job->queries + candidates[i].query * width);
    }
    int status = hm_reserve(sink, count);
    if (status != HM_OK) return status;
    for (size_t i = 0; i < count; i++) {
        const uint8_t *code = ring->codes + candidates[i].value * width;
        const uint8_t *query = job->queries + candidates[i].query * width;
        uint32_t distance = distance_of(code, query, width);
        if (distance > job->limits.radius) continue;
        if (!hm_is_first(ring, &job->limits, code, query, candidates[i].chunk)) continue;
        hm_push(sink, candidates[i].query, candidates[i].value, distance);
    }
    return HM_OK;
}

/* --- one query after the other: for few queries, and where the list is so skewed that each query needs its own limit */

/* The second fragment of every survivor. */
static int hm_survivors(const hm_ring_search *job, uint32_t query, size_t count, size_t *candidates, uint64_t *spent,
                        hm_sink *sink) {
    hm_ring_scratch *scratch = job->scratch;
    const uint8_t *code = job->queries + (size_t)query * job->ring->width;
    unsigned m = job->ring->chunks;
    for (size_t i = 0; i < count; i++) {
        const hm_survivor *s = &scratch->survivors[i];
        const uint8_t *first = s->bucket + (size_t)s->at * 2, *second = first + (size_t)s->length * 2;
        uint16_t next = hm_chunk(code, (s->chunk + 1u) & (m - 1)), third = hm_chunk(code, (s->chunk + 2u) & (m - 1));
        uint32_t mask =
            s->mask & frag_pair_le(frag_load(first), frag_load(second), next, third,
                                   (unsigned)(job->limits.triple[s->chunk] - s->distance));
        while (mask) {
            unsigned lane = HM_LOWEST_BIT(mask);
            mask &= mask - 1;
            hm_candidate *c = &scratch->candidates[(*candidates)++];
            c->row = s->bucket + (size_t)s->length * 4 + ((size_t)s->at + lane) * 4;
            c->query = query;
            c->chunk = s->chunk;
            HM_PREFETCH(c->row);
        }
        if (HM_RARE(*candidates >= HM_CANDIDATES)) {
            /* A survivor is a vector of which all lanes may be candidates, where a list has structure. */
            *spent += 3 * *candidates;
            if (*spent > job->budget) return HM_ABANDONED;
            int status = hm_verify(job, *candidates, sink);
            if (status != HM_OK) return status;
            *candidates = 0;
        }
    }
    return HM_OK;
}

HM_INLINE void hm_prefetch_bucket(const hm_probe *probe) {
    const uint8_t *at = probe->bucket, *end = at + (size_t)probe->length * 2;
    for (at += 64; at < end; at += 64) HM_PREFETCH(at);
}

static int hm_scan_probes(const hm_ring_search *job, uint32_t query, size_t count, size_t *candidates,
                          uint64_t *spent, hm_sink *sink) {
    enum { AHEAD = 12 };
    hm_ring_scratch *scratch = job->scratch;
    const uint8_t *code = job->queries + (size_t)query * job->ring->width;
    unsigned m = job->ring->chunks;
    size_t survivors = 0;
    for (size_t i = 0; i < AHEAD && i < count; i++) hm_prefetch_bucket(&scratch->probes[i]);
    for (size_t i = 0; i < count; i++) {
        if (i + AHEAD < count) hm_prefetch_bucket(&scratch->probes[i + AHEAD]);
        const hm_probe *probe = &scratch->probes[i];
        uint16_t next = hm_chunk(code, (probe->chunk + 1u) & (m - 1));
        unsigned limit = (unsigned)(job->limits.pair[probe->chunk] - probe->distance);
        for (uint32_t at = 0; at < probe->length; at += 32) {
            uint32_t left = probe->length - at;
            uint32_t mask = frag_le(frag_load(probe->bucket + (size_t)at * 2), next, limit);
            if (left < 32) mask &= (1u << left) - 1;
            if (HM_OFTEN(!mask)) continue;
            hm_survivor *s = &scratch->survivors[survivors++];
            s->bucket = probe->bucket;
            s->length = probe->length;
            s->at = at;
            s->mask = mask;
            s->chunk = probe->chunk;
            s->distance = probe->distance;
            HM_PREFETCH(probe->bucket + (size_t)probe->length * 2 + (size_t)at * 2);
            if (HM_RARE(survivors == HM_SURVIVORS)) {
                *spent += survivors;
                if (*spent > job->budget) return HM_ABANDONED;
                int status = hm_survivors(job, query, survivors, candidates, spent, sink);
                if (status != HM_OK) return status;
                survivors = 0;
            }
        }
    }
    *spent += survivors;
    return hm_survivors(job, query, survivors, candidates, spent, sink);
}

/* Work of one query, in the unit of the budget (a survivor): reading 32 fragments costs about a quarter of it, a candidate
 * three times as much. */
static int hm_ring_query(const hm_ring_search *job, uint32_t query, hm_sink *sink) {
    const hm_ring *ring = job->ring;
    const uint8_t *code = job->queries + (size_t)query * ring->width;
    hm_probe *probes = job->scratch->probes;
    size_t count = 0, candidates = 0;
    uint64_t spent = 0;
    for (unsigned c = 0; c < ring->chunks; c++) {
        if (job->limits.probe[c] < 0) continue;
        const uint32_t *offsets = ring->offsets[c];
        uint16_t value = hm_chunk(code, c);
        HM_PREFETCH(&offsets[value]);
        if (job->limits.probe[c] >= 1) {
            for (unsigned bit = 4; bit < 16; bit++) HM_PREFETCH(&offsets[value ^ 1u << bit]);
        }
    }
    for (unsigned c = 0; c < ring->chunks; c++) {
        if (job->limits.probe[c] < 0) continue;
        const uint32_t *offsets = ring->offsets[c];
        uint16_t value = hm_chunk(code, c);
        uint32_t from = 0;
        for (int distance = 0; distance <= job->limits.probe[c] && distance <= 16; distance++) {
            uint32_t to = job->mask_counts[distance];
            if (distance > job->limits.pair[c]) break;
            for (; from < to; from++) {
                uint32_t bucket = value ^ job->masks[from];
                uint32_t start = offsets[bucket], end = offsets[bucket + 1];
                if (HM_RARE(start > end || end > ring->n)) return HM_DAMAGED;
                hm_probe *probe = &probes[count];
                probe->bucket = hm_bucket(ring, c, start);
                probe->length = end - start;
                probe->chunk = (uint8_t)c;
                probe->distance = (uint8_t)distance;
                HM_PREFETCH(probe->bucket);
                count += start != end;
                spent += (end - start) >> 7;
                if (HM_RARE(count == HM_PROBES)) {
                    if (spent > job->budget) return HM_ABANDONED;
                    int status = hm_scan_probes(job, query, count, &candidates, &spent, sink);
                    if (status != HM_OK) return status;
                    count = 0;
                }
            }
        }
    }
    if (spent > job->budget) return HM_ABANDONED;
    int status = hm_scan_probes(job, query, count, &candidates, &spent, sink);
    if (status != HM_OK) return status;
    return hm_verify(job, candidates, sink);
}

static int hm_ring_by_query(const hm_ring_search *job, size_t first, size_t last, uint8_t *fallback, hm_sink *sink) {
    for (size_t q = first; q < last; q++) {
        size_t before = sink->count;
        int status = hm_ring_query(job, (uint32_t)q, sink);
        fallback[q] = status == HM_ABANDONED;
        if (status == HM_ABANDONED) {
            sink->count = before;
        } else if (status != HM_OK) {
            return status;
        }
    }
    return HM_OK;
}

/* --- bucket by bucket: for many queries. A bucket's fragments are read once, for all queries that probe it. */

/* Queries by the value of `chunk`, in order of their number within a value. */
static void hm_sort_queries(const hm_ring_search *job, unsigned chunk, hm_sorted_queries *sorted) {
    size_t width = job->ring->width;
    unsigned m = job->ring->chunks;
    memset(sorted->offsets, 0, (HM_CHUNK_VALUES + 1) * sizeof *sorted->offsets);
    for (size_t q = 0; q < job->nq; q++) sorted->offsets[hm_chunk(job->queries + q * width, chunk) + 1]++;
    for (size_t v = 0; v < HM_CHUNK_VALUES; v++) sorted->offsets[v + 1] += sorted->offsets[v];
    /* Placing moves every start to the next one; they are moved back afterwards. */
    for (size_t q = 0; q < job->nq; q++) {
        const uint8_t *code = job->queries + q * width;
        uint32_t at = sorted->offsets[hm_chunk(code, chunk)]++;
        hm_seeker seeker = {hm_chunk(code, (chunk + 1) & (m - 1)), hm_chunk(code, (chunk + 2) & (m - 1)), (uint32_t)q};
        sorted->seekers[at] = seeker;
    }
    memmove(sorted->offsets + 1, sorted->offsets, HM_CHUNK_VALUES * sizeof *sorted->offsets);
    sorted->offsets[0] = 0;
    sorted->chunk = (int)chunk;
}

/* One bucket against the queries of the tile; those from bounds[d] to bounds[d + 1] are d bits away from the bucket. */
static int hm_tile(const hm_ring_search *job, unsigned chunk, const uint8_t *bucket, uint32_t length,
                   const uint32_t *bounds, int distances, size_t *candidates, uint64_t *spent, hm_sink *sink) {
    hm_ring_scratch *scratch = job->scratch;
    const hm_seeker *tile = scratch->tile;
    uint32_t *masks = scratch->tile_masks;
    uint16_t *found = scratch->tile_hits;
    size_t queries = bounds[distances];
    uint64_t survivors = 0;
    for (uint32_t at = 0; at < length; at += 32) {
        uint32_t valid = length - at < 32 ? (1u << (length - at)) - 1 : ~0u;
        const uint8_t *first = bucket + (size_t)at * 2, *second = first + (size_t)length * 2;
        frag_t fragments = frag_load(first);
        for (int d = 0; d < distances; d++) {
            frag_row(fragments, tile + bounds[d], bounds[d + 1] - bounds[d], (unsigned)(job->limits.pair[chunk] - d),
                     masks + bounds[d]);
        }
        size_t count = frag_nonzero(masks, queries, valid, found);
        survivors += count;
        for (size_t i = 0; i < count; i++) {
            unsigned k = found[i];
            int d = 0;
            while (k >= bounds[d + 1]) d++;
            uint32_t mask = masks[k] & valid &
                            frag_pair_le(fragments, frag_load(second), tile[k].next, tile[k].third,
                                         (unsigned)(job->limits.triple[chunk] - d));
            while (HM_RARE(mask)) {
                unsigned lane = HM_LOWEST_BIT(mask);
                mask &= mask - 1;
                hm_candidate *c = &scratch->candidates[(*candidates)++];
                c->row = bucket + (size_t)length * 4 + ((size_t)at + lane) * 4;
                c->query = tile[k].query;
                c->chunk = (uint8_t)chunk;
            }
            if (HM_RARE(*candidates >= HM_CANDIDATES)) {
                *spent += 3 * *candidates; /* as query by query */
                if (*spent > job->budget) return HM_ABANDONED;
                int status = hm_verify(job, *candidates, sink);
                if (status != HM_OK) return status;
                *candidates = 0;
            }
        }
    }
    *spent += survivors;
    return HM_OK;
}

static int hm_ring_by_bucket(const hm_ring_search *job, unsigned chunk, uint32_t first, uint32_t last,
                             hm_sorted_queries *sorted, uint64_t *spent, hm_sink *sink) {
    const hm_ring *ring = job->ring;
    hm_ring_scratch *scratch = job->scratch;
    const uint32_t *offsets = ring->offsets[chunk];
    int most = job->limits.probe[chunk] < 16 ? job->limits.probe[chunk] : 16;
    size_t candidates = 0;
    if (most > job->limits.pair[chunk]) most = job->limits.pair[chunk];
    if (most < 0) return HM_OK;
    if (sorted->chunk != (int)chunk) hm_sort_queries(job, chunk, sorted);
    for (uint32_t value = first; value < last; value++) {
        uint32_t start = offsets[value], end = offsets[value + 1], length = end - start;
        if (!length) continue;
        if (HM_RARE(start > end || end > ring->n)) return HM_DAMAGED;
        const uint8_t *bucket = hm_bucket(ring, chunk, start);
        uint32_t bounds[18] = {0}, filled = 0;
        for (int d = 0; d <= most; d++) {
            for (uint32_t i = d ? job->mask_counts[d - 1] : 0; i < job->mask_counts[d]; i++) {
                uint32_t near = value ^ job->masks[i];
                uint32_t from = sorted->offsets[near], count = sorted->offsets[near + 1] - from;
                while (HM_RARE(filled + count > HM_TILE)) {
                    uint32_t part = HM_TILE - filled;
                    memcpy(scratch->tile + filled, sorted->seekers + from, part * sizeof *sorted->seekers);
                    bounds[d + 1] = HM_TILE;
                    int status = hm_tile(job, chunk, bucket, length, bounds, d + 1, &candidates, spent, sink);
                    if (status != HM_OK) return status;
                    if (*spent > job->budget) return HM_ABANDONED;
                    memset(bounds, 0, sizeof bounds);
                    filled = 0;
                    from += part;
                    count -= part;
                }
                /* Eight at once, whatever their number: most values have one or two queries, and a loop over them would
                 * be a mispredicted branch each. What is written too much is overwritten by the next. */
                memcpy(scratch->tile + filled, sorted->seekers + from, 8 * sizeof *sorted->seekers);
                if (HM_RARE(count > 8)) {
                    memcpy(scratch->tile + filled, sorted->seekers + from, count * sizeof *sorted->seekers);
                }
                filled += count;
            }
            bounds[d + 1] = filled;
        }
        if (!filled) continue;
        int status = hm_tile(job, chunk, bucket, length, bounds, most + 1, &candidates, spent, sink);
        if (status != HM_OK) return status;
        if (HM_RARE(*spent > job->budget)) return HM_ABANDONED;
    }
    return hm_verify(job, candidates, sink);
}
