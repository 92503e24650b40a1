/* Rows from joined columns: what SQLite's group_concat makes of a thousand rows of a known-file set becomes entries.
 *
 * The twin of `_Reader.joined` in hashmatch/lists/formats/nsrl_sqlite.py, which defines the result: it says None for anything but
 * the common case, for the same input as this. The cells come out of a file that anybody may have written. */

#include "rows.h"

#include <stdlib.h>
#include <string.h>

#include "checksums.h"
#include "kernels.h"

#define MASK_BYTES 4
#define MAX_WIDTH 64      /* bytes of a hash, and digits that are kept */
#define PREFIX_BYTES 3    /* of the last hash, in a reference */
#define WORDS 3           /* of 32 bits, in a reference */
#define KEY_BYTES (PREFIX_BYTES + 4 * WORDS)
#define REF_DIGITS (2 * KEY_BYTES + 1)
#define NUMBER_DIGITS 18  /* of a number in the metadata: all such numbers are in range */
#define COLUMNS 256       /* as many as sqlite_source.py lets a table have */

enum { DONE, UNUSUAL, FAILED /* with an exception */ };

/* One column. Kinds: 'h' hash, 's' size of the file, and in the metadata 'n' number, 'x' hexadecimal digits, 't' text. */
typedef struct {
    char kind;
    Py_ssize_t width;      /* h: bytes; x: digits */
    const uint8_t *before; /* h: the digest of the empty file; metadata: what stands before the value */
    Py_ssize_t before_length;
    PyObject *cells, *decoded;        /* owned; decoded: t whose cells are not all ASCII */
    const uint8_t *at, *end;          /* the cells that are left */
    const uint8_t *text_at, *text_end; /* t: the same as text, every byte of which is part of valid UTF-8 */
} column;

/* A row's place in the order of references: the bytes of its reference as two numbers. */
typedef struct {
    uint64_t high, low;
    Py_ssize_t row;
} place;

typedef struct {
    Py_ssize_t rows, columns, packed; /* packed: bytes of all hashes behind their mask */
    Py_ssize_t name, package;         /* the columns that a reference is made of, or -1 */
    const uint8_t *mask;
    column *column;
    hm_tuple_maker maker;
    PyObject *blank;        /* owned */
    uint8_t *text;          /* of a row's metadata, while it is put together */
    size_t room;
} job;

/* --- the plan ------------------------------------------------------------------------------------------------------ */

static int bad_plan(const char *why) {
    PyErr_SetString(PyExc_ValueError, why);
    return FAILED;
}

static int take_plan(job *j, PyObject *plan) {
    int sizes = 0;
    Py_ssize_t last = 0; /* width of the last hash, with which references begin */
    for (Py_ssize_t c = 0; c < j->columns; c++) {
        column *k = &j->column[c];
        PyObject *item = PyTuple_GetItem(plan, c);
        int kind;
        if (!item) return FAILED;
        if (!PyTuple_Check(item)) return bad_plan("a column that is no tuple");
        if (!PyArg_ParseTuple(item, "Cny#", &kind, &k->width, &k->before, &k->before_length)) return FAILED;
        k->kind = kind < 128 ? (char)kind : '?';
        if (!memchr("hsnxt", k->kind, 5)) return bad_plan("a column of an unknown kind");
        if ((kind == 'h' || kind == 'x') && (k->width < 1 || k->width > MAX_WIDTH)) return bad_plan("a width out of range");
        if (kind == 'h') {
            if (k->before_length != k->width) return bad_plan("a digest of another width");
            j->packed += k->width;
            last = k->width;
        }
        sizes += kind == 's';
    }
    if (!j->packed || sizes > 1) return bad_plan("no hash, or two sizes");
    if (j->name < 0 && j->package < 0) return DONE;
    if (j->name < 0 || j->name >= j->columns || j->column[j->name].kind != 't' || j->package < 0 ||
        j->package >= j->columns || j->column[j->package].kind != 'n' || j->packed % 4 || j->packed < 4 * WORDS ||
        last < PREFIX_BYTES)
        return bad_plan("no columns to make a reference of");
    return DONE;
}

static int is_ascii(const uint8_t *p, const uint8_t *end) {
    uint8_t all = 0;
    while (p < end) all |= *p++;
    return all < 128;
}

