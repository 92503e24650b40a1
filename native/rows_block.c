/* Blocks of entries from rows and back: hashmatch/lists/block.py in C. FORMATS.md defines every byte.
 *
 * Each function here does the ordinary case and leaves the rest to its twin in Python by returning None: rows of other types
 * than readers make, text that is no UTF-8, a damaged block. So what is wrong with a block is said in one place, and a decoder
 * that meets something odd has nothing to do but to stop.
 *
 * What a row holds: (reference, category, media type, size, metadata, packed hashes, opinions, tag). */

#define PY_SSIZE_T_CLEAN
#define Py_LIMITED_API 0x030B0000
#include <Python.h>

#include <string.h>

#include "checksums.h"
#include "rows.h"

enum { REF, CATEGORY, MEDIA, SIZE, METADATA, PACKED, OPINIONS, TAG, FIELDS };

#define HEADER_BYTES 28
#define FIXED_BYTES 15 /* of a row: category, media type, size, mask */
#define MASK_BYTES 4

#if defined(__GNUC__)
#define PREFETCH(p) __builtin_prefetch(p)
#else
#define PREFETCH(p) (void)(p)
#endif

/* Hands the matter to the twin: an exception that was raised on the way says nothing that the twin would not say. Memory that
 * ran out is not its matter, nor is a program that is interrupted. */
static PyObject *leave_to_twin(void) {
    if (PyErr_Occurred()) {
        if (PyErr_ExceptionMatches(PyExc_MemoryError) || !PyErr_ExceptionMatches(PyExc_Exception)) return NULL;
        PyErr_Clear();
    }
    return Py_NewRef(Py_None);
}

typedef struct {
    const char *at;
    Py_ssize_t length;
} span;

/* 0, or -1 where it is no plain str, or holds half a character (an exception may be set). The text lives as long as the str. */
static int text_of(PyObject *text, span *out) {
    if (!PyUnicode_CheckExact(text)) return -1;
    out->at = PyUnicode_AsUTF8AndSize(text, &out->length);
    return out->at ? 0 : -1;
}

/* The row at a place of a list, borrowed; NULL where it is none, or the list has become shorter. */
static PyObject *row_at(PyObject *rows, Py_ssize_t at) {
    if (at >= PyList_Size(rows)) return NULL;
    PyObject *row = PyList_GetItem(rows, at);
    return row && PyTuple_CheckExact(row) && PyTuple_Size(row) == FIELDS ? row : NULL;
}

static int is_category(PyObject *category) {
    return PyTuple_CheckExact(category) && PyTuple_Size(category) == 2 && PyUnicode_CheckExact(PyTuple_GetItem(category, 0)) &&
           PyUnicode_CheckExact(PyTuple_GetItem(category, 1));
}

/* --- where blocks end ------------------------------------------------------------------------------------------------ */

/* block_ascends(rows) -> whether each reference is behind the one before it: by UTF-8, which is the order of code points */
static PyObject *block_ascends(PyObject *self, PyObject *rows) {
    (void)self;
    if (!PyList_CheckExact(rows)) return leave_to_twin();
    Py_ssize_t n = PyList_Size(rows);
    span former = {NULL, -1}; /* none yet */
    for (Py_ssize_t i = 0; i < n; i++) {
        PyObject *row = row_at(rows, i);
        span ref;
        if (!row || text_of(PyTuple_GetItem(row, REF), &ref) < 0) return leave_to_twin();
        if (former.length >= 0) {
            int order = memcmp(former.at, ref.at, (size_t)(former.length < ref.length ? former.length : ref.length));
            if (order > 0 || (!order && former.length >= ref.length)) return PyBool_FromLong(0);
        }
        former = ref;
    }
    return PyBool_FromLong(1);
}

