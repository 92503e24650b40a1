/* Lookup, lines to digests and lookups to lines, which one version does for all implementations: here for processors that
 * the ordinary tests do not run on. */

#include "check.h"

static size_t lookups;

static void check_lookup(uint64_t *state, size_t count, size_t width, unsigned bits) {
    uint8_t *values = need(count * width), *queries = need((count + 40) * width);
    size_t n = count + 40, entries = ((size_t)1 << bits) + 1;
    /* Ascending by construction, with runs of equal ones and of equal leading bytes. */
    fill_random(state, values, count * width);
    for (size_t i = 0; i < count; i++) {
        uint32_t lead = (uint32_t)((i / 3 * 0x100000000u) / (count ? count : 1));
        for (size_t b = 0; b < 4; b++) values[i * width + b] = (uint8_t)(lead >> (24 - 8 * b));
        for (size_t b = 4; b + 1 < width; b++) values[i * width + b] = (uint8_t)(b * 7);
        values[i * width + width - 1] = (uint8_t)(i % 3 / 2);
    }
    memcpy(queries, values, count * width);
    fill_random(state, queries + count * width, 40 * width);
    for (size_t i = 0; i < 20 && count; i++) {
        memcpy(queries + (count + i) * width, values + next_random(state) % count * width, width);
        queries[(count + i) * width + next_random(state) % width] ^= 1;
    }
    uint32_t *table = need(entries * 4);
    for (size_t p = 0; p < entries; p++) {
        table[p] = 0;
        for (size_t i = 0; i < count; i++) {
            uint32_t lead = 0;
            for (size_t b = 0; b < 4; b++) lead = lead << 8 | values[i * width + b];
            table[p] += lead >> (32 - bits) < p;
        }
    }
    int64_t *first = need(n * 8), *last = need(n * 8);
    hm_digest_lookup job = {values, count, width, table, bits, queries, n, first, last};
    check(hm_digests_find(&job) == HM_OK, "lookup of %zu", count);
    for (size_t q = 0; q < n; q++) {
        int64_t low = 0, equal = 0;
        for (size_t i = 0; i < count; i++) {
            int order = memcmp(values + i * width, queries + q * width, width);
            low += order < 0;
            equal += order == 0;
        }
        check(last[q] - first[q] == equal && (!equal || first[q] == low),
              "digest %zu of %zu, width %zu: at %lld to %lld, expected %lld to %lld", q, count, width, (long long)first[q],
              (long long)last[q], (long long)low, (long long)(low + equal));
        lookups++;
    }
    if (count) {
        table[entries - 1] = (uint32_t)count + 1;
        memset(queries, 0xff, width);
        check(hm_digests_find(&job) == HM_DAMAGED, "a table that leads outside the values is believed");
    }
    free(values);
    free(queries);
    free(table);
    free(first);
    free(last);
}

static void check_lines(void) {
    static const char text[] =
        "# comment\n"
        "\n"
        "00112233445566778899aabbccddeeff  a path\n"
        "FFEEDDCCBBAA99887766554433221100 *other\n"
        "\\00000000000000000000000000000001  line\\nend\n"
        "0123456789abcdef0123456789abcdeg  no digest\n";
    static const uint8_t expected[3 * 16] = {
        0x00, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88, 0x99, 0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff,
        0xff, 0xee, 0xdd, 0xcc, 0xbb, 0xaa, 0x99, 0x88, 0x77, 0x66, 0x55, 0x44, 0x33, 0x22, 0x11, 0x00,
        0,    0,    0,    0,    0,    0,    0,    0,    0,    0,    0,    0,    0,    0,    0,    1,
    };
    size_t size = sizeof text - 1;
    uint8_t *exact = need(size), out[4 * 16];
    memcpy(exact, text, size);
    hm_digest_lines job = {.text = exact, .size = size, .width = 16, .out = out, .capacity = 4, .paths = -1};
    hm_digests_parse(&job);
    check(job.found == 3 && job.lines == 5 && job.paths == 1 && !memcmp(out, expected, sizeof expected),
          "lines: %zu digests in %zu lines", job.found, job.lines);
    check(!memcmp(exact + job.at, "0123456789", 10), "lines: it stops at %zu", job.at);
    free(exact);

    int64_t first[3] = {0, 1, 1}, last[3] = {1, 1, 3};
    uint32_t rows[3] = {0, 1, 0}, sources[2] = {0, 0}, categories[2] = {0, 1};
    uint64_t offsets[3] = {0, 2, 3}, source_offsets[2] = {0, 1}, category_offsets[3] = {0, 0, 2};
    hm_lookup_lines write = {.digests = expected, .first = first, .last = last, .n = 3, .width = 16, .rows = rows, .count = 3,
                             .row_source = sources, .row_category = categories, .ref_offsets = offsets,
                             .ref_text = (const uint8_t *)"abc", .nrows = 2, .ref_size = 3,
                             .sources = {(const uint8_t *)"S", 1, source_offsets, 1},
                             .categories = {(const uint8_t *)"K1", 2, category_offsets, 2}};
    static const char wanted[] =
        "00112233445566778899aabbccddeeff\tS\tab\t\n"
        "ffeeddccbbaa99887766554433221100\t-\n"
        "00000000000000000000000000000001\tS\tc\tK1\n"
        "00000000000000000000000000000001\tS\tab\t\n";
    for (size_t room = 48; room <= sizeof wanted; room += 7) {
        uint8_t *lines = need(room);
        char all[sizeof wanted + 1] = {0};
        size_t at = 0;
        write.query = write.position = 0;
        write.out = lines;
        write.capacity = room;
        do {
            check(hm_digests_write(&write) == HM_OK && at + write.written < sizeof wanted, "lines of results");
            check(write.written || write.stopped == HM_LINES_DONE, "a line does not fit in %zu bytes", room);
            memcpy(all + at, lines, write.written);
            at += write.written;
        } while (write.stopped == HM_LINES_FULL);
        check(!strcmp(all, wanted), "lines of results in pieces of %zu bytes: %s", room, all);
        free(lines);
    }
}

size_t check_digests(void) {
    static const size_t widths[] = {8, 9, 16, 20, 31, 32, 64}, counts[] = {0, 1, 2, 31, 32, 33, 200};
    uint64_t state = 2;
    for (size_t w = 0; w < sizeof widths / sizeof *widths; w++) {
        for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) check_lookup(&state, counts[i], widths[w], 1 + (unsigned)i);
    }
    check_lines();
    return lookups;
}
