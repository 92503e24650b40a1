/* JSON text to canonical JSON text: keys sorted, no spaces, nothing escaped but `"`, `\`, line ends and tabs; flags and dates
 * written as lists of media have them, and members that say nothing left out.
 *
 * This is the text twin of `tidy` in hashmatch/lists/formats/vics_members.py followed by `canonical_json`. It takes what is usual
 * and strictly JSON, and says no to everything else, so that Python's way decides (and words the error): numbers with a fraction
 * or of more than 18 digits, keys with escapes, repeated keys, many keys, control characters, halves of surrogate pairs, words
 * that may or may not be a flag. What is no UTF-8 passes, but never unseen: all text that is not plain ASCII ends in the result,
 * which whoever asks decodes, or is refused where it would be left out.
 *
 * The text may be anything. Nothing at `end` or behind it is read; what is written grows in memory of its own. */

#ifndef HASHMATCH_JSON_TEXT_H
#define HASHMATCH_JSON_TEXT_H

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "kernels.h"

/* What the value of a member is. The first are those of members inside others; vics_text.py names the same numbers. */
enum {
    HM_ANY,       /* metadata as it is */
    HM_FLAG,      /* text that says true or false becomes that */
    HM_DATE,      /* text in .NET's form of a date becomes ISO 8601 */
    HM_LEFT_OUT,  /* never kept */
    HM_INNER_KINDS,
};

#define HM_NAMES 64 /* names that are known at once, and members of one inner object */

/* Names of members, each as it stands in canonical text: quote, name, quote, colon. */
typedef struct {
    const char *text[HM_NAMES];
    size_t length[HM_NAMES];
    uint8_t kind[HM_NAMES];
    int count;
    uint64_t of_length[32]; /* by the length of the name, modulo 32: which these are */
} hm_members;

typedef struct {
    const char *at, *end;
    const hm_members *inner;
    int deepest;   /* level of arrays and objects that is allowed; the outermost object is 1 */
    int wide;      /* text with bytes that are not ASCII was passed */
    int no_memory; /* why the last answer was no */
    char *out;
    size_t used, capacity;
} hm_json;

enum { HM_ESCAPES = 1, HM_WIDE = 2 };

/* Room for `more` bytes behind those in use. */
HM_INLINE char *room(hm_json *j, size_t more) {
    if (j->capacity - j->used < more) {
        size_t wanted = 2 * j->capacity + more + 4096;
        char *out = realloc(j->out, wanted);
        if (!out) {
            j->no_memory = 1;
            return NULL;
        }
        j->out = out;
        j->capacity = wanted;
    }
    return j->out + j->used;
}

HM_INLINE int put(hm_json *j, const char *text, size_t length) {
    char *to = room(j, length);
    if (!to) return 0;
    memcpy(to, text, length);
    j->used += length;
    return 1;
}

HM_INLINE void skip_space(hm_json *j) {
    while (j->at < j->end && (*j->at == ' ' || *j->at == '\n' || *j->at == '\r' || *j->at == '\t')) j->at++;
}

/* Passes over `byte` and white space before and behind it. */
HM_INLINE int take(hm_json *j, char byte) {
    if (j->at < j->end && (uint8_t)*j->at <= ' ') skip_space(j);
    if (j->at >= j->end || *j->at != byte) return 0;
    j->at++;
    if (j->at < j->end && (uint8_t)*j->at <= ' ') skip_space(j);
    return 1;
}

/* --- text ---------------------------------------------------------------------------------------------------------- */

#define EACH (~(uint64_t)0 / 255) /* times a byte: that byte eight times */