static int take_columns(job *j, PyObject *columns, Py_ssize_t longest) {
    for (Py_ssize_t c = 0; c < j->columns; c++) {
        column *k = &j->column[c];
        char *bytes;
        Py_ssize_t length;
        k->cells = PySequence_GetItem(columns, c);
        if (!k->cells) return FAILED;
        if (!PyBytes_Check(k->cells)) return UNUSUAL; /* None: nothing but NULL */
        if (PyBytes_AsStringAndSize(k->cells, &bytes, &length) < 0) return FAILED;
        k->at = (const uint8_t *)bytes;
        k->end = k->at + length;
        if (k->kind == 'h' || k->kind == 'x') {
            /* That all widths are right together lets the rows below look without asking where the end is, and makes
             * the number of rows one that can be allocated for. */
            Py_ssize_t cell = (k->kind == 'h' ? 2 * k->width : k->width) + 1;
            if ((length + 1) % cell || (length + 1) / cell != j->rows) return UNUSUAL;
        } else if (k->kind == 't') {
            if (length > longest) return UNUSUAL;
            k->text_at = k->at;
            k->text_end = k->end;
            if (!is_ascii(k->at, k->end)) {
                /* What is no UTF-8 is written out with backslashes. Line feeds stay what and where they are. */
                const char *text;
                k->decoded = PyUnicode_DecodeUTF8(bytes, length, "backslashreplace");
                if (!k->decoded || !(text = PyUnicode_AsUTF8AndSize(k->decoded, &length))) return FAILED;
                k->text_at = (const uint8_t *)text;
                k->text_end = k->text_at + length;
            }
        }
    }
    return DONE;
}

/* --- cells --------------------------------------------------------------------------------------------------------- */

/* Loops of a kind that compilers turn into vector operations. */
HM_INLINE int take_digits(const uint8_t *digits, Py_ssize_t count, uint8_t *values) {
    uint8_t wrong = 0;
    for (Py_ssize_t i = 0; i < count; i++) {
        uint8_t figure = (uint8_t)(digits[i] - '0'), letter = (uint8_t)((digits[i] | 32) - 'a');
        uint8_t is_figure = figure < 10 ? 255 : 0, is_letter = letter < 6 ? 255 : 0;
        values[i] = (figure & is_figure) | ((uint8_t)(letter + 10) & is_letter);
        wrong |= (uint8_t)~(is_figure | is_letter);
    }
    return wrong ? UNUSUAL : DONE;
}

HM_INLINE int take_hash(const uint8_t *digits, Py_ssize_t width, uint8_t *out) {
    uint8_t values[2 * MAX_WIDTH];
    int said = take_digits(digits, 2 * width, values);
    for (Py_ssize_t i = 0; i < width; i++) out[i] = (uint8_t)(values[2 * i] << 4 | values[2 * i + 1]);
    return said;
}

/* Past the separator behind a cell, or at the end behind the last one. */
HM_INLINE int step_over(column *k, const uint8_t *end, int last) {
    if (last ? end != k->end : end == k->end || *end != ',') return UNUSUAL;
    k->at = last ? end : end + 1;
    return DONE;
}

/* A whole number as Python and JSON write it. */
HM_INLINE int take_number(column *k, int last, uint64_t *number, Py_ssize_t *digits) {
    const uint8_t *p = k->at;
    uint64_t value = 0;
    for (; p < k->end && (uint8_t)(*p - '0') < 10; p++) {
        if (p - k->at == 19) return UNUSUAL;
        value = 10 * value + (uint64_t)(*p - '0'); /* 19 digits are less than 2**64 */
    }
    *digits = p - k->at;
    *number = value;
    if (!*digits || (*k->at == '0' && *digits > 1) || value > INT64_MAX) return UNUSUAL;
    return step_over(k, p, last);
}

/* The end of the text at `at`, or NULL: it is empty, or the last one and not, or the other way round. */
HM_INLINE const uint8_t *text_end(const uint8_t *at, const uint8_t *end, int last) {
    const uint8_t *found = memchr(at, '\n', (size_t)(end - at));
    if (last ? found != NULL : !found) return NULL;
    if (last) found = end;
    return found == at ? NULL : found;
}

/* Text as it stands in a JSON string, at `out`, which has room; NULL for a control character. */
HM_INLINE uint8_t *escape(const uint8_t *at, const uint8_t *end, uint8_t *out) {
    for (; at < end; at++) {
        uint8_t c = *at;
        if (c < 32) {
            if (c != '\t') return NULL;
            *out++ = '\\';
            c = 't';
        } else if (c == '"' || c == '\\') {
            *out++ = '\\';
        }
        *out++ = c;
    }
    return out;
}