/* block_ends(rows, bits) -> list of the places behind the rows whose reference's CRC-32 has all of these bits set */
static PyObject *block_ends(PyObject *self, PyObject *args) {
    (void)self;
    PyObject *rows;
    unsigned int bits;
    if (!PyArg_ParseTuple(args, "OI", &rows, &bits)) return NULL;
    if (!PyList_CheckExact(rows)) return leave_to_twin();
    PyObject *ends = PyList_New(0);
    if (!ends) return NULL;
    Py_ssize_t n = PyList_Size(rows);
    for (Py_ssize_t i = 0; i < n; i++) {
        PyObject *row = row_at(rows, i);
        span ref;
        if (!row || text_of(PyTuple_GetItem(row, REF), &ref) < 0) goto other;
        if ((hm_crc32((const uint8_t *)ref.at, (size_t)ref.length) & bits) != bits) continue;
        PyObject *end = PyLong_FromSsize_t(i + 1);
        int status = end ? PyList_Append(ends, end) : -1;
        Py_XDECREF(end);
        if (status < 0) goto other;
    }
    return ends;
other:
    Py_DECREF(ends);
    return leave_to_twin();
}

/* --- rows to a block ------------------------------------------------------------------------------------------------- */

/* Category -> 1 + its place in the ascending list of those of rows. Both are NULL where no row has one. */
typedef struct {
    PyObject *numbers, *ascending;
} categories_t;

static void release_categories(categories_t *categories) {
    Py_CLEAR(categories->numbers);
    Py_CLEAR(categories->ascending);
}

/* 0, or -1 (an exception may be set). */
static int collect_categories(PyObject *rows, Py_ssize_t first, Py_ssize_t last, categories_t *out) {
    PyObject *former = Py_None;
    for (Py_ssize_t i = first; i < last; i++) {
        PyObject *row = row_at(rows, i);
        if (!row) return -1;
        PyObject *category = PyTuple_GetItem(row, CATEGORY);
        if (category == former || category == Py_None) continue;
        if (!is_category(category)) return -1;
        Py_INCREF(category); /* a new dictionary may wake the garbage collector, and that any code */
        if (!out->numbers) out->numbers = PyDict_New();
        int status = out->numbers ? PyDict_SetItem(out->numbers, category, Py_None) : -1;
        former = category; /* only ever compared */
        Py_DECREF(category);
        if (status < 0) return -1;
    }
    if (!out->numbers) return 0;
    out->ascending = PyDict_Keys(out->numbers);
    if (!out->ascending || PyList_Sort(out->ascending) < 0) return -1;
    Py_ssize_t count = PyList_Size(out->ascending);
    if (count > UINT16_MAX) return -1;
    for (Py_ssize_t i = 0; i < count; i++) {
        PyObject *number = PyLong_FromSsize_t(i + 1);
        int status = number ? PyDict_SetItem(out->numbers, PyList_GetItem(out->ascending, i), number) : -1;
        Py_XDECREF(number);
        if (status < 0) return -1;
    }
    return 0;
}

/* The number of a category; -1 where it has none (an exception may be set). */
static long number_of(const categories_t *categories, PyObject *category) {
    if (category == Py_None) return 0;
    if (!categories->numbers || !is_category(category)) return -1;
    PyObject *number = PyDict_GetItemWithError(categories->numbers, category);
    return number ? PyLong_AsLong(number) : -1;
}

/* What one row adds to a block. */
typedef struct {
    PyObject *fields[FIELDS];
    span ref, packed, metadata, opinions;
    int64_t size;
    uint16_t category;
    uint8_t media;
} item;

typedef struct {
    uint64_t names, keys, bodies, more, said;
    int any_metadata, any_opinions;
} sums;

/* Reads rows and checks them: 0, or -1 (an exception may be set). Allocates nothing that the garbage collector knows, so no
 * other code runs and what `items` points to stays. */