/* Passes over a string from its opening quote on: where its inside begins, its length, and what it holds. */
static int string(hm_json *j, const char **inside, size_t *length, int *odd) {
    const char *p = j->at, *end = j->end;
    if (p >= end || *p != '"') return 0;
    p++;
    *inside = p;
    *odd = 0;
    for (;;) {
        while (end - p >= 8) {
            uint64_t w;
            memcpy(&w, p, 8);
            /* The high bit of each byte that ends the plain run: a quote, a backslash, a control character, or not ASCII. A
             * borrow may mark bytes above (behind) a true one, never below. */
            uint64_t quote = w ^ EACH * '"', slash = w ^ EACH * '\\';
            uint64_t stop = ((quote - EACH) & ~quote) | ((slash - EACH) & ~slash) | ((w - EACH * 0x20) & ~w) | w;
            stop &= EACH * 0x80;
            if (stop) {
                uint32_t low = (uint32_t)stop;
                p += (low ? HM_LOWEST_BIT(low) : 32 + HM_LOWEST_BIT((uint32_t)(stop >> 32))) / 8;
                break;
            }
            p += 8;
        }
        if (p >= end) return 0;
        uint8_t c = (uint8_t)*p;
        if (c == '"') break;
        if (c < ' ') return 0;
        if (c == '\\') {
            *odd |= HM_ESCAPES;
            if (end - p < 2) return 0;
            p++;
        } else if (c >= 0x80) {
            *odd |= HM_WIDE;
        }
        p++;
    }
    *length = (size_t)(p - *inside);
    j->at = p + 1;
    if (*odd & HM_WIDE) j->wide = 1;
    return 1;
}

/* The four hexadecimal digits of an escape, or -1. */
static int32_t code_unit(const char *p) {
    int32_t code = 0;
    for (int i = 0; i < 4; i++) {
        uint8_t c = (uint8_t)p[i], letter = (uint8_t)((c | 0x20) - 'a'), digit = (uint8_t)(c - '0');
        if (digit > 9 && letter > 5) return -1;
        code = code << 4 | (digit <= 9 ? digit : letter + 10);
    }
    return code;
}

/* The inside of a string with escapes, with only those that canonical text has. It never becomes longer. */
static int put_unescaped(hm_json *j, const char *p, size_t length) {
    const char *end = p + length;
    char *to = room(j, length);
    if (!to) return 0;
    while (p < end) {
        const char *slash = memchr(p, '\\', (size_t)(end - p));
        size_t plain = (size_t)((slash ? slash : end) - p);
        memcpy(to, p, plain);
        to += plain;
        p += plain;
        if (!slash) break;
        if (end - p < 2) return 0;
        switch (p[1]) {
        case '/':
            *to++ = '/';
            p += 2;
            break;
        case '"':
        case '\\':
        case 'n':
        case 't':
            *to++ = '\\';
            *to++ = p[1];
            p += 2;
            break;
        case 'r': /* metadata has it before a line feed only */
            if (end - p < 4 || p[2] != '\\' || p[3] != 'n') return 0;
            memcpy(to, "\\r\\n", 4);
            to += 4;
            p += 4;
            break;
        case 'u': {
            int32_t code = end - p < 6 ? -1 : code_unit(p + 2), low;
            if (code < ' ') return 0;
            p += 6;
            if (code >= 0xd800 && code < 0xe000) {
                if (code >= 0xdc00 || end - p < 6 || p[0] != '\\' || p[1] != 'u') return 0;
                low = code_unit(p + 2);
                if (low < 0xdc00 || low >= 0xe000) return 0;
                code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
                p += 6;
            }
            if (code < 0x80) {
                if (code == '"' || code == '\\') *to++ = '\\';
                *to++ = (char)code;
            } else if (code < 0x800) {
                *to++ = (char)(0xc0 | code >> 6);
                *to++ = (char)(0x80 | (code & 0x3f));
            } else {
                if (code < 0x10000) {
                    *to++ = (char)(0xe0 | code >> 12);
                } else {
                    *to++ = (char)(0xf0 | code >> 18);
                    *to++ = (char)(0x80 | (code >> 12 & 0x3f));
                }
                *to++ = (char)(0x80 | (code >> 6 & 0x3f));
                *to++ = (char)(0x80 | (code & 0x3f));
            }
            break;
        }
        default: /* \b, \f, and what is no escape */
            return 0;
        }
    }
    j->used = (size_t)(to - j->out);
    return 1;
}