static int make_room(job *j, size_t room) {
    if (room <= j->room) return DONE;
    uint8_t *text = realloc(j->text, 2 * room);
    if (!text) {
        PyErr_NoMemory();
        return FAILED;
    }
    j->text = text;
    j->room = 2 * room;
    return DONE;
}

/* --- rows ---------------------------------------------------------------------------------------------------------- */

/* What is known of a row while its entry is made. */
typedef struct {
    int64_t size;
    uint64_t package;
    const uint8_t *name, *name_end;
    size_t length; /* of the metadata */
    int has_size, is_empty;
} row_values;

static int take_row(job *j, int last, uint8_t *packed, row_values *row) {
    memset(row, 0, sizeof *row);
    for (Py_ssize_t c = 0; c < j->columns; c++) {
        column *k = &j->column[c];
        if (k->kind == 'h') {
            if (take_hash(k->at, k->width, packed) != DONE || step_over(k, k->at + 2 * k->width, last) != DONE) return UNUSUAL;
            /* The first byte nearly always decides, without a call. */
            row->is_empty |= *packed == *k->before && memcmp(packed, k->before, (size_t)k->width) == 0;
            packed += k->width;
            continue;
        }
        if (k->kind == 's') {
            uint64_t number;
            Py_ssize_t digits;
            if (take_number(k, last, &number, &digits) != DONE) return UNUSUAL;
            row->size = (int64_t)number;
            row->has_size = 1;
            continue;
        }
        const uint8_t *start = k->at, *end = NULL, *raw_end;
        if (k->kind == 't') {
            raw_end = text_end(k->at, k->end, last);
            start = k->text_at;
            end = k->decoded ? text_end(start, k->text_end, last) : raw_end;
            if (!raw_end || !end) return UNUSUAL;
            if (c == j->name) row->name = k->at, row->name_end = raw_end;
            k->at = last ? raw_end : raw_end + 1;
            k->text_at = last ? end : end + 1;
        } else if (k->kind == 'n') {
            uint64_t number;
            Py_ssize_t digits;
            /* No zero: `number_texts` has it so. */
            if (take_number(k, last, &number, &digits) != DONE || digits > NUMBER_DIGITS || !number) return UNUSUAL;
            if (c == j->package) row->package = number;
            end = start + digits;
        } else {
            uint8_t values[MAX_WIDTH];
            if (take_digits(start, k->width, values) != DONE || step_over(k, start + k->width, last) != DONE) return UNUSUAL;
            end = start + k->width;
        }
        /* Of a text every byte may become two; two quotes and the bracket. */
        size_t length = (size_t)(end - start), more = (size_t)k->before_length + 2 * length + 3;
        if (make_room(j, row->length + more) != DONE) return FAILED;
        uint8_t *out = j->text + row->length;
        memcpy(out, k->before, (size_t)k->before_length);
        out += k->before_length;
        if (k->kind != 'n') *out++ = '"';
        if (k->kind == 't') {
            out = escape(start, end, out);
            if (!out) return UNUSUAL;
        } else {
            memcpy(out, start, length);
            out += length;
        }
        if (k->kind != 'n') *out++ = '"';
        row->length = (size_t)(out - j->text);
    }
    if (row->length) j->text[row->length++] = '}';
    return DONE;
}