static int read_rows(PyObject *rows, Py_ssize_t first, Py_ssize_t last, PyObject *media, const categories_t *categories,
                     item *items, sums *out) {
    Py_ssize_t n = last - first;
    /* Rows come from all over the memory: ask for what they point to before it is needed. */
    for (Py_ssize_t i = 0; i < n; i++) {
        PyObject *row = row_at(rows, first + i);
        if (!row) return -1;
        for (int f = 0; f < TAG; f++) items[i].fields[f] = PyTuple_GetItem(row, f);
        PREFETCH(items[i].fields[REF]);
        PREFETCH(items[i].fields[SIZE]);
        PREFETCH(items[i].fields[METADATA]);
        PREFETCH(items[i].fields[PACKED]);
    }
    PyObject *former_media = NULL, *former_category = NULL;
    long kind = 0, number = 0;
    for (Py_ssize_t i = 0; i < n; i++) {
        item *it = &items[i];
        PyObject *const *fields = it->fields;
        if (text_of(fields[REF], &it->ref) < 0 || text_of(fields[METADATA], &it->metadata) < 0 ||
            text_of(fields[OPINIONS], &it->opinions) < 0) {
            return -1;
        }
        if (fields[CATEGORY] != former_category) {
            number = number_of(categories, fields[CATEGORY]);
            if (number < 0) return -1;
            former_category = fields[CATEGORY];
        }
        if (fields[MEDIA] != former_media) {
            if (!PyUnicode_CheckExact(fields[MEDIA])) return -1;
            PyObject *found = PyDict_GetItemWithError(media, fields[MEDIA]);
            kind = found ? PyLong_AsLong(found) : -1;
            if (kind < 0 || kind > UINT8_MAX) return -1;
            former_media = fields[MEDIA];
        }
        it->category = (uint16_t)number;
        it->media = (uint8_t)kind;
        it->size = -1;
        if (fields[SIZE] != Py_None) {
            int overflow;
            if (!PyLong_CheckExact(fields[SIZE])) return -1;
            it->size = PyLong_AsLongLongAndOverflow(fields[SIZE], &overflow);
            if (overflow) return -1;
        }
        if (!PyBytes_CheckExact(fields[PACKED])) return -1;
        it->packed.at = PyBytes_AsString(fields[PACKED]);
        it->packed.length = PyBytes_Size(fields[PACKED]);
        if (it->packed.length < MASK_BYTES) return -1;
        out->keys += (uint64_t)it->ref.length + 1;
        out->bodies += (uint64_t)(it->packed.length - MASK_BYTES);
        out->more += (uint64_t)it->metadata.length + 1;
        out->said += (uint64_t)it->opinions.length + 1;
        out->any_metadata |= it->metadata.length > 0;
        out->any_opinions |= it->opinions.length > 0;
    }
    if (!out->any_metadata) out->more = 0;
    if (!out->any_opinions) out->said = 0;
    for (Py_ssize_t i = 0; categories->ascending && i < PyList_Size(categories->ascending); i++) {
        for (int half = 0; half < 2; half++) {
            span text;
            if (text_of(PyTuple_GetItem(PyList_GetItem(categories->ascending, i), half), &text) < 0) return -1;
            out->names += (uint64_t)text.length + 1;
        }
    }
    return out->names > UINT32_MAX || out->keys > UINT32_MAX || out->bodies > UINT32_MAX || out->more > UINT32_MAX ||
                   out->said > UINT32_MAX
               ? -1
               : 0;
}

static char *put(char *to, const void *from, size_t length) {
    memcpy(to, from, length);
    return to + length;
}

static char *put_text(char *to, span text) {
    memcpy(to, text.at, (size_t)text.length);
    to[text.length] = 0;
    return to + text.length + 1;
}

