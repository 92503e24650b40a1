/* Checks the published test vectors without the library: own JSON reader, base64, inflate, digests, PDQ, resampling,
 * 64-bit hashes and searches, each the plainest way. Nothing of hashmatch is linked, so that this shows what somebody who
 * has nothing but testvectors/ can do with it. C11, its library and nothing else.
 *
 *     vectors FOLDER
 *
 * One line for every file of vectors: how many were checked, how many were left out and why. 0 where everything agrees;
 * 1 where anything differs, where a file is missing or no vectors of it could be checked, or where it is not understood. */

#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { VERSION = 2, MAX_DEPTH = 64, MAX_SIDE = 1 << 14 };

static const double PI = 3.14159265358979323846;

/* ------------------------------------------------------------------ errors, and memory that is given back at the end */

static const char *file_name = "", *vector_id = "";
static size_t differences;

static void said(const char *kind, const char *format, va_list arguments) {
    fflush(stdout);
    fprintf(stderr, "%s: %s%s%s: ", kind, file_name, *vector_id ? ": " : "", vector_id);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
}

/* What makes all further reading pointless. */
static _Noreturn void fail(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    said("error", format, arguments);
    va_end(arguments);
    exit(1);
}

static void differs(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    said("difference", format, arguments);
    va_end(arguments);
    differences++;
}

typedef struct block {
    struct block *next;
    max_align_t bytes[];
} block;

static block *blocks;

/* Zeros. */
static void *need(size_t count, size_t size) {
    if (size && count > (SIZE_MAX / 2 - sizeof(block)) / size) fail("too much memory is asked for");
    block *made = calloc(1, sizeof(block) + count * size);
    if (!made) fail("no memory for %zu bytes", count * size);
    made->next = blocks;
    blocks = made;
    return made->bytes;
}

static void give_back(void) {
    while (blocks) {
        block *next = blocks->next;
        free(blocks);
        blocks = next;
    }
}

typedef struct {
    uint8_t *at;
    size_t size;
} bytes;

static const char *folder;

/* A file below the folder, with a zero behind it. */
static bytes read_file(const char *path) {
    size_t length = strlen(folder) + strlen(path) + 2, room = 1 << 16;
    char *whole = need(length, 1);
    snprintf(whole, length, "%s/%s", folder, path);
    FILE *file = fopen(whole, "rb");
    if (!file) fail("%s cannot be opened", path);
    bytes found = {need(room + 1, 1), 0};
    for (;;) {
        size_t got = fread(found.at + found.size, 1, room - found.size, file);
        found.size += got;
        if (!got) break;
        if (found.size == room) {
            uint8_t *more = need(2 * room + 1, 1);
            memcpy(more, found.at, room);
            found.at = more;
            room *= 2;
        }
    }
    if (ferror(file)) fail("%s cannot be read", path);
    fclose(file);
    return found;
}

/* -------------------------------------------------------------------------------------------------- JSON (RFC 8259) */

typedef enum { JSON_NULL, JSON_FALSE, JSON_TRUE, JSON_NUMBER, JSON_TEXT, JSON_LIST, JSON_OBJECT } json_kind;

typedef struct json {
    json_kind kind;
    double number;
    const char *text, *key; /* UTF-8, with a zero behind it */
    struct json *first, *next;
    size_t count; /* members, or bytes of the text */
} json;

static const char *cursor, *text_end;

static void skip_space(void) {
    while (cursor < text_end && strchr(" \t\r\n", *cursor) && *cursor) cursor++;
}

static bool take(char wanted) {
    skip_space();
    if (cursor == text_end || *cursor != wanted) return false;
    cursor++;
    return true;
}

static unsigned hex_digit(int c) {
    if (c >= '0' && c <= '9') return (unsigned)(c - '0');
    if (c >= 'a' && c <= 'f') return (unsigned)(c - 'a' + 10);
    if (c >= 'A' && c <= 'F') return (unsigned)(c - 'A' + 10);
    return 16;
}

static uint32_t read_escape(void) {
    uint32_t unit = 0;
    for (int k = 0; k < 4; k++) {
        unsigned digit = cursor < text_end ? hex_digit(*cursor++) : 16;
        if (digit > 15) fail("no JSON: \\u without four hexadecimal digits");
        unit = unit << 4 | digit;
    }
    return unit;
}

static char *put_utf8(char *out, uint32_t c) {
    if (c < 0x80) {
        *out++ = (char)c;
    } else if (c < 0x800) {
        *out++ = (char)(0xc0 | c >> 6);
        *out++ = (char)(0x80 | (c & 63));
    } else if (c < 0x10000) {
        *out++ = (char)(0xe0 | c >> 12);
        *out++ = (char)(0x80 | (c >> 6 & 63));
        *out++ = (char)(0x80 | (c & 63));
    } else {
        *out++ = (char)(0xf0 | c >> 18);
        *out++ = (char)(0x80 | (c >> 12 & 63));
        *out++ = (char)(0x80 | (c >> 6 & 63));
        *out++ = (char)(0x80 | (c & 63));
    }
    return out;
}

/* What follows the opening quote. */
static char *read_text(size_t *size) {
    const char *end = cursor;
    while (end < text_end && *end != '"') end += *end == '\\' ? 2 : 1;
    if (end >= text_end) fail("no JSON: a text does not end");
    char *start = need((size_t)(end - cursor) + 1, 1), *out = start; /* no escape is shorter than what it stands for */
    while (cursor < end) {
        char c = *cursor++;
        if ((unsigned char)c < 0x20) fail("no JSON: a control character in a text");
        if (c != '\\') {
            *out++ = c;
            continue;
        }
        c = *cursor++;
        const char *at = strchr("\"\\/bfnrt", c);
        if (c && at) {
            *out++ = "\"\\/\b\f\n\r\t"[at - "\"\\/bfnrt"];
        } else if (c == 'u') {
            uint32_t unit = read_escape();
            if (unit >= 0xd800 && unit < 0xdc00 && cursor + 1 < end && cursor[0] == '\\' && cursor[1] == 'u') {
                cursor += 2;
                uint32_t low = read_escape();
                if (low < 0xdc00 || low > 0xdfff) fail("no JSON: half of a surrogate pair");
                unit = 0x10000 + ((unit - 0xd800) << 10) + (low - 0xdc00);
            } else if (unit >= 0xd800 && unit < 0xe000) {
                fail("no JSON: half of a surrogate pair");
            }
            out = put_utf8(out, unit);
        } else {
            fail("no JSON: an unknown escape");
        }
    }
    cursor = end + 1;
    *size = (size_t)(out - start);
    return start;
}

