/* Exact digests: lines of text to digests, batch lookup in sorted digests, lookups to lines of text.
 *
 * One version serves every implementation. A lookup waits for memory and not for arithmetic: what counts is that the
 * loads of many queries are under way at once, which prefetching brings about on any processor. */

#include <stdlib.h> /* MSVC's _byteswap */
#include <string.h>

#include "kernels.h"

#if defined(_MSC_VER) && !defined(__clang__)
#define SWAP32(x) _byteswap_ulong(x)
#define SWAP64(x) _byteswap_uint64(x)
#else
#define SWAP32(x) __builtin_bswap32(x)
#define SWAP64(x) __builtin_bswap64(x)
#endif

HM_INLINE uint32_t big32(const uint8_t *p) {
    uint32_t x;
    memcpy(&x, p, sizeof x);
    return SWAP32(x);
}

HM_INLINE uint64_t big64(const uint8_t *p) {
    uint64_t x;
    memcpy(&x, p, sizeof x);
    return SWAP64(x);
}

/* --- lookup -------------------------------------------------------------------------------------------------------- */

/* Queries between the load of a table entry, of a bucket, and the search in it. */
#define AHEAD 16

/* The sign of a - b as bytes; at least 8 of them. The first 8 nearly always decide. What is no whole word at the end is
 * compared with bytes before it, which are equal by then. (A call of memcmp took a tenth of a lookup.) */
HM_INLINE int compare(const uint8_t *a, const uint8_t *b, size_t width) {
    for (size_t at = 0; at < width; at = at + 16 > width && at + 8 < width ? width - 8 : at + 8) {
        uint64_t x = big64(a + at), y = big64(b + at);
        if (x != y) return x < y ? -1 : 1;
    }
    return 0;
}

/* The same midpoints as the NumPy version, so that even values that are not sorted give the same answer. */
HM_INLINE void find(const uint8_t *values, size_t width, const uint8_t *query, size_t low, size_t high, int64_t *first,
                    int64_t *last) {
    size_t end = high;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (compare(values + middle * width, query, width) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    *first = *last = (int64_t)low;
    if (low == end || compare(values + low * width, query, width) != 0) return;
    high = end;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (compare(values + middle * width, query, width) <= 0)
            low = middle + 1;
        else
            high = middle;
    }
    *last = (int64_t)low;
}

/* `width` is a constant where this is inlined. */
HM_INLINE int lookup(const hm_digest_lookup *job, size_t width) {
    const uint8_t *values = job->values, *queries = job->queries;
    size_t n = job->n, k = job->count;
    unsigned shift = 32 - job->bits;
    uint32_t lows[2 * AHEAD], highs[2 * AHEAD]; /* of the queries under way, by their number modulo the size */
    for (size_t i = 0; i < n + 2 * AHEAD; i++) {
        if (i < n) HM_PREFETCH(&job->table[big32(queries + i * width) >> shift]);
        if (i >= AHEAD && i - AHEAD < n) {
            size_t q = i - AHEAD;
            uint32_t prefix = big32(queries + q * width) >> shift;
            uint32_t low = job->table[prefix], high = job->table[prefix + 1];
            /* The table comes from a file. Copies were checked and are used from here on, whatever the file does. */
            if (HM_RARE(low > high || high > k)) return HM_DAMAGED;
            lows[q % (2 * AHEAD)] = low;
            highs[q % (2 * AHEAD)] = high;
            if (low < high) {
                HM_PREFETCH(values + low * width);
                HM_PREFETCH(values + high * width - 1);
            }
        }
        if (i >= 2 * AHEAD) {
            size_t q = i - 2 * AHEAD;
            find(values, width, queries + q * width, lows[q % (2 * AHEAD)], highs[q % (2 * AHEAD)], &job->first[q],
                 &job->last[q]);
        }
    }
    return HM_OK;
}

int hm_digests_find(const hm_digest_lookup *job) {
    if (!job->count) {
        memset(job->first, 0, job->n * sizeof *job->first);
        memset(job->last, 0, job->n * sizeof *job->last);
        return HM_OK;
    }
    switch (job->width) {
    case 16: return lookup(job, 16);
    case 20: return lookup(job, 20);
    case 32: return lookup(job, 32);
    case 64: return lookup(job, 64);
    default: return lookup(job, job->width);
    }
}

/* --- lines to digests ---------------------------------------------------------------------------------------------- */

#define EVERY(byte) (0x0101010101010101u * (uint64_t)(byte))

/* Eight hexadecimal digits to four bytes; 0 where one of them is none. Sums never carry into the next byte, as all bytes
 * are under 0x80. */
