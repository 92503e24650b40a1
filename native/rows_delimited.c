/* Rows of delimited text (CSV) to tuples: the fast way of the readers of such lists.
 *
 * What the columns mean is data from Python (hashmatch/kernels/delimited.py, whose pure version is the same in other
 * words): this file knows hexadecimal, base64, JSON text and presence masks, but no format. It takes row after row, in one
 * pass over the bytes, up to the first that is unusual in any way: that one is for the reader's plain way, which can say
 * what is wrong with it. So nothing here ever reports what it found.
 *
 * A text of bytes does not change, so pointers into it stay good whatever other code runs while objects are made. */

#define PY_SSIZE_T_CLEAN
#define Py_LIMITED_API 0x030B0000
#include <Python.h>

#include <stdint.h>
#include <string.h>

#include "kernels.h"
#include "rows.h"

#define CAPSULE "hashmatch._native.row_plan"

/* Of a row: columns, fields of the tuple, digits of a hash, hashes. All far above what is in use. */
#define MOST_COLUMNS 4096
#define MOST_FIELDS 32
#define MOST_DIGITS 1024
#define MOST_HASHES 32

/* The kinds of columns, as hashmatch.kernels.delimited.Kind numbers them. */
enum {
    NOTHING,      /* must be empty */
    IGNORED,      /* any printable ASCII */
    HEXADECIMAL,  /* a hash */
    BASE64,       /* a hash */
    TEXT_FIELD,   /* text, into a field of the tuple */
    NUMBER_FIELD, /* a whole number, into a field */
    WORD_FIELD,   /* one of some words, each of which stands for an object, into a field */
    TEXT_PIECE,   /* text, into the JSON object; left out where it is empty */
    NUMBER_PIECE,
    WORD_PIECE, /* one of some words, each of which stands for JSON text */
    KINDS,
};

typedef struct {
    const uint8_t *text; /* lower case */
    size_t size;
    PyObject *value;      /* WORD_FIELD */
    const uint8_t *piece; /* WORD_PIECE */
    size_t piece_size;
} word;

typedef struct {
    int kind;
    int optional;       /* whether the cell may be empty (text: may be blank) */
    unsigned field;     /* of the tuple */
    uint32_t bit;       /* of the presence mask */
    size_t digits;      /* of a hash; its bytes; where they stand in the scratch */
    size_t width, offset;
    int tail;               /* a byte behind the hash, or -1 */
    const uint8_t *refused; /* a hash that is unusual, or NULL */
    const uint8_t *head;    /* of a piece: ,"key": */
    size_t head_size;
    word *words;
    size_t words_count;
} column;

typedef struct {
    PyObject *columns_given; /* owns all texts and values that the columns point to */
    PyObject *type, *defaults;
    size_t width, fields, pieces_count, hashes_count, hashes_size, fixed, max_text;
    unsigned pieces_field, hashes_field;
    uint8_t delimiter;
    uint8_t class_of[256]; /* of a byte in a cell that is no hash */
    column *columns;
    word *words;
    unsigned *pieces, *hashes; /* columns, in the order in which they are put together */
} plan;

/* Classes of bytes. */
#define STOPS 1  /* ends a cell, or has no place in one */
#define ESCAPED 2 /* is written with a backslash in JSON */
#define FOREIGN 4 /* part of a character that is not ASCII */
#define VISIBLE 8 /* ASCII, and not a blank */

typedef struct {
    const uint8_t *text;
    size_t size;
    unsigned seen; /* classes of its bytes */
    const word *found;
    long long number;
} cell;

typedef struct {
    cell *cells;
    uint8_t *json;
    size_t capacity;
    uint32_t mask;
    uint8_t *hashes; /* of every column with hashes, whether it is there or not */
} scratch;

/* --- text to bytes -------------------------------------------------------------------------------------------------- */

