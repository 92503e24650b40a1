/* hm_digests_parse: lines of any bytes, against a parser that reads one character after the other. */

#include "fuzz.h"

static int hex_of(uint8_t c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* One line: 1 a digest, 0 to pass over, -1 not common. `length` is without the line end. */
static int one_line(const uint8_t *line, size_t length, size_t width, uint8_t *digest, int *path) {
    *path = 0;
    if (!length || *line == '#') return 0;
    size_t at = *line == '\\', escaped = at;
    if (length - at < 2 * width) return -1;
    for (size_t i = 0; i < width; i++, at += 2) {
        if (hex_of(line[at]) < 0 || hex_of(line[at + 1]) < 0) return -1;
        digest[i] = (uint8_t)(hex_of(line[at]) << 4 | hex_of(line[at + 1]));
    }
    if (at == length) return escaped ? -1 : 1;
    if (line[at++] != ' ' || at == length) return -1;
    if (line[at] == ' ' || line[at] == '*') {
        at++;
    } else if (line[at] == '(') {
        return -1;
    }
    if (at == length || length - at > HM_LONGEST_PATH) return -1;
    for (; at < length; at++) {
        if (line[at] < 0x20 && line[at] != '\t') return -1;
        if (escaped && line[at] == '\\') {
            if (++at == length || (line[at] != 'n' && line[at] != 'r' && line[at] != '\\')) return -1;
        }
    }
    *path = 1;
    return 1;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const size_t widths[] = {16, 20, 32, 64, 4, 8};
    if (size < 3) return 0;
    size_t width = widths[data[0] % 6], capacity = data[1] % 9, found = data[2] % (capacity + 1);
    int paths = data[0] / 6 % 3 - 1;
    size -= 3;
    uint8_t *text = exact(data + 3, size), *out = exact(NULL, capacity * width), *expected = exact(NULL, capacity * width);
    hm_digest_lines job = {text, size, width, out, capacity, 0, found, 0, paths};
    hm_digests_parse(&job);

    size_t at = 0, lines = 0, digests = found;
    while (at < size) {
        uint8_t digest[64];
        const uint8_t *end = memchr(text + at, '\n', size - at);
        size_t length = end ? (size_t)(end - text) - at : size - at;
        int path, kind = one_line(text + at, length, width, digest, &path);
        if (kind < 0 || (kind > 0 && (digests == capacity || (!path && paths == 1)))) break;
        if (kind > 0) {
            memcpy(expected + digests++ * width, digest, width);
            if (paths < 0) paths = path;
        }
        lines++;
        at += length + (end ? 1 : 0);
    }
    require(job.at == at && job.found == digests && job.lines == lines && job.paths == paths);
    require(!memcmp(out + found * width, expected + found * width, (digests - found) * width));
    free(text);
    free(out);
    free(expected);
    return 0;
}