HM_INLINE int unhex8(const uint8_t *text, uint8_t *out) {
    uint64_t x;
    memcpy(&x, text, sizeof x);
    uint64_t lower = x | EVERY(0x20);
    uint64_t low7 = x & EVERY(0x7f), lower7 = lower & EVERY(0x7f);
    uint64_t digit = (low7 + EVERY(0x80 - '0')) & ~(low7 + EVERY(0x80 - '9' - 1));
    uint64_t letter = (lower7 + EVERY(0x80 - 'a')) & ~(lower7 + EVERY(0x80 - 'f' - 1));
    if (HM_RARE(((digit | letter) & ~x & EVERY(0x80)) != EVERY(0x80))) return 0;
    uint64_t nibbles = (x & EVERY(0x0f)) + ((letter & EVERY(0x80)) >> 7) * 9;
    uint64_t pairs = (nibbles << 4 | nibbles >> 8) & 0x00ff00ff00ff00ffu;
    pairs = (pairs | pairs >> 8) & 0x0000ffff0000ffffu;
    uint32_t four = (uint32_t)(pairs | pairs >> 16);
    memcpy(out, &four, sizeof four);
    return 1;
}

/* Whether a path may stand as it is: no control character but the tab, and where it is escaped, known escapes only. */
HM_INLINE int plain_path(const uint8_t *path, size_t length, int escaped) {
    unsigned bad = 0;
    for (size_t i = 0; i < length; i++) bad |= (path[i] < 0x20) & (path[i] != '\t');
    if (bad) return 0;
    if (!escaped) return 1;
    for (size_t i = 0; i < length; i++) {
        if (path[i] != '\\') continue;
        if (++i == length || (path[i] != 'n' && path[i] != 'r' && path[i] != '\\')) return 0;
    }
    return 1;
}

void hm_digests_parse(hm_digest_lines *job) {
    const uint8_t *text = job->text;
    size_t size = job->size, at = job->at, digits = 2 * job->width;
    while (at < size) {
        const uint8_t *line = text + at;
        if (*line == '\n' || *line == '#') {
            const uint8_t *end = memchr(line, '\n', size - at);
            at = end ? (size_t)(end - text) + 1 : size;
            job->lines++;
            continue;
        }
        if (job->found == job->capacity) break;
        int escaped = *line == '\\';
        const uint8_t *digest = line + escaped;
        size_t left = size - at - (size_t)escaped;
        if (left < digits) break;
        uint8_t *out = job->out + job->found * job->width;
        size_t done = 0;
        while (done < digits && unhex8(digest + done, out + done / 2)) done += 8;
        if (done < digits) break;
        const uint8_t *path = digest + digits;
        left -= digits;
        if (!left || *path == '\n') {
            if (escaped || job->paths == 1) break;
            job->paths = 0;
            at = (size_t)(path - text) + (left ? 1 : 0);
        } else {
            if (*path != ' ' || left < 2) break;
            /* "digest  path", "digest *path" and "digest path"; "digest (path)..." may be a name and not a digest. */
            size_t mark = path[1] == ' ' || path[1] == '*' ? 2 : 1;
            if (mark == 1 && path[1] == '(') break;
            path += mark;
            left -= mark;
            const uint8_t *end = left ? memchr(path, '\n', left) : NULL;
            size_t length = end ? (size_t)(end - path) : left;
            if (!length || length > HM_LONGEST_PATH || !plain_path(path, length, escaped)) break;
            if (job->paths < 0) job->paths = 1;
            at = (size_t)(path - text) + length + (end ? 1 : 0);
        }
        job->found++;
        job->lines++;
    }
    job->at = at;
}

/* --- lookups to lines ---------------------------------------------------------------------------------------------- */

/* Four bytes to eight digits at a time; the width is a multiple of 4. */
HM_INLINE uint8_t *hex(uint8_t *out, const uint8_t *bytes, size_t width) {
    for (size_t i = 0; i < width; i += 4, out += 8) {
        uint32_t four;
        memcpy(&four, bytes + i, sizeof four);
        uint64_t x = four;
        x = (x | x << 16) & 0x0000ffff0000ffffu;
        x = (x | x << 8) & 0x00ff00ff00ff00ffu;
        x = (x >> 4 & EVERY(0x0f)) | (x & 0x000f000f000f000fu) << 8; /* the high nibble comes first */
        uint64_t letters = (x + EVERY(6)) >> 4 & EVERY(1);
        x += EVERY('0') + letters * ('a' - '9' - 1);
        memcpy(out, &x, sizeof x);
    }
    return out;
}