/* Written so that a compiler makes vectors of both loops: a row may be half a kilobyte of digits. */
static int unhex(const uint8_t *restrict text, size_t digits, uint8_t *restrict out) {
    uint8_t nibbles[MOST_DIGITS];
    uint8_t bad = 0;
    for (size_t i = 0; i < digits; i++) {
        uint8_t c = text[i], digit = (uint8_t)(c - '0'), letter = (uint8_t)((c | 0x20) - 'a');
        uint8_t is_digit = digit <= 9 ? 0xff : 0, is_letter = letter <= 5 ? 0xff : 0;
        bad |= (uint8_t)~(is_digit | is_letter);
        nibbles[i] = (uint8_t)((digit & is_digit) | ((letter + 10) & is_letter));
    }
    for (size_t i = 0; i < digits / 2; i++) out[i] = (uint8_t)(nibbles[2 * i] << 4 | nibbles[2 * i + 1]);
    return !bad;
}

#define NONE 0x80
#define R4(x) x, x, x, x
#define R16(x) R4(x), R4(x), R4(x), R4(x)
/* clang-format off */
static const uint8_t sextets[256] = {
    R16(NONE), R16(NONE), R4(NONE), R4(NONE), NONE, NONE, NONE, 62, NONE, NONE, NONE, 63,
    52, 53, 54, 55, 56, 57, 58, 59, 60, 61, NONE, NONE, R4(NONE),
    NONE, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, NONE, R4(NONE),
    NONE, 26, 27, 28, 29, 30, 31, 32, 33, 34, 35, 36, 37, 38, 39, 40, 41, 42, 43, 44, 45, 46, 47, 48, 49, 50, 51, NONE, R4(NONE),
    R16(NONE), R16(NONE), R16(NONE), R16(NONE), R16(NONE), R16(NONE), R16(NONE), R16(NONE),
};
/* clang-format on */

/* Whole groups only, so there is no padding. */
static int unbase64(const uint8_t *restrict text, size_t digits, uint8_t *restrict out) {
    uint32_t bad = 0;
    for (size_t i = 0; i < digits; i += 4, out += 3) {
        uint32_t a = sextets[text[i]], b = sextets[text[i + 1]], c = sextets[text[i + 2]], d = sextets[text[i + 3]];
        uint32_t three = a << 18 | b << 12 | c << 6 | d;
        bad |= a | b | c | d;
        out[0] = (uint8_t)(three >> 16);
        out[1] = (uint8_t)(three >> 8);
        out[2] = (uint8_t)three;
    }
    return !(bad & NONE);
}

/* --- one row -------------------------------------------------------------------------------------------------------- */

static void strip(cell *c) {
    while (c->size && *c->text == ' ') c->text++, c->size--;
    while (c->size && c->text[c->size - 1] == ' ') c->size--;
}

/* 1 to 18 digits, without the zeros before them. */
static int read_number(cell *c) {
    if (!c->size || c->size > 18) return 0;
    long long number = 0;
    for (size_t i = 0; i < c->size; i++) {
        unsigned digit = (unsigned)c->text[i] - '0';
        if (digit > 9) return 0;
        number = number * 10 + (int)digit;
    }
    while (c->size > 1 && *c->text == '0') c->text++, c->size--;
    c->number = number;
    return 1;
}

static const word *find_word(const column *col, const cell *c) {
    for (const word *w = col->words; w < col->words + col->words_count; w++) {
        if (w->size != c->size) continue;
        size_t i = 0;
        while (i < c->size && (uint8_t)(c->text[i] + ((uint8_t)(c->text[i] - 'A') < 26) * 32) == w->text[i]) i++;
        if (i == c->size) return w;
    }
    return NULL;
}