static json *read_value(int depth) {
    static const char *const words[] = {"null", "false", "true"};
    json *value = need(1, sizeof *value);
    if (depth > MAX_DEPTH) fail("no JSON: nested deeper than %d", MAX_DEPTH);
    skip_space();
    for (int k = 0; k < 3; k++) {
        size_t length = strlen(words[k]);
        if ((size_t)(text_end - cursor) >= length && !memcmp(cursor, words[k], length)) {
            cursor += length;
            value->kind = (json_kind)(JSON_NULL + k);
            return value;
        }
    }
    if (take('"')) {
        value->kind = JSON_TEXT;
        value->text = read_text(&value->count);
    } else if (take('{') || take('[')) {
        bool object = cursor[-1] == '{';
        json **last = &value->first;
        value->kind = object ? JSON_OBJECT : JSON_LIST;
        if (take(object ? '}' : ']')) return value;
        do {
            char *key = NULL;
            size_t ignored;
            if (object) {
                if (!take('"')) fail("no JSON: a key is missing");
                key = read_text(&ignored);
                for (json *other = value->first; other; other = other->next)
                    if (!strcmp(other->key, key)) fail("no JSON: the key %s stands twice", key);
                if (!take(':')) fail("no JSON: a colon is missing");
            }
            *last = read_value(depth + 1);
            (*last)->key = key;
            last = &(*last)->next;
            value->count++;
        } while (take(','));
        if (!take(object ? '}' : ']')) fail("no JSON: a bracket is missing");
    } else {
        if (cursor == text_end || !strchr("-0123456789", *cursor)) fail("no JSON: a value is missing");
        char *end;
        value->kind = JSON_NUMBER;
        value->number = strtod(cursor, &end);
        if (end > text_end || end == cursor || !isfinite(value->number)) fail("no JSON: a number is malformed");
        cursor = end;
    }
    return value;
}

static json *find(const json *object, const char *key) {
    for (json *member = object->kind == JSON_OBJECT ? object->first : NULL; member; member = member->next)
        if (!strcmp(member->key, key)) return member;
    return NULL;
}

static json *get(const json *object, const char *key, json_kind kind) {
    json *member = find(object, key);
    if (!member || member->kind != kind) fail("%s is missing, or is no value of its kind", key);
    return member;
}

static const char *text_of(const json *object, const char *key) { return get(object, key, JSON_TEXT)->text; }

/* A whole number that is not negative. */
static size_t count_of(const json *object, const char *key) {
    double number = get(object, key, JSON_NUMBER)->number;
    if (!(number >= 0 && number <= 4294967295.0) || number != floor(number)) fail("%s is no whole number from 0", key);
    return (size_t)number;
}

/* All vectors of a file; ends the program where there are none. */
static json *vectors_of(const char *path, const char *kind) {
    file_name = path;
    vector_id = "";
    bytes whole = read_file(path);
    cursor = (const char *)whole.at;
    text_end = cursor + whole.size;
    json *document = read_value(0);
    skip_space();
    if (cursor != text_end) fail("no JSON: something stands behind the value");
    if (strcmp(text_of(document, "format"), "hashmatch-testvectors") || count_of(document, "version") != VERSION ||
        strcmp(text_of(document, "kind"), kind))
        fail("the head is not that of version %d of vectors of the kind %s", VERSION, kind);
    json *list = get(document, "vectors", JSON_LIST);
    if (!list->first) fail("there are no vectors");
    return list->first;
}

/* Sets what messages name; for every vector first. */
static void begin(const json *vector) { vector_id = text_of(vector, "id"); }

/* -------------------------------------------------------------------------------- hexadecimal, base64 and zlib streams */

static bytes from_hex(const char *text) {
    size_t length = strlen(text);
    bytes found = {need(length / 2 + 1, 1), length / 2};
    if (length % 2) fail("an odd number of hexadecimal digits");
    for (size_t k = 0; k < length; k++) {
        if (hex_digit(text[k]) > 15 || (text[k] >= 'A' && text[k] <= 'F')) fail("no lower-case hexadecimal digits");
        found.at[k / 2] = (uint8_t)(found.at[k / 2] << 4 | hex_digit(text[k]));
    }
    return found;
}

static const char *to_hex(const uint8_t *data, size_t size) {
    char *text = need(2 * size + 1, 1);
    for (size_t k = 0; k < size; k++) snprintf(text + 2 * k, 3, "%02x", (unsigned)data[k]);
    return text;
}

static bytes from_base64(const char *text) {
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    size_t length = strlen(text), padding = 0;
    bytes found = {need(length / 4 * 3 + 1, 1), 0};
    if (length % 4) fail("base64 is no multiple of four");
    while (padding < 2 && padding < length && text[length - 1 - padding] == '=') padding++;
    for (size_t k = 0; k < length; k += 4) {
        uint32_t group = 0;
        for (size_t i = k; i < k + 4; i++) {
            const char *at = i < length - padding ? strchr(letters, text[i]) : letters;
            if (!at) fail("no base64");
            group = group << 6 | (uint32_t)(at - letters);
        }
        for (int shift = 16; shift >= 0; shift -= 8) found.at[found.size++] = (uint8_t)(group >> shift);
    }
    found.size -= padding;
    return found;
}

typedef struct {
    bytes in, out;
    size_t at, room;
    uint32_t held;
    int count; /* bits held */
} inflater;

static uint32_t take_bits(inflater *z, int n) {
    while (z->count < n) {
        if (z->at == z->in.size) fail("a zlib stream is cut short");
        z->held |= (uint32_t)z->in.at[z->at++] << z->count;
        z->count += 8;
    }
    uint32_t value = z->held & ((1u << n) - 1);
    z->held >>= n;
    z->count -= n;
    return value;
}

static void put_byte(inflater *z, uint8_t value) {
    if (z->out.size == z->room) fail("a zlib stream holds more than the picture");
    z->out.at[z->out.size++] = value;
}

/* A code of RFC 1951: how many words have each length, and the symbols in the order of their words. */
typedef struct {
    uint16_t lengths[16], symbols[288];
} prefix_code;

static prefix_code code_of(const uint8_t *lengths, size_t n) {
    prefix_code code = {{0}, {0}};
    uint16_t at[16] = {0};
    int left = 1;
    for (size_t k = 0; k < n; k++) code.lengths[lengths[k]]++;
    code.lengths[0] = 0;
    for (int length = 1; length < 16; length++) {
        left = 2 * left - code.lengths[length];
        if (left < 0) fail("a zlib stream has a code with too many words");
        at[length] = (uint16_t)(at[length - 1] + code.lengths[length - 1]);
    }
    for (size_t k = 0; k < n; k++)
        if (lengths[k]) code.symbols[at[lengths[k]]++] = (uint16_t)k;
    return code;
}

static unsigned take_symbol(inflater *z, const prefix_code *code) {
    uint32_t word = 0, first = 0, index = 0;
    for (int length = 1; length < 16; length++) {
        word = word << 1 | take_bits(z, 1);
        first <<= 1;
        if (word - first < code->lengths[length]) return code->symbols[index + (word - first)];
        first += code->lengths[length];
        index += code->lengths[length];
    }
    fail("a zlib stream has a word that its code lacks");
}