/* Printable ASCII without the backslash: what stands for itself. Other texts are escaped by the caller. */
HM_INLINE int plain_text(const uint8_t *text, size_t length) {
    unsigned bad = 0;
    for (size_t i = 0; i < length; i++) bad |= ((uint8_t)(text[i] - 0x20) > 0x5e) | (text[i] == '\\');
    return !bad;
}

HM_INLINE int name_of(const hm_names *names, uint32_t number, const uint8_t **text, size_t *length) {
    if (number >= names->count) return 0;
    uint64_t start = names->offsets[number], end = names->offsets[number + 1];
    if (start > end || end > names->size) return 0;
    *text = names->text + start;
    *length = (size_t)(end - start);
    return 1;
}

/* Load what query q will need; every value is checked again when it is used. */
HM_INLINE void fetch_row(const hm_lookup_lines *job, size_t q) {
    if (q < job->n && job->first[q] < job->last[q] && (uint64_t)job->first[q] < job->count)
        HM_PREFETCH(&job->rows[job->first[q]]);
}

HM_INLINE void fetch_facts(const hm_lookup_lines *job, size_t q) {
    if (q >= job->n || job->first[q] >= job->last[q] || (uint64_t)job->first[q] >= job->count) return;
    uint32_t row = job->rows[job->first[q]];
    if (row >= job->nrows) return;
    HM_PREFETCH(&job->row_source[row]);
    HM_PREFETCH(&job->row_category[row]);
    HM_PREFETCH(&job->ref_offsets[row]);
}

HM_INLINE void fetch_text(const hm_lookup_lines *job, size_t q) {
    if (q >= job->n || job->first[q] >= job->last[q] || (uint64_t)job->first[q] >= job->count) return;
    uint32_t row = job->rows[job->first[q]];
    if (row >= job->nrows) return;
    uint64_t start = job->ref_offsets[row];
    if (start < job->ref_size) HM_PREFETCH(job->ref_text + start);
}

int hm_digests_write(hm_lookup_lines *job) {
    size_t width = job->width;
    uint8_t *out = job->out, *end = job->out + job->capacity;
    size_t q = job->query, at = job->position;
    int status = HM_OK;
    job->stopped = HM_LINES_DONE;
    for (; q < job->n; q++, at = 0) {
        fetch_row(job, q + 3 * AHEAD);
        fetch_facts(job, q + 2 * AHEAD);
        fetch_text(job, q + AHEAD);
        int64_t first = job->first[q], last = job->last[q];
        if (HM_RARE(first < 0 || first > last || (uint64_t)last > job->count)) {
            status = HM_DAMAGED;
            goto out;
        }
        if (first == last) {
            if (job->hits_only) continue;
            if ((size_t)(end - out) < 2 * width + 3) goto full;
            out = hex(out, job->digests + q * width, width);
            memcpy(out, "\t-\n", 3);
            out += 3;
            continue;
        }
        for (; at < (size_t)(last - first); at++) {
            uint32_t row = job->rows[(size_t)first + at];
            const uint8_t *source, *category;
            size_t source_length, category_length;
            if (HM_RARE(row >= job->nrows || !name_of(&job->sources, job->row_source[row], &source, &source_length) ||
                        !name_of(&job->categories, job->row_category[row], &category, &category_length))) {
                status = HM_DAMAGED;
                goto out;
            }
            uint64_t start = job->ref_offsets[row], stop = job->ref_offsets[row + 1];
            if (HM_RARE(start > stop || stop > job->ref_size)) {
                status = HM_DAMAGED;
                goto out;
            }
            size_t length = (size_t)(stop - start), left = (size_t)(end - out);
            if (!plain_text(job->ref_text + start, length)) {
                job->stopped = HM_LINES_ESCAPE;
                goto out;
            }
            /* Each length is at most what one buffer holds, so the sum does not wrap. */
            if (2 * width + source_length + length + category_length + 4 > left) goto full;
            out = hex(out, job->digests + q * width, width);
            *out++ = '\t';
            memcpy(out, source, source_length);
            out += source_length;
            *out++ = '\t';
            memcpy(out, job->ref_text + start, length);
            out += length;
            *out++ = '\t';
            memcpy(out, category, category_length);
            out += category_length;
            *out++ = '\n';
        }
    }
    goto out;
full:
    job->stopped = HM_LINES_FULL;
out:
    job->query = q;
    job->position = at;
    job->written = (size_t)(out - job->out);
    return status;
}