/* Whether a cell that is no hash says what its column may say. */
static int read_cell(const plan *p, const column *col, cell *c) {
    switch (col->kind) {
    case NOTHING: return !c->size;
    case IGNORED: return !(c->seen & FOREIGN);
    case TEXT_FIELD: return c->size <= p->max_text && (col->optional || c->size);
    case TEXT_PIECE: return c->size <= p->max_text;
    case NUMBER_FIELD:
    case NUMBER_PIECE:
        strip(c);
        return c->size ? read_number(c) : col->optional;
    default:
        strip(c);
        c->found = find_word(col, c);
        return c->found != NULL;
    }
}

/* The row that starts at `at`: its cells, its hashes and its mask into `s`. Where the next row starts, or NULL if it is
 * unusual. Before `end` stands a line feed, so that what looks for the end of a cell always finds one. */
static const uint8_t *read_row(const plan *p, const uint8_t *at, const uint8_t *end, scratch *s) {
    uint8_t delimiter = p->delimiter;
    s->mask = 0;
    for (size_t i = 0; i < p->width; i++) {
        const column *col = &p->columns[i];
        if (col->kind == HEXADECIMAL || col->kind == BASE64) {
            if (*at != delimiter && *at != '\n') {
                uint8_t *out = s->hashes + col->offset;
                if ((size_t)(end - at) <= col->digits) return NULL;
                if (!(col->kind == BASE64 ? unbase64 : unhex)(at, col->digits, out)) return NULL;
                if (col->refused && !memcmp(out, col->refused, col->width)) return NULL;
                at += col->digits;
                s->mask |= col->bit;
            }
        } else {
            cell *c = &s->cells[i];
            unsigned seen = 0, class_of;
            c->text = at;
            while (class_of = p->class_of[*at], !(class_of & STOPS)) {
                seen |= class_of;
                at++;
            }
            c->size = (size_t)(at - c->text);
            c->seen = seen;
            if (!read_cell(p, col, c)) return NULL;
        }
        if (i + 1 < p->width && *at++ != delimiter) return NULL;
    }
    while (*at == delimiter) at++; /* some programs end every row with empty cells */
    return *at == '\n' && s->mask ? at + 1 : NULL;
}

/* --- objects of a row ------------------------------------------------------------------------------------------------ */

static uint8_t *put(uint8_t *out, const uint8_t *bytes, size_t size) {
    memcpy(out, bytes, size);
    return out + size;
}

static uint8_t *put_escaped(uint8_t *out, const cell *c) {
    for (size_t i = 0; i < c->size; i++) {
        uint8_t byte = c->text[i];
        if (byte == '\\' || byte == '\t') *out++ = '\\';
        *out++ = byte == '\t' ? 't' : byte;
    }
    return out;
}

/* The JSON object of a row of `length` bytes; a new reference. */
static PyObject *make_object(const plan *p, scratch *s, size_t length) {
    size_t needed = p->fixed + 2 * length;
    if (needed > s->capacity) {
        uint8_t *more = PyMem_Realloc(s->json, needed);
        if (!more) return PyErr_NoMemory();
        s->json = more;
        s->capacity = needed;
    }
    uint8_t *out = s->json;
    for (size_t i = 0; i < p->pieces_count; i++) {
        const column *col = &p->columns[p->pieces[i]];
        const cell *c = &s->cells[p->pieces[i]];
        if (!c->size && col->kind != WORD_PIECE) continue;
        out = put(out, col->head, col->head_size);
        if (col->kind == WORD_PIECE) {
            out = put(out, c->found->piece, c->found->piece_size);
        } else if (col->kind == NUMBER_PIECE) {
            out = put(out, c->text, c->size);
        } else {
            *out++ = '"';
            out = c->seen & ESCAPED ? put_escaped(out, c) : put(out, c->text, c->size);
            *out++ = '"';
        }
    }
    if (out == s->json) return PyUnicode_FromStringAndSize("", 0);
    s->json[0] = '{'; /* in the place of the first comma */
    *out++ = '}';
    return PyUnicode_FromStringAndSize((const char *)s->json, out - s->json);
}