/* --- flags, dates, numbers ----------------------------------------------------------------------------------------- */

HM_INLINE int is_word(const char *text, size_t length, const char *word, size_t of) {
    if (length != of) return 0;
    for (size_t i = 0; i < of; i++)
        if ((text[i] | 0x20) != word[i]) return 0;
    return 1;
}

/* 1 or 0 for text that says true or false, -1 for other text, -2 where Python decides. */
static int flag_of(const char *text, size_t length, int odd) {
    if (odd) return -2; /* white space that is not ASCII may stand around it */
    while (length && *text == ' ') text++, length--;
    while (length && text[length - 1] == ' ') length--;
    return is_word(text, length, "true", 4) ? 1 : is_word(text, length, "false", 5) ? 0 : -1;
}

static char *put_digits(char *to, int64_t value, int digits) {
    for (int i = digits - 1; i >= 0; i--, value /= 10) to[i] = (char)('0' + value % 10);
    return to + digits;
}

#define HM_ISO_DATE 29 /* bytes of the longest */

/* The length of the ISO 8601 form of text such as /Date(1704067200000+0100)/; -1 where the text holds no such thing, -2 where
 * Python decides. Milliseconds since 1970; without an offset it is in UTC. */
static int iso_date(const char *text, size_t length, char *iso) {
    static const char mark[] = "/Date(";
    const size_t of_mark = sizeof mark - 1;
    size_t at = 0;
    while (at + of_mark <= length && memcmp(text + at, mark, of_mark)) at++;
    if (at + of_mark > length) return -1;
    const char *p = text + of_mark, *end = text + length;
    if (at) return -2;
    int64_t sign = 1, ms = 0, minutes = 0;
    if (p < end && *p == '-') sign = -1, p++;
    int digits = 0, has_offset = 0;
    for (; p < end && *p >= '0' && *p <= '9' && digits < 16; p++, digits++) ms = 10 * ms + (*p - '0');
    if (!digits || digits > 15) return -2;
    ms *= sign;
    if (p < end && (*p == '+' || *p == '-')) {
        if (end - p < 5) return -2;
        for (int i = 1; i < 5; i++)
            if (p[i] < '0' || p[i] > '9') return -2;
        minutes = 60 * (10 * (p[1] - '0') + (p[2] - '0')) + 10 * (p[3] - '0') + (p[4] - '0');
        if (minutes >= 24 * 60) return -2;
        if (*p == '-') minutes = -minutes;
        has_offset = 1;
        p += 5;
    }
    if (end - p != 2 || p[0] != ')' || p[1] != '/') return -2;

    const int64_t day_ms = 86400000, first = 719162, days_in_all = 3652059; /* 1970-01-01; years 1 to 9999 */
    int64_t day = 0, rest = 0, moved[2] = {ms, ms + 60000 * minutes};
    for (int i = 0; i < 2; i++) { /* the instant in UTC has to be in range too */
        day = moved[i] / day_ms;
        rest = moved[i] % day_ms;
        if (rest < 0) rest += day_ms, day--;
        day += first;
        if (day < 0 || day >= days_in_all) return -2;
    }
    int64_t year = day / 146097 * 400 + 1;
    day %= 146097;
    int64_t centuries = day / 36524 < 3 ? day / 36524 : 3;
    day -= 36524 * centuries;
    int64_t leaps = day / 1461;
    day -= 1461 * leaps;
    int64_t years = day / 365 < 3 ? day / 365 : 3;
    day -= 365 * years;
    year += 100 * centuries + 4 * leaps + years;
    int is_leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0, month = 1;
    for (;; month++) {
        int64_t in_month = month == 2 ? 28 + is_leap : 30 + ((month ^ month >> 3) & 1);
        if (day < in_month) break;
        day -= in_month;
    }
    char *to = put_digits(iso, year, 4);
    *to++ = '-';
    to = put_digits(to, month, 2);
    *to++ = '-';
    to = put_digits(to, day + 1, 2);
    *to++ = 'T';
    to = put_digits(to, rest / 3600000, 2);
    *to++ = ':';
    to = put_digits(to, rest / 60000 % 60, 2);
    *to++ = ':';
    to = put_digits(to, rest / 1000 % 60, 2);
    *to++ = '.';
    to = put_digits(to, rest % 1000, 3);
    if (has_offset) {
        *to++ = minutes < 0 ? '-' : '+';
        int64_t of = minutes < 0 ? -minutes : minutes;
        to = put_digits(to, of / 60, 2);
        *to++ = ':';
        to = put_digits(to, of % 60, 2);
    } else {
        *to++ = 'Z';
    }
    return (int)(to - iso);
}