static void inflate_block(inflater *z, const prefix_code *literals, const prefix_code *distances) {
    for (;;) {
        unsigned symbol = take_symbol(z, literals);
        if (symbol < 256) {
            put_byte(z, (uint8_t)symbol);
            continue;
        }
        if (symbol == 256) return;
        if (symbol > 285) fail("a zlib stream has an unknown length");
        /* From 265 on, four lengths for every number of extra bits; 285 is 258 alone. */
        int extra = symbol < 265 || symbol == 285 ? 0 : (int)(symbol - 261) / 4;
        size_t length = symbol < 265    ? symbol - 254
                        : symbol == 285 ? 258
                                        : ((size_t)(4 + (symbol - 265) % 4) << extra) + 3 + take_bits(z, extra);
        unsigned word = take_symbol(z, distances);
        if (word > 29) fail("a zlib stream has an unknown distance");
        int more = word < 4 ? 0 : (int)(word / 2 - 1);
        size_t distance = (word < 4 ? word : (size_t)(2 + word % 2) << more) + 1 + take_bits(z, more);
        if (distance > z->out.size) fail("a zlib stream reaches back too far");
        while (length--) put_byte(z, z->out.at[z->out.size - distance]);
    }
}

static void inflate_dynamic(inflater *z) {
    static const uint8_t order[19] = {16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15};
    uint8_t lengths[320] = {0}, of_lengths[19] = {0};
    size_t literals = take_bits(z, 5) + 257, distances = take_bits(z, 5) + 1, n = take_bits(z, 4) + 4, k = 0;
    if (literals > 286 || distances > 30) fail("a zlib stream has too many symbols");
    for (size_t i = 0; i < n; i++) of_lengths[order[i]] = (uint8_t)take_bits(z, 3);
    prefix_code code = code_of(of_lengths, 19);
    while (k < literals + distances) {
        unsigned symbol = take_symbol(z, &code);
        size_t times = symbol < 16    ? 1
                       : symbol == 16 ? 3 + take_bits(z, 2)
                       : symbol == 17 ? 3 + take_bits(z, 3)
                                      : 11 + take_bits(z, 7);
        if ((symbol == 16 && !k) || k + times > literals + distances) fail("a zlib stream has lengths of no symbol");
        uint8_t length = (uint8_t)(symbol < 16 ? symbol : symbol == 16 ? lengths[k - 1] : 0);
        while (times--) lengths[k++] = length;
    }
    prefix_code first = code_of(lengths, literals), second = code_of(lengths + literals, distances);
    inflate_block(z, &first, &second);
}

/* The content of a zlib stream (RFC 1950), which must be so many bytes. */
static bytes inflated(bytes in, size_t size) {
    inflater z = {.in = in, .out = {need(size + 1, 1), 0}, .at = 2, .room = size};
    if (in.size < 6 || (in.at[0] & 15) != 8 || (in.at[0] << 8 | in.at[1]) % 31 || in.at[1] & 32)
        fail("no zlib stream");
    for (bool last = false; !last;) {
        last = take_bits(&z, 1);
        unsigned kind = take_bits(&z, 2);
        if (kind == 0) {
            z.held = 0;
            z.count = 0;
            size_t length = take_bits(&z, 16);
            if ((length ^ 0xffff) != take_bits(&z, 16)) fail("a zlib stream has a wrong length");
            while (length--) put_byte(&z, (uint8_t)take_bits(&z, 8));
        } else if (kind == 1) {
            uint8_t lengths[288 + 30];
            for (int k = 0; k < 288; k++) lengths[k] = k < 144 ? 8 : k < 256 ? 9 : k < 280 ? 7 : 8;
            memset(lengths + 288, 5, 30);
            prefix_code literals = code_of(lengths, 288), distances = code_of(lengths + 288, 30);
            inflate_block(&z, &literals, &distances);
        } else if (kind == 2) {
            inflate_dynamic(&z);
        } else {
            fail("a zlib stream has an unknown kind of block");
        }
    }
    z.count = 0;
    z.held = 0;
    uint32_t a = 1, b = 0, sum = 0;
    for (size_t k = 0; k < z.out.size; k++) {
        a = (a + z.out.at[k]) % 65521;
        b = (b + a) % 65521;
    }
    for (int k = 0; k < 4; k++) sum = sum << 8 | take_bits(&z, 8);
    if (sum != (b << 16 | a)) fail("a zlib stream's checksum is wrong");
    if (z.at != in.size) fail("something stands behind a zlib stream");
    return z.out;
}

/* `encoding` and `data`, which must hold so many bytes. */
static bytes unpacked(const json *object, size_t size) {
    const char *encoding = text_of(object, "encoding");
    bytes found = from_base64(text_of(object, "data"));
    if (!strcmp(encoding, "zlib+base64")) {
        found = inflated(found, size);
    } else if (strcmp(encoding, "base64")) {
        fail("the encoding %s is not known", encoding);
    }
    if (found.size != size) fail("the data are %zu bytes, expected %zu", found.size, size);
    return found;
}

/* -------------------------------------------------------------------- MD5 (RFC 1321), SHA-1 and SHA-2 (FIPS 180-4) */