/* The mask and the hashes of a row; a new reference. */
static PyObject *make_hashes(const plan *p, const scratch *s) {
    size_t size = 4;
    for (size_t i = 0; i < p->hashes_count; i++) {
        const column *col = &p->columns[p->hashes[i]];
        if (s->mask & col->bit) size += col->width + (col->tail >= 0);
    }
    PyObject *made = PyBytes_FromStringAndSize(NULL, (Py_ssize_t)size);
    if (!made) return NULL;
    uint8_t *out = (uint8_t *)PyBytes_AsString(made);
    for (int i = 0; i < 4; i++) *out++ = (uint8_t)(s->mask >> 8 * i);
    for (size_t i = 0; i < p->hashes_count; i++) {
        const column *col = &p->columns[p->hashes[i]];
        if (!(s->mask & col->bit)) continue;
        out = put(out, s->hashes + col->offset, col->width);
        if (col->tail >= 0) *out++ = (uint8_t)col->tail;
    }
    return made;
}

static PyObject *make_text(const column *col, const cell *c) {
    PyObject *text = PyUnicode_FromStringAndSize((const char *)c->text, (Py_ssize_t)c->size);
    if (!text || col->optional || c->seen & VISIBLE) return text;
    /* Blanks of all the scripts are for Python to know. */
    PyObject *blank = PyObject_CallMethod(text, "isspace", NULL);
    int is_blank = blank ? PyObject_IsTrue(blank) : -1;
    Py_XDECREF(blank);
    if (!is_blank) return text;
    Py_DECREF(text);
    if (is_blank > 0) PyErr_SetString(PyExc_ValueError, "blank");
    return NULL;
}

/* The fields of a row into `row`, a tuple that nobody else has. 0; -1 with an exception: ValueError where the row is
 * unusual after all (among others, what is not UTF-8). */
static int fill(const plan *p, scratch *s, size_t length, PyObject *row) {
    for (size_t i = 0; i < p->width; i++) {
        const column *col = &p->columns[i];
        const cell *c = &s->cells[i];
        PyObject *value;
        if (col->kind == TEXT_FIELD) {
            value = make_text(col, c);
        } else if (col->kind == WORD_FIELD) {
            value = Py_NewRef(c->found->value);
        } else if (col->kind == NUMBER_FIELD) {
            value = c->size ? PyLong_FromLongLong(c->number) : Py_NewRef(PyTuple_GetItem(p->defaults, col->field));
        } else {
            continue;
        }
        if (!value || PyTuple_SetItem(row, col->field, value) < 0) return -1;
    }
    if (p->pieces_count) {
        PyObject *value = make_object(p, s, length);
        if (!value || PyTuple_SetItem(row, p->pieces_field, value) < 0) return -1;
    }
    PyObject *value = make_hashes(p, s);
    return value ? PyTuple_SetItem(row, p->hashes_field, value) : -1;
}

/* --- the functions ---------------------------------------------------------------------------------------------------- */

static void free_plan(plan *p) {
    Py_XDECREF(p->columns_given);
    Py_XDECREF(p->type);
    Py_XDECREF(p->defaults);
    PyMem_Free(p->columns);
    PyMem_Free(p->words);
    PyMem_Free(p->pieces);
    PyMem_Free(p->hashes);
    PyMem_Free(p);
}

static void release_plan(PyObject *capsule) { free_plan(PyCapsule_GetPointer(capsule, CAPSULE)); }

static int wrong(const char *what) {
    PyErr_SetString(PyExc_ValueError, what);
    return -1;
}