/* Passes over a whole number of at most 18 digits. That nothing of a number follows shows at the next comma or bracket. */
static int whole_number(hm_json *j, int64_t *value) {
    const char *p = j->at;
    int64_t sign = 1, found = 0;
    if (p < j->end && *p == '-') sign = -1, p++;
    const char *first = p;
    for (; p < j->end && *p >= '0' && *p <= '9'; p++) {
        if (p - first == 18) return 0;
        found = 10 * found + (*p - '0');
    }
    if (p == first || (*first == '0' && (p - first > 1 || sign < 0))) return 0;
    *value = sign * found;
    j->at = p;
    return 1;
}

HM_INLINE int word(hm_json *j, const char *text, size_t length) {
    if ((size_t)(j->end - j->at) < length || memcmp(j->at, text, length)) return 0;
    j->at += length;
    return 1;
}

/* --- names --------------------------------------------------------------------------------------------------------- */

/* Which name a key is, or -1. */
HM_INLINE int name_of(const hm_members *names, const char *key, size_t length) {
    for (uint64_t of = names->of_length[length & 31]; of; of &= of - 1) {
        uint32_t low = (uint32_t)of;
        int i = (int)(low ? HM_LOWEST_BIT(low) : 32 + HM_LOWEST_BIT((uint32_t)(of >> 32)));
        if (names->length[i] == length + 3 && !memcmp(names->text[i] + 1, key, length)) return i;
    }
    return -1;
}

/* --- values -------------------------------------------------------------------------------------------------------- */

/* What a piece of canonical text is that metadata leaves out: null, "", [], {}. */
HM_INLINE int says_nothing(const char *text, size_t length) {
    return length == 2 ? *text == '"' || *text == '[' || *text == '{' : length == 4 && *text == 'n';
}

static int put_value(hm_json *j, int kind, int level);

static int put_string(hm_json *j, int kind) {
    const char *inside;
    size_t length, before = j->used;
    int odd;
    if (!string(j, &inside, &length, &odd)) return 0;
    if (kind == HM_FLAG) {
        int flag = flag_of(inside, length, odd);
        if (flag == -2) return 0;
        if (flag >= 0) return flag ? put(j, "true", 4) : put(j, "false", 5);
    }
    if (!(odd & HM_ESCAPES)) {
        if (!put(j, inside - 1, length + 2)) return 0;
    } else if (!put(j, "\"", 1) || !put_unescaped(j, inside, length) || !put(j, "\"", 1)) {
        return 0;
    }
    if (kind == HM_DATE) {
        char iso[HM_ISO_DATE];
        int of = iso_date(j->out + before + 1, j->used - before - 2, iso);
        if (of == -2) return 0;
        if (of >= 0) {
            j->used = before;
            return put(j, "\"", 1) && put(j, iso, (size_t)of) && put(j, "\"", 1);
        }
    }
    return 1;
}

