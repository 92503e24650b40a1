/* hm_digests_find with tables and values that say anything, against a bisection of the bucket; hm_digests_write with
 * places, rows and offsets that say anything: it stays inside its buffers, and pieces give what one call gives. */

#include "fuzz.h"

/* Bytes of the input, zeros behind its end. */
typedef struct {
    const uint8_t *data;
    size_t size;
} input_t;

static uint8_t byte_of(input_t *in) {
    if (!in->size) return 0;
    in->size--;
    return *in->data++;
}

static void *bytes_of(input_t *in, size_t size) {
    uint8_t *out = exact(NULL, size);
    for (size_t i = 0; i < size; i++) out[i] = byte_of(in);
    return out;
}

/* Mostly small numbers, now and then a huge one. */
static uint64_t number_of(input_t *in, uint64_t usual) {
    uint8_t kind = byte_of(in);
    if (kind < 250) return kind % (usual + 1);
    uint64_t value = 0;
    for (int i = 0; i < (kind < 253 ? 4 : 8); i++) value = value << 8 | byte_of(in);
    return value;
}

static void find(input_t *in) {
    static const size_t widths[] = {16, 20, 32, 64, 8, 9, 15, 17, 33};
    size_t width = widths[byte_of(in) % 9], count = byte_of(in) % 24, n = byte_of(in) % 40;
    unsigned bits = 1 + byte_of(in) % 6;
    size_t entries = ((size_t)1 << bits) + 1;
    uint8_t *values = bytes_of(in, count * width), *queries = exact(NULL, n * width);
    uint32_t *table = exact(NULL, entries * 4);
    for (size_t i = 0; i < entries; i++) table[i] = (uint32_t)number_of(in, count);
    for (size_t i = 0; i < n; i++) {
        if (count && byte_of(in) & 1) {
            memcpy(queries + i * width, values + byte_of(in) % count * width, width);
        } else {
            for (size_t b = 0; b < width; b++) queries[i * width + b] = byte_of(in);
        }
    }
    int64_t *first = exact(NULL, n * 8), *last = exact(NULL, n * 8);
    hm_digest_lookup job = {values, count, width, table, bits, queries, n, first, last};
    int status = hm_digests_find(&job), damaged = 0;
    for (size_t q = 0; q < n && count; q++) {
        const uint8_t *query = queries + q * width;
        uint32_t prefix = ((uint32_t)query[0] << 24 | query[1] << 16 | query[2] << 8 | query[3]) >> (32 - bits);
        size_t low = table[prefix], high = table[prefix + 1], end = high;
        if (low > high || high > count) {
            damaged = 1;
            break;
        }
        while (low < high) {
            size_t middle = low + (high - low) / 2;
            if (memcmp(values + middle * width, query, width) < 0) {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        if (status != HM_OK) continue;
        require(first[q] == (int64_t)low && last[q] >= first[q] && last[q] <= (int64_t)end);
        int there = low < end && !memcmp(values + low * width, query, width);
        require(there == (last[q] > first[q]));
    }
    require(status == (damaged ? HM_DAMAGED : HM_OK));
    free(values);
    free(queries);
    free(table);
    free(first);
    free(last);
}

static uint64_t *offsets_of(input_t *in, size_t count, size_t size) {
    uint64_t *offsets = exact(NULL, (count + 1) * 8), at = 0;
    for (size_t i = 0; i <= count; i++) {
        uint8_t kind = byte_of(in);
        offsets[i] = kind > 240 ? number_of(in, size + 1) : (at = at + kind % 5 > size ? size : at + kind % 5);
    }
    return offsets;
}

/* All lines with `room` bytes for each piece; what cannot be written is passed over. Bytes in `out`, or -1 for damage. */
static long all_lines(hm_lookup_lines job, size_t room, char *out, size_t most) {
    size_t at = 0;
    job.out = exact(NULL, room);
    job.capacity = room;
    for (int steps = 0; steps < 4000; steps++) {
        int status = hm_digests_write(&job);
        require(job.written <= room && job.query <= job.n && at + job.written <= most);
        memcpy(out + at, job.out, job.written);
        at += job.written;
        if (status != HM_OK || job.stopped == HM_LINES_DONE) {
            free(job.out);
            return status == HM_OK ? (long)at : -1;
        }
        if (job.stopped == HM_LINES_ESCAPE) {
            job.position++; /* the caller writes this line */
        } else if (!job.written) {
            job.query++; /* no room for even one line */
            job.position = 0;
        }
    }
    abort();
}

static void write_lines(input_t *in) {
    size_t n = byte_of(in) % 12, rows = 1 + byte_of(in) % 9, count = byte_of(in) % 20, width = 4 * (1 + byte_of(in) % 8);
    hm_lookup_lines job = {.n = n, .width = width, .count = count, .nrows = rows, .ref_size = byte_of(in) % 60,
                           .hits_only = byte_of(in) & 1};
    int64_t *first = exact(NULL, n * 8), *last = exact(NULL, n * 8);
    for (size_t i = 0; i < n; i++) {
        first[i] = (int64_t)number_of(in, count);
        last[i] = (int64_t)((uint64_t)first[i] + number_of(in, 3));
    }
    uint32_t *row = exact(NULL, count * 4), *source = exact(NULL, rows * 4), *category = exact(NULL, rows * 4);
    for (size_t i = 0; i < count; i++) row[i] = (uint32_t)number_of(in, rows - 1);
    for (size_t i = 0; i < rows; i++) source[i] = (uint32_t)number_of(in, 1), category[i] = (uint32_t)number_of(in, 2);
    uint64_t *refs = offsets_of(in, rows, job.ref_size), *sources = offsets_of(in, 2, 9), *categories = offsets_of(in, 3, 9);
    job.first = first;
    job.last = last;
    job.rows = row;
    job.row_source = source;
    job.row_category = category;
    job.ref_offsets = refs;
    uint8_t *digests = bytes_of(in, n * width), *text = bytes_of(in, job.ref_size), *names = bytes_of(in, 18);
    for (size_t i = 0; i < job.ref_size; i++) text[i] = text[i] > 200 ? text[i] : 32 + text[i] % 95;
    job.digests = digests;
    job.ref_text = text;
    uint8_t *first_names = exact(names, 9), *second_names = exact(names + 9, 9);
    job.sources = (hm_names){first_names, 9, sources, 2};
    job.categories = (hm_names){second_names, 9, categories, 3};
    static char whole[1 << 16], pieces[1 << 16];
    long a = all_lines(job, sizeof whole, whole, sizeof whole);
    /* In any line: a digest, a source and a category of 9 bytes at most, a reference, three tabs and a line end. */
    long b = all_lines(job, 2 * width + 18 + job.ref_size + 4, pieces, sizeof pieces);
    require(a == b && (a < 0 || !memcmp(whole, pieces, (size_t)a)));
    all_lines(job, byte_of(in) % 40, pieces, sizeof pieces);
    free(first);
    free(last);
    free(row);
    free(source);
    free(category);
    free(refs);
    free(sources);
    free(categories);
    free(digests);
    free(text);
    free(names);
    free(first_names);
    free(second_names);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    input_t in = {data, size};
    if (byte_of(&in) & 1) {
        find(&in);
    } else {
        write_lines(&in);
    }
    return 0;
}