static int take_words(const column *col, PyObject *given, word *out) {
    for (Py_ssize_t i = 0; i < PyTuple_Size(given); i++) {
        PyObject *text, *value;
        char *bytes;
        Py_ssize_t size;
        PyObject *pair = PyTuple_GetItem(given, i);
        if (!PyTuple_Check(pair)) return wrong("a word without what it stands for");
        if (!PyArg_ParseTuple(pair, "SO", &text, &value)) return -1;
        if (PyBytes_AsStringAndSize(text, &bytes, &size) < 0) return -1;
        out[i] = (word){.text = (const uint8_t *)bytes, .size = (size_t)size, .value = value};
        if (col->kind == WORD_PIECE) {
            if (PyBytes_AsStringAndSize(value, &bytes, &size) < 0) return -1;
            out[i].piece = (const uint8_t *)bytes;
            out[i].piece_size = (size_t)size;
        }
    }
    return 0;
}

/* One column from (kind, field, optional, bit, digits, width, tail, refused, head, words). */
static int take_column(plan *p, PyObject *given, column *col, word **words) {
    int kind, optional, tail;
    unsigned bit;
    Py_ssize_t field, digits, width, size;
    PyObject *refused, *head, *of;
    char *bytes;
    if (!PyTuple_Check(given)) return wrong("a column that is no tuple");
    if (!PyArg_ParseTuple(given, "inpInniSSO!", &kind, &field, &optional, &bit, &digits, &width, &tail, &refused, &head,
                          &PyTuple_Type, &of)) {
        return -1;
    }
    if (kind < 0 || kind >= KINDS) return wrong("a kind of column that does not exist");
    if (field < 0 || (size_t)field >= p->fields) return wrong("a field that the tuple does not have");
    *col = (column){.kind = kind, .optional = optional, .field = (unsigned)field, .tail = tail};
    if (kind == HEXADECIMAL || kind == BASE64) {
        size_t group = kind == BASE64 ? 4 : 2, of_group = kind == BASE64 ? 3 : 1;
        if (digits <= 0 || digits > MOST_DIGITS || (size_t)digits % group || width != (Py_ssize_t)(digits / group * of_group) ||
            bit > 31 || tail < -1 || tail > 255 || p->hashes_count == MOST_HASHES) {
            return wrong("a hash of a strange width");
        }
        col->bit = (uint32_t)1 << bit;
        col->digits = (size_t)digits;
        col->width = (size_t)width;
        col->offset = p->hashes_size;
        if (PyBytes_AsStringAndSize(refused, &bytes, &size) < 0) return -1;
        if (size && size != width) return wrong("a refused hash of another width");
        if (size) col->refused = (const uint8_t *)bytes;
        p->hashes_size += col->width;
        p->hashes_count++;
    }
    if (kind >= TEXT_PIECE) {
        if (PyBytes_AsStringAndSize(head, &bytes, &size) < 0) return -1;
        if (!size || *bytes != ',') return wrong("the head of a piece does not begin with a comma");
        col->head = (const uint8_t *)bytes;
        col->head_size = (size_t)size;
        p->fixed += (size_t)size + 3;
        p->pieces_count++;
    }
    if (kind == WORD_FIELD || kind == WORD_PIECE) {
        col->words = *words;
        col->words_count = (size_t)PyTuple_Size(of);
        if (take_words(col, of, col->words) < 0) return -1;
        *words += col->words_count;
        size_t longest = 0;
        for (size_t i = 0; kind == WORD_PIECE && i < col->words_count; i++) {
            if (col->words[i].piece_size > longest) longest = col->words[i].piece_size;
        }
        p->fixed += longest;
    }
    return 0;
}