/* Fractions of the cube roots of the first 80 primes, in 64 bits; SHA-256 takes the upper half of the first 64. */
static const uint64_t CUBE_ROOTS[80] = {
    0x428a2f98d728ae22u, 0x7137449123ef65cdu, 0xb5c0fbcfec4d3b2fu, 0xe9b5dba58189dbbcu, 0x3956c25bf348b538u,
    0x59f111f1b605d019u, 0x923f82a4af194f9bu, 0xab1c5ed5da6d8118u, 0xd807aa98a3030242u, 0x12835b0145706fbeu,
    0x243185be4ee4b28cu, 0x550c7dc3d5ffb4e2u, 0x72be5d74f27b896fu, 0x80deb1fe3b1696b1u, 0x9bdc06a725c71235u,
    0xc19bf174cf692694u, 0xe49b69c19ef14ad2u, 0xefbe4786384f25e3u, 0x0fc19dc68b8cd5b5u, 0x240ca1cc77ac9c65u,
    0x2de92c6f592b0275u, 0x4a7484aa6ea6e483u, 0x5cb0a9dcbd41fbd4u, 0x76f988da831153b5u, 0x983e5152ee66dfabu,
    0xa831c66d2db43210u, 0xb00327c898fb213fu, 0xbf597fc7beef0ee4u, 0xc6e00bf33da88fc2u, 0xd5a79147930aa725u,
    0x06ca6351e003826fu, 0x142929670a0e6e70u, 0x27b70a8546d22ffcu, 0x2e1b21385c26c926u, 0x4d2c6dfc5ac42aedu,
    0x53380d139d95b3dfu, 0x650a73548baf63deu, 0x766a0abb3c77b2a8u, 0x81c2c92e47edaee6u, 0x92722c851482353bu,
    0xa2bfe8a14cf10364u, 0xa81a664bbc423001u, 0xc24b8b70d0f89791u, 0xc76c51a30654be30u, 0xd192e819d6ef5218u,
    0xd69906245565a910u, 0xf40e35855771202au, 0x106aa07032bbd1b8u, 0x19a4c116b8d2d0c8u, 0x1e376c085141ab53u,
    0x2748774cdf8eeb99u, 0x34b0bcb5e19b48a8u, 0x391c0cb3c5c95a63u, 0x4ed8aa4ae3418acbu, 0x5b9cca4f7763e373u,
    0x682e6ff3d6b2b8a3u, 0x748f82ee5defb2fcu, 0x78a5636f43172f60u, 0x84c87814a1f0ab72u, 0x8cc702081a6439ecu,
    0x90befffa23631e28u, 0xa4506cebde82bde9u, 0xbef9a3f7b2c67915u, 0xc67178f2e372532bu, 0xca273eceea26619cu,
    0xd186b8c721c0c207u, 0xeada7dd6cde0eb1eu, 0xf57d4f7fee6ed178u, 0x06f067aa72176fbau, 0x0a637dc5a2c898a6u,
    0x113f9804bef90daeu, 0x1b710b35131c471bu, 0x28db77f523047d84u, 0x32caab7b40c72493u, 0x3c9ebe0a15c9bebcu,
    0x431d67c49c100d4cu, 0x4cc5d4becb3e42b6u, 0x597f299cfc657e2au, 0x5fcb6fab3ad6faecu, 0x6c44198c4a475817u,
};
/* Those of the square roots of the first eight. */
static const uint64_t SQUARE_ROOTS[8] = {
    0x6a09e667f3bcc908u, 0xbb67ae8584caa73bu, 0x3c6ef372fe94f82bu, 0xa54ff53a5f1d36f1u,
    0x510e527fade682d1u, 0x9b05688c2b3e6c1fu, 0x1f83d9abfb41bd6bu, 0x5be0cd19137e2179u,
};

static uint32_t left32(uint32_t x, unsigned n) { return x << n | x >> (32 - n); }
static uint32_t right32(uint32_t x, unsigned n) { return x >> n | x << (32 - n); }
static uint64_t right64(uint64_t x, unsigned n) { return x >> n | x << (64 - n); }

static void md5_block(uint64_t *state, const uint8_t *data) {
    static const uint8_t turns[4][4] = {{7, 12, 17, 22}, {5, 9, 14, 20}, {4, 11, 16, 23}, {6, 10, 15, 21}};
    uint32_t a = (uint32_t)state[0], b = (uint32_t)state[1], c = (uint32_t)state[2], d = (uint32_t)state[3], m[16];
    for (int k = 0; k < 16; k++) {
        const uint8_t *p = data + 4 * k;
        m[k] = p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
    }
    for (int k = 0; k < 64; k++) {
        uint32_t f = k < 16 ? (b & c) | (~b & d) : k < 32 ? (d & b) | (~d & c) : k < 48 ? b ^ c ^ d : c ^ (b | ~d);
        int g = k < 16 ? k : k < 32 ? (5 * k + 1) % 16 : k < 48 ? (3 * k + 5) % 16 : 7 * k % 16;
        uint32_t sum = a + f + (uint32_t)floor(fabs(sin(k + 1)) * 4294967296.0) + m[g];
        a = d;
        d = c;
        c = b;
        b += left32(sum, turns[k / 16][k % 4]);
    }
    uint32_t added[4] = {a, b, c, d};
    for (int k = 0; k < 4; k++) state[k] = (uint32_t)(state[k] + added[k]);
}

static void sha1_block(uint64_t *state, const uint8_t *data) {
    uint32_t w[80], v[5];
    for (int k = 0; k < 80; k++)
        w[k] = k < 16 ? (uint32_t)data[4 * k] << 24 | (uint32_t)data[4 * k + 1] << 16 | (uint32_t)data[4 * k + 2] << 8 |
                            data[4 * k + 3]
                      : left32(w[k - 3] ^ w[k - 8] ^ w[k - 14] ^ w[k - 16], 1);
    for (int k = 0; k < 5; k++) v[k] = (uint32_t)state[k];
    for (int k = 0; k < 80; k++) {
        uint32_t b = v[1], c = v[2], d = v[3];
        uint32_t f = k < 20 ? ((b & c) | (~b & d)) + 0x5a827999u
                     : k < 40 ? (b ^ c ^ d) + 0x6ed9eba1u
                     : k < 60 ? ((b & c) | (b & d) | (c & d)) + 0x8f1bbcdcu
                              : (b ^ c ^ d) + 0xca62c1d6u;
        uint32_t sum = left32(v[0], 5) + f + v[4] + w[k];
        v[4] = d;
        v[3] = c;
        v[2] = left32(b, 30);
        v[1] = v[0];
        v[0] = sum;
    }
    for (int k = 0; k < 5; k++) state[k] = (uint32_t)(state[k] + v[k]);
}

static void sha256_block(uint64_t *state, const uint8_t *data) {
    uint32_t w[64], v[8];
    for (int k = 0; k < 64; k++) {
        if (k < 16) {
            w[k] = (uint32_t)data[4 * k] << 24 | (uint32_t)data[4 * k + 1] << 16 | (uint32_t)data[4 * k + 2] << 8 |
                   data[4 * k + 3];
            continue;
        }
        uint32_t x = w[k - 15], y = w[k - 2];
        w[k] = w[k - 16] + (right32(x, 7) ^ right32(x, 18) ^ x >> 3) + w[k - 7] + (right32(y, 17) ^ right32(y, 19) ^ y >> 10);
    }
    for (int k = 0; k < 8; k++) v[k] = (uint32_t)state[k];
    for (int k = 0; k < 64; k++) {
        uint32_t a = v[0], e = v[4];
        uint32_t one = v[7] + (right32(e, 6) ^ right32(e, 11) ^ right32(e, 25)) + ((e & v[5]) ^ (~e & v[6])) +
                       (uint32_t)(CUBE_ROOTS[k] >> 32) + w[k];
        uint32_t two = (right32(a, 2) ^ right32(a, 13) ^ right32(a, 22)) + ((a & v[1]) ^ (a & v[2]) ^ (v[1] & v[2]));
        memmove(v + 1, v, 7 * sizeof *v);
        v[4] += one;
        v[0] = one + two;
    }
    for (int k = 0; k < 8; k++) state[k] = (uint32_t)(state[k] + v[k]);
}