static void write_block(char *to, const item *items, size_t n, const categories_t *categories, const sums *sizes) {
    size_t count = categories->ascending ? (size_t)PyList_Size(categories->ascending) : 0;
    uint32_t header[7] = {(uint32_t)n,
                          (uint32_t)count,
                          (uint32_t)sizes->names,
                          (uint32_t)sizes->keys,
                          (uint32_t)sizes->bodies,
                          (uint32_t)sizes->more,
                          (uint32_t)sizes->said};
    to = put(to, header, HEADER_BYTES);
    char *numbers = to, *kinds = to + 2 * n, *lengths = to + 3 * n, *masks = to + 11 * n;
    to += FIXED_BYTES * n;
    for (size_t i = 0; i < n; i++) {
        memcpy(numbers + 2 * i, &items[i].category, 2);
        kinds[i] = (char)items[i].media;
        memcpy(lengths + 8 * i, &items[i].size, 8);
        memcpy(masks + 4 * i, items[i].packed.at, MASK_BYTES);
    }
    for (size_t i = 0; i < count; i++) {
        PyObject *category = PyList_GetItem(categories->ascending, (Py_ssize_t)i);
        for (int half = 0; half < 2; half++) {
            span text = {NULL, 0};
            if (text_of(PyTuple_GetItem(category, half), &text) == 0) to = put_text(to, text);
        }
    }
    for (size_t i = 0; i < n; i++) to = put_text(to, items[i].ref);
    for (size_t i = 0; i < n; i++) {
        to = put(to, items[i].packed.at + MASK_BYTES, (size_t)(items[i].packed.length - MASK_BYTES));
    }
    for (size_t i = 0; sizes->more && i < n; i++) to = put_text(to, items[i].metadata);
    for (size_t i = 0; sizes->said && i < n; i++) to = put_text(to, items[i].opinions);
}

/* encode_block(rows, first, last, media) -> the block of these rows of a list; `media` gives each media type its number */
static PyObject *encode_block(PyObject *self, PyObject *args) {
    (void)self;
    PyObject *rows, *media, *block = NULL;
    Py_ssize_t first, last;
    if (!PyArg_ParseTuple(args, "OnnO!", &rows, &first, &last, &PyDict_Type, &media)) return NULL;
    if (!PyList_CheckExact(rows) || first < 0 || last <= first || last > PyList_Size(rows)) return leave_to_twin();
    size_t n = (size_t)(last - first);
    if (n > UINT32_MAX) return leave_to_twin();
    categories_t categories = {NULL, NULL};
    sums sizes = {0, 0, 0, 0, 0, 0, 0};
    item *items = PyMem_Malloc(n * sizeof *items);
    if (!items) return PyErr_NoMemory();
    if (collect_categories(rows, first, last, &categories) == 0 &&
        read_rows(rows, first, last, media, &categories, items, &sizes) == 0) {
        uint64_t total = HEADER_BYTES + (uint64_t)FIXED_BYTES * n + sizes.names + sizes.keys + sizes.bodies + sizes.more + sizes.said;
        block = PyBytes_FromStringAndSize(NULL, (Py_ssize_t)total);
        if (block) write_block(PyBytes_AsString(block), items, n, &categories, &sizes);
    }
    PyMem_Free(items);
    release_categories(&categories);
    return block ? block : leave_to_twin();
}

/* --- a block to rows ------------------------------------------------------------------------------------------------- */

/* A part of a block that is read text by text. */
typedef struct {
    const char *at, *end;
} texts;

/* The text up to the next NUL, which is passed: a new str, or NULL where there is none, or it is no UTF-8 (an exception may be
 * set). */
static PyObject *next_text(texts *part) {
    const char *end = part->at == part->end ? NULL : memchr(part->at, 0, (size_t)(part->end - part->at));
    if (!end) return NULL;
    PyObject *text = PyUnicode_FromStringAndSize(part->at, end - part->at);
    part->at = end + 1;
    return text;
}

/* Where everything stands in a block. */
typedef struct {
    size_t n, count;
    const uint8_t *numbers, *kinds, *lengths, *masks, *body, *body_end;
    texts names, keys, more, said;
} layout;