/* The columns that are put together, each once and all of them, from a tuple of their numbers. */
static unsigned *take_order(const plan *p, PyObject *given, size_t count, int pieces) {
    unsigned *order = PyMem_Calloc(count + 1, sizeof *order);
    if (!order) {
        PyErr_NoMemory();
        return NULL;
    }
    size_t taken = 0;
    for (Py_ssize_t i = 0; i < PyTuple_Size(given) && taken < count; i++) {
        size_t number = PyLong_AsSize_t(PyTuple_GetItem(given, i));
        if (PyErr_Occurred()) goto failed;
        if (number >= p->width) break;
        int kind = p->columns[number].kind;
        if (pieces ? kind < TEXT_PIECE : kind != HEXADECIMAL && kind != BASE64) break;
        order[taken++] = (unsigned)number;
    }
    /* As many as there are, and no column twice: so all of them. */
    int sound = taken == count && (size_t)PyTuple_Size(given) == count;
    for (size_t i = 0; i < taken; i++) {
        for (size_t k = 0; k < i; k++) sound &= order[i] != order[k];
    }
    if (sound) return order;
    wrong("an order that does not name every column once");
failed:
    PyMem_Free(order);
    return NULL;
}

static void classify(plan *p) {
    for (int byte = 0; byte < 256; byte++) p->class_of[byte] = byte < 0x20 ? STOPS : byte < 0x80 ? VISIBLE : FOREIGN;
    p->class_of[' '] = 0;
    p->class_of['\t'] = ESCAPED;
    p->class_of['\\'] = ESCAPED | VISIBLE;
    p->class_of['"'] = STOPS;
    p->class_of[p->delimiter] = STOPS;
}

static int take_plan(plan *p, PyObject *columns, PyObject *pieces, PyObject *hashes) {
    size_t words = 0;
    for (size_t i = 0; i < p->width; i++) {
        PyObject *given = PyTuple_GetItem(columns, (Py_ssize_t)i);
        PyObject *of = PyTuple_Check(given) && PyTuple_Size(given) == 10 ? PyTuple_GetItem(given, 9) : NULL;
        if (!of || !PyTuple_Check(of)) return wrong("a column of another form");
        words += (size_t)PyTuple_Size(of);
    }
    p->columns = PyMem_Calloc(p->width, sizeof *p->columns);
    p->words = PyMem_Calloc(words + 1, sizeof *p->words);
    if (!p->columns || !p->words) {
        PyErr_NoMemory();
        return -1;
    }
    word *next = p->words;
    p->fixed = 2;
    for (size_t i = 0; i < p->width; i++) {
        if (take_column(p, PyTuple_GetItem(columns, (Py_ssize_t)i), &p->columns[i], &next) < 0) return -1;
    }
    p->pieces = take_order(p, pieces, p->pieces_count, 1);
    p->hashes = p->pieces ? take_order(p, hashes, p->hashes_count, 0) : NULL;
    return p->hashes ? 0 : -1;
}

/* row_plan(delimiter, columns, pieces, hashes, type, defaults, pieces_field, hashes_field, max_text) -> plan. */
static PyObject *row_plan(PyObject *self, PyObject *args) {
    (void)self;
    int delimiter;
    Py_ssize_t pieces_field, hashes_field, max_text;
    PyObject *columns, *pieces, *hashes, *type, *defaults;
    if (!PyArg_ParseTuple(args, "iO!O!O!O!O!nnn", &delimiter, &PyTuple_Type, &columns, &PyTuple_Type, &pieces, &PyTuple_Type,
                          &hashes, &PyType_Type, &type, &PyTuple_Type, &defaults, &pieces_field, &hashes_field, &max_text)) {
        return NULL;
    }
    Py_ssize_t width = PyTuple_Size(columns), fields = PyTuple_Size(defaults);
    if (!PyType_IsSubtype((PyTypeObject *)type, &PyTuple_Type)) return PyErr_Format(PyExc_TypeError, "no type of tuples");
    if (width <= 0 || width > MOST_COLUMNS || fields <= 0 || fields > MOST_FIELDS || pieces_field < 0 ||
        pieces_field >= fields || hashes_field < 0 || hashes_field >= fields || max_text < 0 || delimiter <= 0 ||
        delimiter > 127 || !strchr(",;|\t", delimiter)) {
        wrong("a number that is outside its range");
        return NULL;
    }
    plan *p = PyMem_Calloc(1, sizeof *p);
    if (!p) return PyErr_NoMemory();
    p->columns_given = Py_NewRef(columns);
    p->type = Py_NewRef(type);
    p->defaults = Py_NewRef(defaults);
    p->width = (size_t)width;
    p->fields = (size_t)fields;
    p->pieces_field = (unsigned)pieces_field;
    p->hashes_field = (unsigned)hashes_field;
    p->max_text = (size_t)max_text;
    p->delimiter = (uint8_t)delimiter;
    classify(p);
    PyObject *capsule = take_plan(p, columns, pieces, hashes) < 0 ? NULL : PyCapsule_New(p, CAPSULE, release_plan);
    if (!capsule) free_plan(p);
    return capsule;
}