static void sha512_block(uint64_t *state, const uint8_t *data) {
    uint64_t w[80], v[8];
    for (int k = 0; k < 80; k++) {
        if (k < 16) {
            w[k] = 0;
            for (int i = 0; i < 8; i++) w[k] = w[k] << 8 | data[8 * k + i];
            continue;
        }
        uint64_t x = w[k - 15], y = w[k - 2];
        w[k] = w[k - 16] + (right64(x, 1) ^ right64(x, 8) ^ x >> 7) + w[k - 7] + (right64(y, 19) ^ right64(y, 61) ^ y >> 6);
    }
    memcpy(v, state, sizeof v);
    for (int k = 0; k < 80; k++) {
        uint64_t a = v[0], e = v[4];
        uint64_t one = v[7] + (right64(e, 14) ^ right64(e, 18) ^ right64(e, 41)) + ((e & v[5]) ^ (~e & v[6])) +
                       CUBE_ROOTS[k] + w[k];
        uint64_t two = (right64(a, 28) ^ right64(a, 34) ^ right64(a, 39)) + ((a & v[1]) ^ (a & v[2]) ^ (v[1] & v[2]));
        memmove(v + 1, v, 7 * sizeof *v);
        v[4] += one;
        v[0] = one + two;
    }
    for (int k = 0; k < 8; k++) state[k] += v[k];
}

static const struct digest {
    const char *name;
    void (*add)(uint64_t *, const uint8_t *);
    size_t block, words, word; /* bytes of a block, words of the result, bytes of a word */
    bool little;
    const uint32_t *start; /* NULL: the square roots */
} DIGESTS[] = {
    {"md5", md5_block, 64, 4, 4, true, (const uint32_t[]){0x67452301u, 0xefcdab89u, 0x98badcfeu, 0x10325476u}},
    {"sha1", sha1_block, 64, 5, 4, false,
     (const uint32_t[]){0x67452301u, 0xefcdab89u, 0x98badcfeu, 0x10325476u, 0xc3d2e1f0u}},
    {"sha256", sha256_block, 64, 8, 4, false, NULL},
    {"sha512", sha512_block, 128, 8, 8, false, NULL},
};

/* A digest in hexadecimal; NULL where the name is not that of one. */
static const char *digest_of(const char *name, bytes data) {
    for (size_t k = 0; k < sizeof DIGESTS / sizeof *DIGESTS; k++) {
        const struct digest *d = &DIGESTS[k];
        if (strcmp(d->name, name)) continue;
        uint64_t state[8];
        for (size_t i = 0; i < 8; i++)
            state[i] = d->start ? (i < d->words ? d->start[i] : 0) : SQUARE_ROOTS[i] >> (64 - 8 * d->word);
        /* One bit, zeros, and the length in bits in the last bytes of a block. */
        size_t blocks_of = (data.size + 1 + d->block / 8 + d->block - 1) / d->block, size = blocks_of * d->block;
        uint8_t *padded = need(size, 1), out[64];
        if (data.size) memcpy(padded, data.at, data.size);
        padded[data.size] = 0x80;
        for (size_t i = 0; i < 8; i++)
            padded[d->little ? size - 8 + i : size - 1 - i] = (uint8_t)((uint64_t)data.size * 8 >> (8 * i));
        for (size_t i = 0; i < blocks_of; i++) d->add(state, padded + i * d->block);
        for (size_t i = 0; i < d->words * d->word; i++) {
            size_t place = i % d->word;
            out[i] = (uint8_t)(state[i / d->word] >> (8 * (d->little ? place : d->word - 1 - place)));
        }
        return to_hex(out, d->words * d->word);
    }
    return NULL;
}

/* ----------------------------------------------------------------------------------------------- comparing and counting */

static void compare_text(const char *what, const char *found, const char *expected) {
    if (strcmp(found, expected)) differs("%s: found %s, expected %s", what, found, expected);
}

static void compare_count(const char *what, size_t found, size_t expected) {
    if (found != expected) differs("%s: found %zu, expected %zu", what, found, expected);
}

/* The lines of a file. `left` counts vectors that were left out wholly; 0 with a reason: a part of every vector was. */
static void report(size_t checked, size_t left, const char *what, const char *left_out) {
    vector_id = "";
    if (!checked) fail("no vector could be checked");
    printf("%-18s %3zu checked: %s\n", file_name, checked, what);
    if (left) printf("%-18s %3zu left out: %s\n", "", left, left_out);
    if (!left && *left_out) printf("%-18s     left out of each: %s\n", "", left_out);
}

/* ---------------------------------------------------------------------------------------------------- images and PDQ */

typedef struct {
    const char *id;
    size_t width, height, channels;
    bool floating;
    bytes data;
} picture;

static picture *pictures;
static size_t picture_count;

static const picture *picture_of(const json *vector) {
    const char *id = text_of(get(vector, "input", JSON_OBJECT), "image");
    for (size_t k = 0; k < picture_count; k++)
        if (!strcmp(pictures[k].id, id)) return &pictures[k];
    fail("images.json has no picture %s", id);
}

static void check_images(void) {
    const json *first = vectors_of("images.json", "images");
    for (const json *vector = first; vector; vector = vector->next) picture_count++;
    pictures = need(picture_count, sizeof *pictures);
    picture *p = pictures;
    for (const json *vector = first; vector; vector = vector->next, p++) {
        begin(vector);
        const char *sample = text_of(vector, "sample");
        *p = (picture){vector_id, count_of(vector, "width"), count_of(vector, "height"), count_of(vector, "channels"),
                       !strcmp(sample, "float32le"), {NULL, 0}};
        if ((!p->floating && strcmp(sample, "uint8")) || (p->channels != 1 && p->channels != 3) || !p->width || !p->height ||
            p->width > MAX_SIDE || p->height > MAX_SIDE)
            fail("samples or size are not as README.md says");
        p->data = unpacked(vector, p->width * p->height * p->channels * (p->floating ? 4 : 1));
        compare_text("sha256", digest_of("sha256", p->data), text_of(vector, "sha256"));
    }
    report(picture_count, 0, "samples unpacked, their SHA-256", "");
}

static double *luma_of(const picture *p) {
    size_t n = p->width * p->height;
    double *luma = need(n, sizeof *luma);
    for (size_t k = 0; k < n; k++) {
        const uint8_t *s = p->data.at + k * p->channels;
        if (p->floating) {
            const uint8_t *f = p->data.at + 4 * k;
            uint32_t word = f[0] | (uint32_t)f[1] << 8 | (uint32_t)f[2] << 16 | (uint32_t)f[3] << 24;
            float value;
            memcpy(&value, &word, 4);
            luma[k] = value;
        } else {
            luma[k] = p->channels == 1 ? s[0] : (float)(0.299 * s[0] + 0.587 * s[1] + 0.114 * s[2]);
        }
    }
    return luma;
}