/* 0, or -1 where the header or the tags say otherwise than the bytes. */
static int lay_out(const uint8_t *block, size_t size, layout *out) {
    uint32_t header[7];
    if (size < HEADER_BYTES) return -1;
    memcpy(header, block, HEADER_BYTES);
    uint64_t total = HEADER_BYTES + (uint64_t)FIXED_BYTES * header[0];
    for (int i = 2; i < 7; i++) total += header[i];
    if (total != size || !header[0]) return -1;
    size_t n = out->n = header[0];
    out->count = header[1];
    out->numbers = block + HEADER_BYTES;
    out->kinds = out->numbers + 2 * n;
    out->lengths = out->numbers + 3 * n;
    out->masks = out->numbers + 11 * n;
    const uint8_t *edges[6] = {out->numbers + FIXED_BYTES * n};
    for (int i = 0; i < 5; i++) edges[i + 1] = edges[i] + header[i + 2];
    out->names = (texts){(const char *)edges[0], (const char *)edges[1]};
    out->keys = (texts){(const char *)edges[1], (const char *)edges[2]};
    out->body = edges[2];
    out->body_end = edges[3];
    out->more = (texts){(const char *)edges[3], (const char *)edges[4]};
    out->said = (texts){(const char *)edges[4], (const char *)edges[5]};
    return 0;
}

/* The categories, None first, as a tuple of 1 + count; NULL where the part holds another number (an exception may be set). */
static PyObject *read_categories(layout *block) {
    /* Each takes two bytes of the part at least: no count of a damaged block asks for more memory than that. */
    if (block->count > (size_t)(block->names.end - block->names.at) / 2) return NULL;
    PyObject *categories = PyTuple_New((Py_ssize_t)block->count + 1);
    if (!categories) return NULL;
    PyTuple_SetItem(categories, 0, Py_NewRef(Py_None));
    for (size_t i = 0; i < block->count; i++) {
        PyObject *scheme = next_text(&block->names);
        PyObject *code = scheme ? next_text(&block->names) : NULL;
        PyObject *category = code ? PyTuple_Pack(2, scheme, code) : NULL;
        Py_XDECREF(scheme);
        Py_XDECREF(code);
        if (!category) {
            Py_DECREF(categories);
            return NULL;
        }
        PyTuple_SetItem(categories, (Py_ssize_t)i + 1, category);
    }
    if (block->names.at != block->names.end) Py_CLEAR(categories);
    return categories;
}

/* What rows are made with, borrowed. */
typedef struct {
    PyObject *tags, *media, *categories, *empty;
    const uint8_t *widths;
    size_t algorithms;
} makings;

/* Bytes of the hashes of a presence mask; -1 where a bit stands for no algorithm. */
static Py_ssize_t width_of(const makings *with, uint32_t mask) {
    Py_ssize_t width = 0;
    for (size_t bit = 0; mask; bit++, mask >>= 1) {
        if (bit == with->algorithms) return -1;
        if (mask & 1) width += with->widths[bit];
    }
    return width;
}

/* 0, or -1 where there is no value. A row that lacks fields can be freed. */
static int put_field(PyObject *row, Py_ssize_t field, PyObject *value) {
    return value ? PyTuple_SetItem(row, field, value) : -1;
}

static PyObject *tag_at(PyObject *tags, Py_ssize_t at) {
    return PyTuple_CheckExact(tags) ? Py_XNewRef(PyTuple_GetItem(tags, at)) : PySequence_GetItem(tags, at);
}

/* A field of row `i`, new; NULL where the block holds none (an exception may be set). */
static PyObject *packed_at(layout *block, size_t i, Py_ssize_t width) {
    if (width < 0 || width > block->body_end - block->body) return NULL;
    PyObject *packed = PyBytes_FromStringAndSize(NULL, MASK_BYTES + width);
    if (!packed) return NULL;
    char *to = PyBytes_AsString(packed);
    memcpy(to, block->masks + MASK_BYTES * i, MASK_BYTES);
    memcpy(to + MASK_BYTES, block->body, (size_t)width);
    block->body += width;
    return packed;
}

static PyObject *category_at(const layout *block, size_t i, const makings *with) {
    uint16_t number;
    memcpy(&number, block->numbers + 2 * i, 2);
    return number <= block->count ? Py_XNewRef(PyTuple_GetItem(with->categories, number)) : NULL;
}

static PyObject *media_at(const layout *block, size_t i, const makings *with) {
    Py_ssize_t kind = block->kinds[i];
    return kind < PyTuple_Size(with->media) ? Py_XNewRef(PyTuple_GetItem(with->media, kind)) : NULL;
}