/* Rows from `start` on, appended to `rows`; where the first row starts that was not taken. SIZE_MAX: an exception. */
static size_t take_rows(const plan *p, const uint8_t *text, size_t start, size_t end, scratch *s, PyObject *rows) {
    PyObject *made = NULL;
    hm_tuple_maker maker;
    size_t at = start;
    if (hm_tuple_maker_init(&maker, p->type, p->defaults) < 0) goto failed;
    while (at < end) {
        const uint8_t *next = read_row(p, text + at, text + end, s);
        if (!next) break;
        if (fill(p, s, (size_t)(next - text) - at, maker.row) < 0) {
            if (!PyErr_ExceptionMatches(PyExc_ValueError)) goto failed;
            PyErr_Clear();
            break;
        }
        made = hm_tuple_make(&maker);
        if (!made || PyList_Append(rows, made) < 0) goto failed;
        Py_CLEAR(made);
        at = (size_t)(next - text);
    }
    goto done;
failed:
    at = SIZE_MAX;
done:
    Py_XDECREF(made);
    hm_tuple_maker_free(&maker);
    return at;
}

/* delimited_rows(plan, text, start) -> (rows, next): tuples of the rows that start at `start`, up to the first that is
 * unusual; where that one starts, or the end. */
static PyObject *delimited_rows(PyObject *self, PyObject *args) {
    (void)self;
    PyObject *capsule, *given;
    Py_ssize_t start, size;
    char *bytes;
    if (!PyArg_ParseTuple(args, "OSn", &capsule, &given, &start)) return NULL;
    const plan *p = PyCapsule_GetPointer(capsule, CAPSULE);
    if (!p || PyBytes_AsStringAndSize(given, &bytes, &size) < 0) return NULL;
    if (start < 0 || start > size) return PyErr_Format(PyExc_ValueError, "a start outside the text");
    const uint8_t *text = (const uint8_t *)bytes;
    size_t end = (size_t)size;
    while (end > (size_t)start && text[end - 1] != '\n') end--; /* what has no line end may have been cut off */
    PyObject *rows = PyList_New(0), *result = NULL;
    scratch *s = PyMem_Malloc(sizeof *s);
    if (s) *s = (scratch){.cells = PyMem_Calloc(p->width, sizeof(cell)), .hashes = PyMem_Malloc(p->hashes_size + 1)};
    if (!s || !s->cells || !s->hashes) {
        PyErr_NoMemory();
    } else if (rows) {
        size_t next = take_rows(p, text, (size_t)start, end, s, rows);
        if (next != SIZE_MAX) result = Py_BuildValue("(On)", rows, (Py_ssize_t)next);
    }
    if (s) {
        PyMem_Free(s->cells);
        PyMem_Free(s->hashes);
        PyMem_Free(s->json);
        PyMem_Free(s);
    }
    Py_XDECREF(rows);
    return result;
}

static PyMethodDef methods[] = {
    {"row_plan", row_plan, METH_VARARGS, NULL},
    {"delimited_rows", delimited_rows, METH_VARARGS, NULL},
    {NULL, NULL, 0, NULL},
};

int hm_add_rows_delimited_functions(PyObject *module) { return PyModule_AddFunctions(module, methods); }