HM_INLINE uint32_t big32(const uint8_t *p) {
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

HM_INLINE void put32(uint8_t *p, uint32_t value) {
    for (int i = 0; i < 4; i++) p[i] = (uint8_t)(value >> (24 - 8 * i));
}

/* The bytes of a reference: `reference` in nsrl_columns.py says of what it is made, and why. */
static void make_key(const job *j, const uint8_t *digests, const row_values *row, uint8_t *key) {
    const column *hash = NULL;
    for (Py_ssize_t c = 0; c < j->columns; c++)
        if (j->column[c].kind == 'h') hash = &j->column[c];
    size_t length = (size_t)(row->name_end - row->name);
    uint32_t mixed[WORDS] = {hm_adler32(row->name, length), hm_crc32(row->name, length), (uint32_t)row->package};
    int word = 0;
    for (Py_ssize_t at = 0; at < j->packed; at += 4) {
        mixed[word] ^= big32(digests + at);
        word = word == WORDS - 1 ? 0 : word + 1;
    }
    memcpy(key, digests + j->packed - hash->width, PREFIX_BYTES);
    for (int i = 0; i < WORDS; i++) put32(key + PREFIX_BYTES + 4 * i, mixed[i]);
}

static PyObject *reference_of(const uint8_t *key) {
    static const char digits[] = "0123456789abcdef";
    char text[REF_DIGITS], *out = text;
    for (int i = 0; i < KEY_BYTES; i++) {
        if (i == PREFIX_BYTES) *out++ = '-';
        *out++ = digits[key[i] >> 4];
        *out++ = digits[key[i] & 15];
    }
    return PyUnicode_FromStringAndSize(text, REF_DIGITS);
}

static PyObject *shared(PyObject *object) {
    Py_INCREF(object);
    return object;
}

/* The entry of the next row: DONE, UNUSUAL or FAILED. */
static int make_entry(job *j, Py_ssize_t number, PyObject **entry, place *where, int *is_empty) {
    row_values row;
    char *packed = NULL;
    PyObject *hashes = PyBytes_FromStringAndSize(NULL, MASK_BYTES + j->packed);
    if (!hashes || !(packed = PyBytes_AsString(hashes))) return FAILED;
    uint8_t *digests = (uint8_t *)packed + MASK_BYTES, key[16] = {0};
    memcpy(packed, j->mask, MASK_BYTES);
    int said = take_row(j, number == j->rows - 1, digests, &row);
    if (said != DONE) {
        Py_DECREF(hashes);
        return said;
    }
    *is_empty = row.is_empty;
    PyObject *ref;
    if (j->name < 0) {
        ref = shared(j->blank);
    } else {
        make_key(j, digests, &row, key);
        ref = reference_of(key);
    }
    where->high = (uint64_t)big32(key) << 32 | big32(key + 4);
    where->low = (uint64_t)big32(key + 8) << 32 | big32(key + 12);
    where->row = number;
    /* Every other field is the same in all entries. */
    enum { REF, SIZE = 3, METADATA, PACKED };
    const int at[] = {REF, SIZE, METADATA, PACKED};
    PyObject *fields[] = {
        ref,
        row.has_size ? PyLong_FromLongLong(row.size) : shared(Py_None),
        row.length ? PyUnicode_DecodeUTF8((const char *)j->text, (Py_ssize_t)row.length, NULL) : shared(j->blank),
        hashes,
    };
    int sound = fields[0] && fields[1] && fields[2];
    for (int i = 0; i < 4; i++) {
        if (sound)
            sound = PyTuple_SetItem(j->maker.row, at[i], fields[i]) == 0; /* takes the reference in any case */
        else
            Py_XDECREF(fields[i]);
    }
    *entry = sound ? hm_tuple_make(&j->maker) : NULL;
    return *entry ? DONE : FAILED;
}

/* --- order --------------------------------------------------------------------------------------------------------- */

HM_INLINE int is_before(const place *a, const place *b) { return a->high != b->high ? a->high < b->high : a->low < b->low; }

/* A stable merge sort. Rows come in the order of their SHA-256, with which references begin: nearly all pieces follow one
 * another as they are, and are not touched. `spare` has room for half of them. */
static void sort_places(place *all, place *spare, Py_ssize_t n) {
    for (Py_ssize_t width = 1; width < n; width *= 2) {
        for (Py_ssize_t start = 0; start + width < n; start += 2 * width) {
            Py_ssize_t middle = start + width, end = n - middle < width ? n : middle + width;
            if (!is_before(&all[middle], &all[middle - 1])) continue;
            memcpy(spare, all + start, (size_t)width * sizeof *spare);
            Py_ssize_t left = 0, right = middle, out = start;
            while (left < width && right < end)
                all[out++] = is_before(&all[right], &spare[left]) ? all[right++] : spare[left++];
            memcpy(all + out, spare + left, (size_t)(width - left) * sizeof *spare);
        }
    }
}

/* (entries, places of those with a digest of the empty file among them), from what was made. Takes the entries. */
static PyObject *result_of(const job *j, PyObject **entries, const place *places, const uint8_t *is_empty) {
    PyObject *list = PyList_New(j->rows), *empty = PyList_New(0);
    int sound = list && empty;
    for (Py_ssize_t i = 0; sound && i < j->rows; i++) {
        Py_ssize_t row = places[i].row;
        sound = PyList_SetItem(list, i, entries[row]) == 0;
        entries[row] = NULL;
        if (sound && is_empty[row]) {
            PyObject *at = PyLong_FromSsize_t(i);
            sound = at && PyList_Append(empty, at) == 0;
            Py_XDECREF(at);
        }
    }
    PyObject *result = sound ? PyTuple_Pack(2, list, empty) : NULL;
    Py_XDECREF(list);
    Py_XDECREF(empty);
    return result;
}

static PyObject *make_rows(job *j, int ascending) {
    size_t rows = (size_t)j->rows;
    PyObject **entries = calloc(rows, sizeof *entries), *result = NULL;
    place *places = malloc(rows * sizeof *places), *spare = ascending ? malloc(rows * sizeof *spare) : NULL;
    uint8_t *is_empty = malloc(rows);
    int said = DONE;
    if (!entries || !places || (ascending && !spare) || !is_empty) {
        PyErr_NoMemory();
        said = FAILED;
    }
    for (Py_ssize_t i = 0; said == DONE && i < j->rows; i++) {
        int empty = 0;
        said = make_entry(j, i, &entries[i], &places[i], &empty);
        if (said == DONE) is_empty[i] = (uint8_t)empty;
    }
    if (said == DONE) {
        if (ascending) sort_places(places, spare, j->rows);
        result = result_of(j, entries, places, is_empty);
    } else if (said == UNUSUAL) {
        result = shared(Py_None);
    }
    for (size_t i = 0; entries && i < rows; i++) Py_XDECREF(entries[i]);
    free(entries);
    free(places);
    free(spare);
    free(is_empty);
    return result;
}

/* joined_entries(type, rows, columns, plan, mask, name, package, longest, ascending) -> (entries, [number of each with a digest
 * of the empty file]), or None for anything unusual.
 *
 * type: of the entries, a tuple of nine fields. columns: bytes or None, those of the plan first. plan: a tuple of (kind, width,
 * bytes), see `column`. mask: the four bytes before the hashes. name, package: the columns for references, or -1 for none.
 * longest: bytes of a joined text at most. ascending: whether to sort by reference. */
static PyObject *joined_entries(PyObject *self, PyObject *args) {
    (void)self;
    PyObject *type, *columns, *plan, *result = NULL;
    Py_ssize_t mask_length, longest;
    int ascending;
    job j = {0};
    if (!PyArg_ParseTuple(args, "O!nOO!y#nnnp", &PyType_Type, &type, &j.rows, &columns, &PyTuple_Type, &plan, &j.mask,
                          &mask_length, &j.name, &j.package, &longest, &ascending))
        return NULL;
    j.columns = PyTuple_Size(plan);
    if (mask_length != MASK_BYTES || j.columns < 1 || j.columns > COLUMNS ||
        !PyType_IsSubtype((PyTypeObject *)type, &PyTuple_Type)) {
        PyErr_SetString(PyExc_ValueError, "a mask of another width, no columns or too many, or a type that is no tuple");
        return NULL;
    }
    j.column = calloc((size_t)j.columns, sizeof *j.column);
    j.blank = PyUnicode_FromStringAndSize("", 0);
    PyObject *start = j.blank ? Py_BuildValue("(OOOOOOiOO)", j.blank, Py_None, j.blank, Py_None, j.blank, Py_None, 0, j.blank,
                                              j.blank)
                              : NULL;
    int said = j.column && start && hm_tuple_maker_init(&j.maker, type, start) == 0 ? DONE : FAILED;
    if (!j.column) PyErr_NoMemory();
    if (said == DONE) said = take_plan(&j, plan);
    if (said == DONE) said = j.rows > 0 ? take_columns(&j, columns, longest) : UNUSUAL;
    if (said == DONE)
        result = make_rows(&j, ascending);
    else if (said == UNUSUAL)
        result = shared(Py_None);
    for (Py_ssize_t c = 0; j.column && c < j.columns; c++) {
        Py_XDECREF(j.column[c].cells);
        Py_XDECREF(j.column[c].decoded);
    }
    free(j.column);
    free(j.text);
    Py_XDECREF(j.blank);
    Py_XDECREF(start);
    hm_tuple_maker_free(&j.maker);
    return result;
}

static PyMethodDef functions[] = {
    {"joined_entries", joined_entries, METH_VARARGS, NULL},
    {NULL, NULL, 0, NULL},
};

int hm_add_rows_joined_functions(PyObject *module) {
    hm_checksum_tables();
    return PyModule_AddFunctions(module, functions);
}