/* `items` becomes how many there are. */
static int put_array(hm_json *j, int kind, int level, size_t *items) {
    *items = 0;
    if (level > j->deepest || !take(j, '[') || !put(j, "[", 1)) return 0;
    if (take(j, ']')) return put(j, "]", 1);
    for (;;) {
        if (!put_value(j, kind, level + 1)) return 0;
        ++*items;
        if (take(j, ']')) return put(j, "]", 1);
        if (!take(j, ',') || !put(j, ",", 1)) return 0;
    }
}

typedef struct {
    const char *key; /* in the text that is read */
    size_t length;
    size_t from, to; /* in the output, with the comma behind it; equal for a member that is left out */
} member;

HM_INLINE int compare_keys(const member *a, const member *b) {
    int sign = memcmp(a->key, b->key, a->length < b->length ? a->length : b->length);
    return sign ? sign : (a->length > b->length) - (a->length < b->length);
}

static int put_object(hm_json *j, int level) {
    member members[HM_NAMES];
    int count = 0, ascending = 1, wide = j->wide;
    size_t start = j->used;
    if (level > j->deepest || !take(j, '{') || !put(j, "{", 1)) return 0;
    if (take(j, '}')) return put(j, "}", 1);
    for (;;) {
        if (count == HM_NAMES) return 0;
        member *m = &members[count];
        int odd;
        j->wide = 0;
        if (!string(j, &m->key, &m->length, &odd) || odd & HM_ESCAPES || !take(j, ':')) return 0;
        int known = name_of(j->inner, m->key, m->length), kind = known < 0 ? HM_ANY : j->inner->kind[known];
        m->from = j->used;
        if (!put(j, m->key - 1, m->length + 2) || !put(j, ":", 1)) return 0;
        size_t value = j->used;
        if (!put_value(j, kind, level + 1)) return 0;
        if (kind == HM_LEFT_OUT || says_nothing(j->out + value, j->used - value)) {
            /* Nobody will decode it. */
            if (j->wide) return 0;
            j->used = m->from;
        } else if (!put(j, ",", 1)) {
            return 0;
        }
        wide |= j->wide;
        m->to = j->used;
        if (count++) {
            int order = compare_keys(m - 1, m);
            if (!order) return 0;
            if (order > 0) ascending = 0;
        }
        if (take(j, '}')) break;
        if (!take(j, ',')) return 0;
    }
    j->wide = wide;
    if (!ascending) {
        uint8_t order[HM_NAMES];
        for (int i = 0; i < count; i++) {
            int at = i;
            for (; at; at--) {
                int sign = compare_keys(&members[order[at - 1]], &members[i]);
                if (!sign) return 0;
                if (sign < 0) break;
                order[at] = order[at - 1];
            }
            order[at] = (uint8_t)i;
        }
        size_t length = j->used - start - 1;
        char *sorted = room(j, length), *to = sorted;
        if (!sorted) return 0;
        for (int i = 0; i < count; i++) {
            const member *m = &members[order[i]];
            memcpy(to, j->out + m->from, m->to - m->from);
            to += m->to - m->from;
        }
        memcpy(j->out + start + 1, sorted, length);
    }
    if (j->used == start + 1) return put(j, "}", 1);
    j->out[j->used - 1] = '}';
    return 1;
}

/* Passes over any value and writes it as canonical text. 0 where it is not usual, or there is no memory. */
static int put_value(hm_json *j, int kind, int level) {
    const char *from = j->at;
    int64_t number;
    size_t items;
    if (from >= j->end) return 0;
    switch (*from) {
    case '"':
        return put_string(j, kind);
    case '[':
        return put_array(j, kind, level, &items);
    case '{':
        return put_object(j, level);
    case 't':
        return word(j, "true", 4) && put(j, "true", 4);
    case 'f':
        return word(j, "false", 5) && put(j, "false", 5);
    case 'n':
        return word(j, "null", 4) && put(j, "null", 4);
    default:
        return whole_number(j, &number) && put(j, from, (size_t)(j->at - from));
    }
}

#endif