/* The mean in a window along one axis: `n` values, `stride` apart. */
static void box(const double *in, double *out, size_t n, size_t stride) {
    size_t window = (n + 127) / 128, ahead = (window + 2) / 2, behind = window - ahead;
    for (size_t k = 0; k < n; k++) {
        size_t first = k > behind ? k - behind : 0, end = k + ahead < n ? k + ahead : n;
        double sum = 0;
        for (size_t i = first; i < end; i++) sum += in[i * stride];
        out[k * stride] = sum / (double)(end - first);
    }
}

/* 64x64 luma: filtered twice both ways, then one sample of each of 64x64 tiles. */
static void buffer_of(const picture *p, bool always_filter, double buffer[64][64]) {
    size_t width = p->width, height = p->height;
    double *luma = luma_of(p), *other = need(width * height, sizeof *other);
    if (width != 64 || height != 64 || always_filter) {
        for (int pass = 0; pass < 2; pass++) {
            for (size_t y = 0; y < height; y++) box(luma + y * width, other + y * width, width, 1);
            for (size_t x = 0; x < width; x++) box(other + x, luma + x, height, width);
        }
    }
    for (size_t y = 0; y < 64; y++)
        for (size_t x = 0; x < 64; x++)
            buffer[y][x] = luma[(2 * y + 1) * height / 128 * width + (2 * x + 1) * width / 128];
}

static size_t quality_of(double buffer[64][64]) {
    size_t sum = 0;
    for (int y = 0; y < 64; y++) {
        for (int x = 0; x < 64; x++) {
            if (y) sum += (size_t)(fabs(buffer[y][x] - buffer[y - 1][x]) * 100 / 255);
            if (x) sum += (size_t)(fabs(buffer[y][x] - buffer[y][x - 1]) * 100 / 255);
        }
    }
    return sum / 90 < 100 ? sum / 90 : 100;
}