static PyObject *size_at(const layout *block, size_t i) {
    int64_t size;
    memcpy(&size, block->lengths + 8 * i, 8);
    if (size < -1) return NULL;
    return size < 0 ? Py_NewRef(Py_None) : PyLong_FromLongLong(size);
}

/* 0, or -1 where something does not fit (an exception may be set). */
static int read_block(layout *block, const makings *with, PyObject *rows) {
    /* A part without bytes stands for empty texts. */
    int any_metadata = block->more.at != block->more.end, any_opinions = block->said.at != block->said.end;
    uint32_t former = 0;
    Py_ssize_t width = 0;
    for (size_t i = 0; i < block->n; i++) {
        PyObject *row = PyTuple_New(FIELDS);
        if (!row) return -1;
        PyList_SetItem(rows, (Py_ssize_t)i, row);
        uint32_t mask;
        memcpy(&mask, block->masks + MASK_BYTES * i, MASK_BYTES);
        if (mask != former) {
            width = width_of(with, mask);
            former = mask;
        }
        if (put_field(row, REF, next_text(&block->keys)) < 0 || put_field(row, CATEGORY, category_at(block, i, with)) < 0 ||
            put_field(row, MEDIA, media_at(block, i, with)) < 0 || put_field(row, SIZE, size_at(block, i)) < 0 ||
            put_field(row, METADATA, any_metadata ? next_text(&block->more) : Py_NewRef(with->empty)) < 0 ||
            put_field(row, PACKED, packed_at(block, i, width)) < 0 ||
            put_field(row, OPINIONS, any_opinions ? next_text(&block->said) : Py_NewRef(with->empty)) < 0 ||
            put_field(row, TAG, tag_at(with->tags, (Py_ssize_t)i)) < 0) {
            return -1;
        }
    }
    return block->keys.at == block->keys.end && block->body == block->body_end && block->more.at == block->more.end &&
                   block->said.at == block->said.end
               ? 0
               : -1;
}

/* decode_block(block, tags, widths, media) -> list of rows; `widths` is a byte for each bit of a presence mask, `media` the media
 * types in the order of their numbers */
static PyObject *decode_block(PyObject *self, PyObject *args) {
    (void)self;
    PyObject *source, *rows = NULL;
    const char *widths;
    Py_ssize_t algorithms;
    makings with = {NULL, NULL, NULL, NULL, NULL, 0};
    layout block;
    if (!PyArg_ParseTuple(args, "OOy#O!", &source, &with.tags, &widths, &algorithms, &PyTuple_Type, &with.media)) return NULL;
    with.widths = (const uint8_t *)widths;
    with.algorithms = (size_t)algorithms;
    if (!PyBytes_CheckExact(source) || algorithms > 32 ||
        lay_out((const uint8_t *)PyBytes_AsString(source), (size_t)PyBytes_Size(source), &block) < 0 ||
        PySequence_Size(with.tags) != (Py_ssize_t)block.n) {
        return leave_to_twin();
    }
    with.categories = read_categories(&block);
    with.empty = with.categories ? PyUnicode_FromStringAndSize("", 0) : NULL;
    rows = with.empty ? PyList_New((Py_ssize_t)block.n) : NULL;
    if (rows && read_block(&block, &with, rows) < 0) Py_CLEAR(rows);
    Py_XDECREF(with.categories);
    Py_XDECREF(with.empty);
    return rows ? rows : leave_to_twin();
}

/* --------------------------------------------------------------------------------------------------------------------- */

int hm_add_rows_block_functions(PyObject *module) {
    static PyMethodDef functions[] = {
        {"block_ascends", block_ascends, METH_O, NULL},
        {"block_ends", block_ends, METH_VARARGS, NULL},
        {"encode_block", encode_block, METH_VARARGS, NULL},
        {"decode_block", decode_block, METH_VARARGS, NULL},
        {NULL, NULL, 0, NULL},
    };
    hm_checksum_tables();
    return PyModule_AddFunctions(module, functions);
}