static int ascending(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* The 16x16 coefficients from (1, 1) on of the DCT-II. */
static void transform(double buffer[64][64], double out[16][16]) {
    double dct[16][64], half[16][64];
    for (int i = 0; i < 16; i++)
        for (int j = 0; j < 64; j++) dct[i][j] = sqrt(2.0 / 64) * cos(PI / 128 * (i + 1) * (2 * j + 1));
    for (int i = 0; i < 16; i++) {
        for (int x = 0; x < 64; x++) {
            half[i][x] = 0;
            for (int k = 0; k < 64; k++) half[i][x] += dct[i][k] * buffer[k][x];
        }
    }
    for (int i = 0; i < 16; i++) {
        for (int j = 0; j < 16; j++) {
            out[i][j] = 0;
            for (int k = 0; k < 64; k++) out[i][j] += half[i][k] * dct[j][k];
        }
    }
}

/* Above the 128th of the 256 ranked values; (15, 15) is the first bit of the text. */
static const char *pdq_text(const double *values) {
    double ranked[256];
    uint8_t code[32] = {0};
    memcpy(ranked, values, sizeof ranked);
    qsort(ranked, 256, sizeof *ranked, ascending);
    for (int k = 0; k < 256; k++)
        if (values[k] > ranked[127]) code[31 - k / 8] |= (uint8_t)(1 << k % 8);
    return to_hex(code, 32);
}

/* The eight orientations: whether rows and columns change places, and which signs change (indices from 0). */
static const struct {
    const char *name;
    bool transposed, even_rows, even_columns;
} ORIENTATIONS[8] = {
    {"original", false, false, false}, {"r90", true, true, false},    {"r180", false, true, true},
    {"r270", true, false, true},       {"flipx", false, true, false}, {"flipy", false, false, true},
    {"flip_plus", true, false, false}, {"flip_minus", true, true, true},
};

static void check_pdq(void) {
    size_t checked = 0, left = 0;
    for (const json *vector = vectors_of("pdq.json", "pdq"); vector; vector = vector->next) {
        begin(vector);
        const char *order = text_of(vector, "float_order");
        if (!strcmp(order, "reference")) {
            left++;
            continue;
        }
        if (strcmp(order, "any")) fail("the float_order %s is not known", order);
        const json *expect = get(vector, "expect", JSON_OBJECT), *dihedral = get(expect, "dihedral", JSON_OBJECT);
        const picture *p = picture_of(vector);
        double buffer[64][64], b[16][16] = {{0}};
        bool small = p->width < 5 || p->height < 5;
        compare_count("dihedral variants", dihedral->count, 8);
        if (!small) {
            buffer_of(p, false, buffer);
            transform(buffer, b);
        }
        compare_text("pdq", pdq_text(&b[0][0]), text_of(expect, "pdq"));
        compare_count("quality", small ? 0 : quality_of(buffer), count_of(expect, "quality"));
        if (!small) {
            buffer_of(p, true, buffer);
            transform(buffer, b);
        }
        for (int k = 0; k < 8; k++) {
            double turned[16][16];
            for (int y = 0; y < 16; y++) {
                for (int x = 0; x < 16; x++) {
                    /* A sign for even rows and one for even columns: both together leave it as it was. */
                    bool negate = (ORIENTATIONS[k].even_rows && y % 2 == 0) != (ORIENTATIONS[k].even_columns && x % 2 == 0);
                    double value = ORIENTATIONS[k].transposed ? b[x][y] : b[y][x];
                    turned[y][x] = negate ? -value : value;
                }
            }
            compare_text(ORIENTATIONS[k].name, pdq_text(&turned[0][0]), text_of(dihedral, ORIENTATIONS[k].name));
        }
        compare_count("dihedral_quality", small ? 0 : quality_of(buffer), count_of(expect, "dihedral_quality"));
        checked++;
    }
    report(checked, left, "hash, quality and the eight orientations, in float64", "float_order is `reference`, rounding decides");
}

/* ------------------------------------------------------------------------------------- pHash, dHash, aHash and wHash */

typedef struct {
    size_t width, height;
    uint8_t *at;
} grey_picture;

static grey_picture grey_of(const picture *p) {
    size_t n = p->width * p->height;
    grey_picture grey = {p->width, p->height, need(n, 1)};
    for (size_t k = 0; k < n; k++) {
        const uint8_t *s = p->data.at + k * p->channels;
        grey.at[k] = p->channels == 1 ? s[0] : (uint8_t)((19595u * s[0] + 38470u * s[1] + 7471u * s[2] + 32768u) >> 16);
    }
    return grey;
}

static double lanczos(double x) {
    if (x == 0) return 1;
    if (x < -3 || x >= 3) return 0;
    return sin(PI * x) / (PI * x) * (sin(PI * x / 3) / (PI * x / 3));
}

/* One line of samples, `step` apart, to another length, as README.md says. */
static void resample_line(const uint8_t *in, size_t step, size_t length, uint8_t *out, size_t out_step, size_t wanted) {
    double scale = (double)length / (double)wanted, widening = scale > 1 ? scale : 1, weights[6 * MAX_SIDE / 8 + 8];
    for (size_t k = 0; k < wanted; k++) {
        double centre = ((double)k + 0.5) * scale, sum = 0;
        double from = centre - 3 * widening + 0.5, to = centre + 3 * widening + 0.5;
        size_t first = from > 0 ? (size_t)from : 0, last = to < (double)length ? (size_t)to : length;
        for (size_t i = first; i < last; i++)
            sum += weights[i - first] = lanczos(((double)i - centre + 0.5) / widening);
        int64_t value = 1 << 21;
        for (size_t i = first; i < last; i++) {
            double weight = weights[i - first] / sum * (1 << 22);
            value += (int64_t)(weight + (weight < 0 ? -0.5 : 0.5)) * in[i * step];
        }
        out[k * out_step] = value < 0 ? 0 : value >> 22 > 255 ? 255 : (uint8_t)(value >> 22);
    }
}

/* Across and then down; a length that is right already is left alone. */
static grey_picture resampled(grey_picture grey, size_t width, size_t height) {
    if (grey.width != width) {
        grey_picture across = {width, grey.height, need(width * grey.height, 1)};
        for (size_t y = 0; y < grey.height; y++)
            resample_line(grey.at + y * grey.width, 1, grey.width, across.at + y * width, 1, width);
        grey = across;
    }
    if (grey.height != height) {
        grey_picture down = {width, height, need(width * height, 1)};
        for (size_t x = 0; x < width; x++) resample_line(grey.at + x, width, grey.height, down.at + x, width, height);
        grey = down;
    }
    return grey;
}

static const char *bits_text(const bool *bits) {
    uint8_t code[8] = {0};
    for (int k = 0; k < 64; k++) code[k / 8] |= (uint8_t)(bits[k] << (7 - k % 8));
    return to_hex(code, 8);
}

/* Above the median of 64, the mean of the two in the middle. */
static const char *median_text(const double *values) {
    double ranked[64];
    bool bits[64];
    memcpy(ranked, values, sizeof ranked);
    qsort(ranked, 64, sizeof *ranked, ascending);
    for (int k = 0; k < 64; k++) bits[k] = values[k] > (ranked[31] + ranked[32]) / 2;
    return bits_text(bits);
}

static const char *phash_text(grey_picture g) {
    double dct[8][32], half[8][32], values[64] = {0};
    for (int k = 0; k < 8; k++)
        for (int n = 0; n < 32; n++) dct[k][n] = 2 * cos(PI * k * (2 * n + 1) / 64);
    for (int k = 0; k < 8; k++) {
        for (int x = 0; x < 32; x++) {
            half[k][x] = 0;
            for (int n = 0; n < 32; n++) half[k][x] += dct[k][n] * g.at[n * 32 + x];
        }
    }
    for (int k = 0; k < 64; k++)
        for (int n = 0; n < 32; n++) values[k] += half[k / 8][n] * dct[k % 8][n];
    return median_text(values);
}

static const char *dhash_text(grey_picture g) {
    bool bits[64];
    for (int k = 0; k < 64; k++) bits[k] = g.at[k / 8 * 9 + k % 8 + 1] > g.at[k / 8 * 9 + k % 8];
    return bits_text(bits);
}

static const char *ahash_text(grey_picture g) {
    bool bits[64];
    unsigned sum = 0;
    for (int k = 0; k < 64; k++) sum += g.at[k];
    for (int k = 0; k < 64; k++) bits[k] = 64u * g.at[k] > sum;
    return bits_text(bits);
}

/* The low band of Haar's wavelet is the mean of each tile, but for a factor; without the coarsest term all values are
 * less by one number, and so is their median. */
static const char *whash_text(grey_picture g) {
    double values[64] = {0};
    size_t tile = g.width / 8;
    for (size_t y = 0; y < g.height; y++)
        for (size_t x = 0; x < g.width; x++) values[y / tile * 8 + x / tile] += g.at[y * g.width + x];
    return median_text(values);
}

static void check_family(const char *path, const char *name, size_t width, size_t height, const char *(*hash)(grey_picture)) {
    size_t checked = 0;
    for (const json *vector = vectors_of(path, name); vector; vector = vector->next) {
        begin(vector);
        const json *expect = get(vector, "expect", JSON_OBJECT), *reduced = find(expect, "reduced");
        const picture *p = picture_of(vector);
        if (p->floating) fail("a picture of floating-point samples");
        size_t shorter = p->width < p->height ? p->width : p->height, side = 8;
        while (2 * side <= shorter) side *= 2;
        size_t across = width ? width : side, down = width ? height : side;
        grey_picture found = resampled(grey_of(p), across, down);
        compare_text(name, hash(found), text_of(expect, name));
        if (width && !reduced) differs("reduced is missing");
        if (reduced) {
            compare_count("width of reduced", count_of(reduced, "width"), across);
            compare_count("height of reduced", count_of(reduced, "height"), down);
            grey_picture given = {across, down, unpacked(reduced, across * down).at};
            if (memcmp(given.at, found.at, across * down)) differs("reduced: the resampled picture is another");
            compare_text("hash of reduced", hash(given), text_of(expect, name));
        }
        checked++;
    }
    report(checked, 0, width ? "hash and reduced picture from the samples, hash from `reduced`" : "hash from the samples", "");
}

/* ------------------------------------------------------------------------------------------------ digests and searches */

static void check_digests(void) {
    size_t checked = 0;
    for (const json *vector = vectors_of("digests.json", "digests"); vector; vector = vector->next, checked++) {
        begin(vector);
        const json *expect = get(vector, "expect", JSON_OBJECT);
        bytes data = from_hex(text_of(get(vector, "input", JSON_OBJECT), "hex"));
        if (!expect->first) fail("nothing is expected");
        for (const json *one = expect->first; one; one = one->next) {
            const char *found = digest_of(one->key, data);
            if (!found || one->kind != JSON_TEXT) fail("the digest %s is not known", one->key);
            compare_text(one->key, found, one->text);
        }
    }
    report(checked, 0, "MD5, SHA-1, SHA-256 and SHA-512", "");
}

static size_t distance_of(const char *kind, bytes a, bytes b) {
    size_t sum = 0;
    if (a.size != b.size) fail("two codes are not of one length");
    if (!strcmp(kind, "exact")) return memcmp(a.at, b.at, a.size) != 0;
    for (size_t k = 0; k < a.size; k++) {
        if (!strcmp(kind, "euclidean")) {
            sum += (size_t)((a.at[k] - b.at[k]) * (a.at[k] - b.at[k]));
        } else if (!strcmp(kind, "hamming")) {
            for (unsigned bits = a.at[k] ^ b.at[k]; bits; bits &= bits - 1) sum++;
        } else {
            fail("the distance %s is not known", kind);
        }
    }
    return sum;
}

static bytes *codes_of(const json *list) {
    bytes *codes = need(list->count + 1, sizeof *codes);
    size_t k = 0;
    for (const json *one = list->first; one; one = one->next) {
        if (one->kind != JSON_TEXT) fail("a code is no text");
        codes[k++] = from_hex(one->text);
    }
    return codes;
}

typedef struct {
    size_t query, row, distance;
} hit;

static int by_query_distance_row(const void *a, const void *b) {
    const hit *x = a, *y = b;
    if (x->query != y->query) return x->query < y->query ? -1 : 1;
    if (x->distance != y->distance) return x->distance < y->distance ? -1 : 1;
    return (x->row > y->row) - (x->row < y->row);
}

static void check_search(void) {
    size_t checked = 0;
    for (const json *vector = vectors_of("search.json", "search"); vector; vector = vector->next, checked++) {
        begin(vector);
        const char *kind = text_of(vector, "kind");
        const json *input = get(vector, "input", JSON_OBJECT), *expect = get(vector, "expect", JSON_LIST);
        const json *list = get(input, "list", JSON_LIST), *queries = get(input, "queries", JSON_LIST);
        size_t radius = count_of(input, "radius"), n = 0;
        bytes *rows = codes_of(list), *wanted = codes_of(queries);
        hit *hits = need(list->count * queries->count + 1, sizeof *hits);
        for (size_t q = 0; q < queries->count; q++) {
            for (size_t row = 0; row < list->count; row++) {
                size_t distance = distance_of(kind, rows[row], wanted[q]);
                if (distance <= radius) hits[n++] = (hit){q, row, distance};
            }
        }
        qsort(hits, n, sizeof *hits, by_query_distance_row);
        compare_count("results", n, expect->count);
        size_t k = 0;
        for (const json *one = expect->first; one && k < n; one = one->next, k++) {
            const size_t numbers[3] = {hits[k].query, hits[k].row, hits[k].distance};
            const json *number = one->first;
            bool same = one->kind == JSON_LIST && one->count == 3;
            for (int i = 0; same && i < 3; i++, number = number->next)
                same = number->kind == JSON_NUMBER && number->number == (double)numbers[i];
            if (!same)
                differs("result %zu: found query %zu, row %zu, distance %zu", k, hits[k].query, hits[k].row, hits[k].distance);
        }
    }
    report(checked, 0, "all pairs compared, in the order of the results", "");
}

/* ------------------------------------------------------------------------------------------- files, lists and reports */

static void check_files(void) {
    size_t checked = 0;
    for (const json *vector = vectors_of("files.json", "files"); vector; vector = vector->next, checked++) {
        begin(vector);
        const json *input = get(vector, "input", JSON_OBJECT);
        const json *hashes = get(get(vector, "expect", JSON_OBJECT), "hashes", JSON_OBJECT);
        bytes data = read_file(text_of(input, "file"));
        compare_count("bytes", data.size, count_of(input, "bytes"));
        compare_text("sha256", digest_of("sha256", data), text_of(input, "sha256"));
        for (const json *one = hashes->first; one; one = one->next) {
            const char *found = digest_of(one->key, data);
            if (one->kind != JSON_TEXT) fail("the hash %s is no text", one->key);
            if (found) compare_text(one->key, found, one->text);
        }
    }
    report(checked, 0, "size and digests of the files", "what a decoder makes of it");
}

static void check_lists(void) {
    size_t checked = 0;
    for (const json *vector = vectors_of("lists/expect.json", "lists"); vector; vector = vector->next, checked++) {
        begin(vector);
        const json *input = get(vector, "input", JSON_OBJECT), *expect = get(vector, "expect", JSON_OBJECT);
        const json *entries = find(expect, "entries");
        compare_text("sha256", digest_of("sha256", read_file(text_of(input, "file"))), text_of(input, "sha256"));
        if (entries) {
            compare_count("count", get(expect, "entries", JSON_LIST)->count, count_of(expect, "count"));
        } else {
            text_of(expect, "error");
        }
    }
    report(checked, 0, "SHA-256 of the lists, entries counted", "reading the format");
}

/* The hash of a match's entry; NULL where the list has none. */
static const char *hash_in(const json *list, const json *match, const char *algorithm) {
    for (const json *entry = list->first; entry; entry = entry->next) {
        if (strcmp(text_of(entry, "source"), text_of(match, "source")) || strcmp(text_of(entry, "ref"), text_of(match, "entry")))
            continue;
        const json *hash = find(get(entry, "hashes", JSON_OBJECT), algorithm);
        return hash ? hash->text : NULL;
    }
    return NULL;
}

static void check_matches(const json *list, const json *query, const json *matches) {
    for (const json *match = matches ? matches->first : NULL; match; match = match->next) {
        const char *algorithm = text_of(match, "algorithm"), *theirs = hash_in(list, match, algorithm);
        const json *ours = find(get(query, "hashes", JSON_OBJECT), algorithm);
        bool digest = !strcmp(algorithm, "md5") || !strncmp(algorithm, "sha", 3);
        if (!theirs || !ours) {
            differs("a match of %s by %s, which only one of the two has", text_of(match, "entry"), algorithm);
            continue;
        }
        const char *kind = digest ? "exact" : strcmp(algorithm, "photodna") ? "hamming" : "euclidean";
        size_t distance = distance_of(kind, from_hex(theirs), from_hex(ours->text)), radius = count_of(match, "radius");
        compare_count("distance", distance, count_of(match, "distance"));
        if (distance > radius) differs("a match at %zu, beyond its radius of %zu", distance, radius);
    }
}

static void check_reports(void) {
    size_t checked = 0;
    for (const json *vector = vectors_of("report.json", "report"); vector; vector = vector->next, checked++) {
        begin(vector);
        const json *input = get(vector, "input", JSON_OBJECT), *rows = get(vector, "expect", JSON_LIST);
        const json *list = get(input, "list", JSON_LIST), *queries = get(input, "queries", JSON_LIST);
        compare_count("rows", rows->count, queries->count);
        const json *query = queries->first;
        for (const json *row = rows->first; row && query; row = row->next, query = query->next) {
            compare_text("name", text_of(row, "name"), text_of(query, "name"));
            check_matches(list, query, get(row, "matches", JSON_LIST));
            check_matches(list, query, find(row, "suppressed"));
        }
    }
    report(checked, 0, "a row for each query, the distance of each match", "what must not match, verdicts, notes");
}

int main(int count, char **arguments) {
    if (count != 2) {
        fprintf(stderr, "usage: vectors FOLDER\n");
        return 1;
    }
    folder = arguments[1];
    atexit(give_back);
    check_images();
    check_pdq();
    check_family("phash.json", "phash", 32, 32, phash_text);
    check_family("dhash.json", "dhash", 9, 8, dhash_text);
    check_family("ahash.json", "ahash", 8, 8, ahash_text);
    check_family("whash.json", "whash", 0, 0, whash_text);
    check_digests();
    check_search();
    check_files();
    check_lists();
    check_reports();
    printf("%zu differences\n", differences);
    return differences != 0;
}
