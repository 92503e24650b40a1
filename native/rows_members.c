/* Media objects of a JSON document straight to entries: no dictionary, and no object for any of their members.
 *
 * What the members are, and everything else that is known of the format, comes in a plan, which `MediaText` in
 * hashmatch/lists/formats/vics_text.py makes and describes. Objects that are not usual are not taken; Python reads them its way. */

#include "rows.h"

#include "json_text.h"

/* What a member of a media object is: those of json_text.h, then these. */
enum {
    REFUSED = HM_INNER_KINDS, /* known under a name that only Python's way takes */
    SILENT,                   /* usual only where it says nothing */
    REFERENCE,
    CATEGORY,
    SIZE,
    MIME_TYPE,
    ALTERNATIVES,
    MD5,
    SHA1,
    PHOTODNA,
    PICTURE,
    FILES,          /* metadata whose items are counted */
    PRECATEGORIZED, /* a flag that is counted */
    KINDS,
};

enum { MD5_BYTES = 16, SHA1_BYTES = 20, PHOTODNA_BYTES = 144, PHOTODNA_TEXT = 192, FEW_CODES = 16 };

enum { DEEPEST = 16 }; /* levels that are read here, whatever the limit */

static const char *const media_prefixes[2] = {"image", "video"};

typedef struct {
    PyTypeObject *type;
    PyObject *categories, *media_types[4]; /* "", image, video, other */
    hm_members members, inner;
    const char *hash_name, *hash_value, *photodna; /* names in an alternative hash, as in hm_members */
    Py_ssize_t of_hash_name, of_hash_value, of_photodna;
    unsigned int bits[3]; /* of the presence mask: md5, sha1, photodna */
    const char *empty_md5, *empty_sha1, *prefix, *case_piece;
    Py_ssize_t of_prefix, of_case, case_place, max_bytes;
} plan;

/* A member's canonical text: in the document, or where `text` is NULL in the output at `at`. */
typedef struct {
    const char *text;
    size_t at, length;
} piece;

typedef struct {
    piece pieces[HM_NAMES];
    uint64_t seen, said; /* members that were there; that are metadata */
    const char *reference;
    size_t of_reference;
    int64_t category, size;
    int has_category, has_size, has_md5, has_sha1, has_photodna, media_type, has_picture, is_precategorized;
    Py_ssize_t files;
    uint8_t md5[MD5_BYTES], sha1[SHA1_BYTES], photodna[PHOTODNA_BYTES];
} media;

/* --- text of hashes ------------------------------------------------------------------------------------------------ */

static uint8_t hex_value[256];        /* 0xff for what is no digit */
static uint32_t base64_value[4][256]; /* by place in a group of four, shifted; the high bit for what is none */

static void fill_tables(void) {
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    memset(hex_value, 0xff, sizeof hex_value);
    for (int i = 0; i < 10; i++) hex_value['0' + i] = (uint8_t)i;
    for (int i = 0; i < 6; i++) hex_value['a' + i] = hex_value['A' + i] = (uint8_t)(10 + i);
    for (int place = 0; place < 4; place++) {
        for (int c = 0; c < 256; c++) base64_value[place][c] = 0x80000000u;
        for (int i = 0; i < 64; i++) base64_value[place][(uint8_t)letters[i]] = (uint32_t)i << (18 - 6 * place);
    }
}

static int from_hex(const char *text, uint8_t *to, size_t bytes) {
    unsigned int bad = 0;
    for (size_t i = 0; i < bytes; i++) {
        unsigned int high = hex_value[(uint8_t)text[2 * i]], low = hex_value[(uint8_t)text[2 * i + 1]];
        bad |= high | low;
        to[i] = (uint8_t)(high << 4 | (low & 15));
    }
    return bad < 16;
}

static int from_base64(const char *text, uint8_t *to, size_t groups) {
    uint32_t bad = 0;
    for (size_t i = 0; i < groups; i++, text += 4, to += 3) {
        uint32_t bits = base64_value[0][(uint8_t)text[0]] | base64_value[1][(uint8_t)text[1]] |
                        base64_value[2][(uint8_t)text[2]] | base64_value[3][(uint8_t)text[3]];
        bad |= bits;
        to[0] = (uint8_t)(bits >> 16);
        to[1] = (uint8_t)(bits >> 8);
        to[2] = (uint8_t)bits;
    }
    return !(bad & 0x80000000u);
}

/* --- members ------------------------------------------------------------------------------------------------------- */

/* Passes over null, and over "": whether there was one. */
static int is_absent(hm_json *j) { return word(j, "null", 4) || word(j, "\"\"", 2); }

static int read_hex(hm_json *j, uint8_t *to, size_t bytes, int *has) {
    if (is_absent(j)) return 1;
    if ((size_t)(j->end - j->at) < 2 * bytes + 2 || *j->at != '"' || j->at[2 * bytes + 1] != '"') return 0;
    if (!from_hex(j->at + 1, to, bytes)) return 0;
    j->at += 2 * bytes + 2;
    *has = 1;
    return 1;
}

static int read_photodna(hm_json *j, media *m) {
    const char *inside;
    size_t length, before = j->used;
    int odd;
    if (m->has_photodna || j->at >= j->end || *j->at != '"') return 0;
    if (j->end - j->at >= PHOTODNA_TEXT + 2 && j->at[PHOTODNA_TEXT + 1] == '"' &&
        from_base64(j->at + 1, m->photodna, PHOTODNA_TEXT / 4)) {
        j->at += PHOTODNA_TEXT + 2;
    } else {
        /* Some programs escape slashes. */
        if (!string(j, &inside, &length, &odd) || odd != HM_ESCAPES || !put_unescaped(j, inside, length)) return 0;
        length = j->used - before;
        j->used = before;
        if (length != PHOTODNA_TEXT || !from_base64(j->out + before, m->photodna, PHOTODNA_TEXT / 4)) return 0;
    }
    m->has_photodna = 1;
    return 1;
}

/* One alternative hash at most, and that of PhotoDNA. */
static int read_alternatives(hm_json *j, const plan *p, media *m) {
    int named = 0, valued = 0;
    if (word(j, "null", 4)) return 1;
    if (!take(j, '[')) return 0;
    if (j->at < j->end && *j->at == ']') {
        j->at++;
        return 1;
    }
    if (!take(j, '{')) return 0;
    for (;;) {
        const char *key, *name;
        size_t length, of_name;
        int odd;
        if (!string(j, &key, &length, &odd) || odd || !take(j, ':')) return 0;
        if (!named && (Py_ssize_t)length + 3 == p->of_hash_name && !memcmp(key, p->hash_name + 1, length)) {
            if (!string(j, &name, &of_name, &odd) || odd) return 0;
            if ((Py_ssize_t)of_name + 3 != p->of_photodna || memcmp(name, p->photodna + 1, of_name)) return 0;
            named = 1;
        } else if (!valued && (Py_ssize_t)length + 3 == p->of_hash_value && !memcmp(key, p->hash_value + 1, length)) {
            if (!read_photodna(j, m)) return 0;
            valued = 1;
        } else {
            return 0;
        }
        if (take(j, '}')) break;
        if (!take(j, ',')) return 0;
    }
    if (!named || !valued || j->at >= j->end || *j->at != ']') return 0;
    j->at++;
    return 1;
}

static int read_reference(hm_json *j, media *m) {
    int64_t number;
    int odd, blank = 1;
    if (is_absent(j)) return 1;
    if (j->at >= j->end) return 0;
    m->reference = j->at;
    if (*j->at != '"') {
        if (!whole_number(j, &number)) return 0;
        m->of_reference = (size_t)(j->at - m->reference);
        return 1;
    }
    if (!string(j, &m->reference, &m->of_reference, &odd) || odd) return 0;
    for (size_t i = 0; i < m->of_reference; i++) {
        if (m->reference[i] == 0x7f) return 0;
        blank &= m->reference[i] == ' ';
    }
    return !blank;
}

/* Which media type a MIME type stands for; -1 where Python decides. */
static int media_type_of(const char *text, size_t length) {
    uint8_t first = (uint8_t)(*text | 0x20);
    if (!length || first < 'a' || first > 'z') return -1;
    for (int i = 0; i < 2; i++)
        if (length > 5 && is_word(text, 5, media_prefixes[i], 5) && text[5] == '/') return i + 1;
    return 3;
}

/* Metadata: its canonical text is what stands in the document, but for text with escapes, some dates, arrays and objects. */
static int read_metadata(hm_json *j, media *m, int name, int kind) {
    piece *found = &m->pieces[name];
    const char *from = j->at, *inside;
    size_t length, items;
    int64_t number;
    int odd, flag, how = kind == PRECATEGORIZED ? HM_FLAG : kind < HM_INNER_KINDS ? kind : HM_ANY;
    if (from >= j->end || (kind == MIME_TYPE && *from != '"' && *from != 'n')) return 0;
    found->text = from;
    switch (*from) {
    case '"':
        if (!string(j, &inside, &length, &odd)) return 0;
        if (!length) return 1;
        if (kind == HM_FLAG || kind == PRECATEGORIZED) {
            flag = flag_of(inside, length, odd);
            if (flag == -2) return 0;
            if (flag >= 0) {
                found->text = flag ? "true" : "false";
                found->length = flag ? 4 : 5;
                m->is_precategorized |= flag && kind == PRECATEGORIZED;
                break;
            }
        }
        found->length = length + 2;
        if (odd & HM_ESCAPES || (kind == HM_DATE && memchr(inside, '/', length))) {
            j->at = from;
            found->text = NULL;
            found->at = j->used;
            if (!put_string(j, how)) return 0;
            found->length = j->used - found->at;
            inside = j->out + found->at + 1;
            length = found->length - 2;
        }
        if (kind == MIME_TYPE && (m->media_type = media_type_of(inside, length)) < 0) return 0;
        break;
    case '[':
    case '{':
        found->text = NULL;
        found->at = j->used;
        if (!(*from == '[' ? put_array(j, how, 2, &items) : put_object(j, 2))) return 0;
        if (kind == FILES && *from == '[') m->files = (Py_ssize_t)items;
        found->length = j->used - found->at;
        if (found->length == 2) return 1;
        break;
    case 't':
        if (!word(j, "true", 4)) return 0;
        m->is_precategorized |= kind == PRECATEGORIZED;
        found->length = 4;
        break;
    case 'f':
        if (!word(j, "false", 5)) return 0;
        found->length = 5;
        break;
    case 'n':
        return word(j, "null", 4);
    default:
        if (!whole_number(j, &number)) return 0;
        found->length = (size_t)(j->at - from);
    }
    m->said |= (uint64_t)1 << name;
    return 1;
}

static int read_size(hm_json *j, media *m, int name) {
    const char *from = j->at;
    if (word(j, "null", 4)) return 1;
    if (!whole_number(j, &m->size) || m->size < 0) return 0;
    if (m->size) {
        m->has_size = 1;
    } else { /* "not stated", which metadata keeps */
        m->pieces[name] = (piece){from, 0, 1};
        m->said |= (uint64_t)1 << name;
    }
    return 1;
}

static int read_picture(hm_json *j, media *m) {
    const char *inside;
    size_t length;
    int odd;
    if (word(j, "null", 4)) return 1;
    if (!string(j, &inside, &length, &odd)) return 0;
    /* Nobody will decode it; but slashes may be escaped. */
    if (odd & HM_WIDE) return 0;
    if (odd) {
        size_t before = j->used;
        if (!put_unescaped(j, inside, length)) return 0;
        j->used = before;
    }
    m->has_picture = length > 0;
    return 1;
}

static int read_value(hm_json *j, const plan *p, media *m, int name, int kind) {
    switch (kind) {
    case REFUSED:
        return 0;
    case SILENT:
        /* Only as it stands: {"a":null} says nothing in metadata, but as a hash it is an error. */
        return is_absent(j) || (take(j, '[') ? take(j, ']') : take(j, '{') && take(j, '}'));
    case REFERENCE:
        return read_reference(j, m);
    case CATEGORY:
        if (word(j, "null", 4)) return 1;
        m->has_category = 1;
        return whole_number(j, &m->category);
    case SIZE:
        return read_size(j, m, name);
    case ALTERNATIVES:
        return read_alternatives(j, p, m);
    case MD5:
        return read_hex(j, m->md5, MD5_BYTES, &m->has_md5);
    case SHA1:
        return read_hex(j, m->sha1, SHA1_BYTES, &m->has_sha1);
    case PHOTODNA:
        return is_absent(j) || read_photodna(j, m);
    case PICTURE:
        return read_picture(j, m);
    default:
        return read_metadata(j, m, name, kind);
    }
}

/* Passes over a media object; 0 where it is not usual. `next`: for every member, and for the beginning, which one stood behind
 * it last. */
static int read_media(hm_json *j, const plan *p, media *m, uint8_t *next) {
    j->used = 0;
    j->wide = 0;
    m->seen = m->said = 0;
    m->reference = NULL;
    m->has_category = m->has_size = m->has_md5 = m->has_sha1 = m->has_photodna = 0;
    m->media_type = m->has_picture = m->is_precategorized = 0;
    m->files = 0;
    if (!take(j, '{')) return 0;
    for (int last = HM_NAMES;;) {
        int name = next[last];
        size_t length = p->members.length[name];
        if ((size_t)(j->end - j->at) >= length && !memcmp(j->at, p->members.text[name], length)) {
            j->at += length;
            if (j->at < j->end && (uint8_t)*j->at <= ' ') skip_space(j);
        } else {
            const char *key;
            int odd;
            if (!string(j, &key, &length, &odd) || odd & HM_ESCAPES || !take(j, ':')) return 0;
            name = name_of(&p->members, key, length);
            if (name < 0) return 0;
            next[last] = (uint8_t)name;
        }
        if (m->seen >> name & 1) return 0;
        m->seen |= (uint64_t)1 << name;
        j->wide = 0;
        if (!read_value(j, p, m, name, p->members.kind[name])) return 0;
        last = name;
        if (j->at < j->end && (uint8_t)*j->at <= ' ') skip_space(j);
        if (j->at >= j->end || (*j->at != ',' && *j->at != '}')) return 0;
        if (*j->at++ == '}') break;
        if (j->at < j->end && (uint8_t)*j->at <= ' ') skip_space(j);
    }
    if (!m->has_md5 && !m->has_sha1 && !m->has_photodna) return 0;
    /* Digests of the empty file are left out, and counted. */
    return !(m->has_md5 && !memcmp(m->md5, p->empty_md5, MD5_BYTES)) &&
           !(m->has_sha1 && !memcmp(m->sha1, p->empty_sha1, SHA1_BYTES));
}

/* --- entries ------------------------------------------------------------------------------------------------------- */

static int lowest_bit(uint64_t bits) {
    uint32_t low = (uint32_t)bits;
    return (int)(low ? HM_LOWEST_BIT(low) : 32 + HM_LOWEST_BIT((uint32_t)(bits >> 32)));
}

static PyObject *packed_of(const plan *p, const media *m) {
    char packed[4 + MD5_BYTES + SHA1_BYTES + PHOTODNA_BYTES], *to = packed + 4;
    unsigned int mask = 0;
    if (m->has_md5) {
        mask |= p->bits[0];
        memcpy(to, m->md5, MD5_BYTES);
        to += MD5_BYTES;
    }
    if (m->has_sha1) {
        mask |= p->bits[1];
        memcpy(to, m->sha1, SHA1_BYTES);
        to += SHA1_BYTES;
    }
    if (m->has_photodna) {
        mask |= p->bits[2];
        memcpy(to, m->photodna, PHOTODNA_BYTES);
        to += PHOTODNA_BYTES;
    }
    for (int i = 0; i < 4; i++) packed[i] = (char)(mask >> 8 * i);
    return PyBytes_FromStringAndSize(packed, to - packed);
}

/* The metadata's text, written behind what stands in the output. */
static PyObject *metadata_of(hm_json *j, const plan *p, const media *m) {
    size_t length = (size_t)p->of_case + 2;
    if (!m->said && !p->of_case) return Py_NewRef(p->media_types[0]);
    for (uint64_t said = m->said; said; said &= said - 1) {
        int name = lowest_bit(said);
        length += p->members.length[name] + m->pieces[name].length + 1;
    }
    char *text = room(j, length), *to = text;
    if (!text) return PyErr_NoMemory();
    int has_case = p->of_case > 0;
    for (uint64_t said = m->said;; said &= said - 1) {
        int name = said ? lowest_bit(said) : HM_NAMES;
        if (has_case && p->case_place <= name) {
            *to++ = ',';
            memcpy(to, p->case_piece, (size_t)p->of_case);
            to += p->of_case;
            has_case = 0;
        }
        if (!said) break;
        const piece *found = &m->pieces[name];
        *to++ = ',';
        memcpy(to, p->members.text[name], p->members.length[name]);
        to += p->members.length[name];
        memcpy(to, found->text ? found->text : j->out + found->at, found->length);
        to += found->length;
    }
    *text = '{';
    *to++ = '}';
    return PyUnicode_FromStringAndSize(text, to - text);
}

static PyObject *reference_of(hm_json *j, const plan *p, const media *m) {
    if (!m->reference) return Py_NewRef(p->media_types[0]);
    if (!p->of_prefix) return PyUnicode_FromStringAndSize(m->reference, (Py_ssize_t)m->of_reference);
    char *text = room(j, (size_t)p->of_prefix + m->of_reference);
    if (!text) return PyErr_NoMemory();
    memcpy(text, p->prefix, (size_t)p->of_prefix);
    memcpy(text + p->of_prefix, m->reference, m->of_reference);
    return PyUnicode_FromStringAndSize(text, p->of_prefix + (Py_ssize_t)m->of_reference);
}

/* `few`: the categories of the smallest codes, once they were asked for. */
static PyObject *category_of(const plan *p, const media *m, PyObject **few) {
    if (!m->has_category) return Py_NewRef(Py_None);
    int is_small = m->category >= 0 && m->category < FEW_CODES;
    if (is_small && few[m->category]) return Py_NewRef(few[m->category]);
    PyObject *code = PyLong_FromLongLong(m->category);
    PyObject *found = code ? PyObject_GetItem(p->categories, code) : NULL;
    Py_XDECREF(code);
    if (found && is_small) few[m->category] = Py_NewRef(found);
    return found;
}

/* A new reference, or NULL with an exception: UnicodeDecodeError or KeyError where the object is not usual. */
static PyObject *entry_of(hm_json *j, const plan *p, const media *m, const hm_tuple_maker *maker, PyObject **few) {
    PyObject *fields[6] = {NULL};
    if ((fields[0] = reference_of(j, p, m)) && (fields[1] = category_of(p, m, few)) &&
        (fields[3] = m->has_size ? PyLong_FromLongLong(m->size) : Py_NewRef(Py_None)) && (fields[4] = metadata_of(j, p, m)) &&
        (fields[5] = packed_of(p, m))) {
        fields[2] = Py_NewRef(p->media_types[m->media_type]);
        for (int i = 0; i < 6; i++) PyTuple_SetItem(maker->row, i, fields[i]);
        return hm_tuple_make(maker);
    }
    for (int i = 0; i < 6; i++) Py_XDECREF(fields[i]);
    return NULL;
}

/* --- the function -------------------------------------------------------------------------------------------------- */

/* Names from a tuple of bytes, each as in hm_members; -1 with an exception. */
static int take_names(PyObject *texts, const char *kinds, Py_ssize_t of_kinds, int below, hm_members *names) {
    Py_ssize_t count = PyTuple_Size(texts);
    memset(names->of_length, 0, sizeof names->of_length);
    if (count < 1 || count > HM_NAMES || count != of_kinds) {
        PyErr_SetString(PyExc_ValueError, "no names, too many, or not a kind for each");
        return -1;
    }
    for (Py_ssize_t i = 0; i < count; i++) {
        PyObject *text = PyTuple_GetItem(texts, i);
        char *bytes;
        Py_ssize_t length;
        if (!text || PyBytes_AsStringAndSize(text, &bytes, &length) < 0) return -1;
        if (length < 3 || bytes[0] != '"' || memcmp(bytes + length - 2, "\":", 2) || kinds[i] < 0 || kinds[i] >= below) {
            PyErr_SetString(PyExc_ValueError, "a name without quotes and colon, or a kind that stands for nothing");
            return -1;
        }
        names->text[i] = bytes;
        names->length[i] = (size_t)length;
        names->kind[i] = (uint8_t)kinds[i];
        names->of_length[(length - 3) & 31] |= (uint64_t)1 << i;
    }
    names->count = (int)count;
    return 0;
}

/* Reads a plan; -1 with an exception. All of it is borrowed. */
static int take_plan(PyObject *given, plan *p, int *deepest) {
    PyObject *type, *members, *inner;
    const char *kinds, *inner_kinds;
    Py_ssize_t of_kinds, of_inner_kinds, of_md5, of_sha1;
    if (!PyTuple_Check(given)) {
        PyErr_SetString(PyExc_TypeError, "a plan is a tuple");
        return -1;
    }
    if (!PyArg_ParseTuple(given, "OO(UUUU)O!y#O!y#(y#y#y#)(III)(y#y#)y#ny#ni:plan", &type, &p->categories, &p->media_types[0],
                          &p->media_types[1], &p->media_types[2], &p->media_types[3], &PyTuple_Type, &members, &kinds, &of_kinds,
                          &PyTuple_Type, &inner, &inner_kinds, &of_inner_kinds, &p->hash_name, &p->of_hash_name, &p->hash_value,
                          &p->of_hash_value, &p->photodna, &p->of_photodna, &p->bits[0], &p->bits[1], &p->bits[2], &p->empty_md5,
                          &of_md5, &p->empty_sha1, &of_sha1, &p->case_piece, &p->of_case, &p->case_place, &p->prefix,
                          &p->of_prefix, &p->max_bytes, deepest))
        return -1;
    if (!PyType_Check(type) || !PyType_IsSubtype((PyTypeObject *)type, &PyTuple_Type)) {
        PyErr_SetString(PyExc_TypeError, "entries are tuples");
        return -1;
    }
    p->type = (PyTypeObject *)type;
    if (of_md5 != MD5_BYTES || of_sha1 != SHA1_BYTES || p->of_hash_name < 3 || p->of_hash_value < 3 || p->of_photodna < 3 ||
        p->max_bytes < 0) {
        PyErr_SetString(PyExc_ValueError, "a digest, a name or a limit that cannot be");
        return -1;
    }
    if (*deepest > DEEPEST) *deepest = DEEPEST;
    if (take_names(members, kinds, of_kinds, KINDS, &p->members) < 0) return -1;
    return take_names(inner, inner_kinds, of_inner_kinds, HM_INNER_KINDS, &p->inner);
}

/* media_entries(text, start, plan) -> (entries, next, pictures, files, precategorized media, their files). Entries of the objects
 * that begin at `start` and stand in a row with commas between them, up to the first that is not usual or not whole; `next` is
 * behind the last that was taken, or `start`. Of the plan's tuple, `MediaText` in vics_text.py says what it holds. */
static PyObject *media_entries(PyObject *self, PyObject *args) {
    (void)self;
    PyObject *text, *given;
    Py_ssize_t start, size, pictures = 0, files = 0, of_case[2] = {0};
    char *bytes;
    plan p;
    hm_json j = {0};
    if (!PyArg_ParseTuple(args, "SnO:media_entries", &text, &start, &given)) return NULL;
    if (take_plan(given, &p, &j.deepest) < 0 || PyBytes_AsStringAndSize(text, &bytes, &size) < 0) return NULL;
    if (start < 0 || start > size) {
        PyErr_SetString(PyExc_ValueError, "a start outside the text");
        return NULL;
    }
    PyObject *few[FEW_CODES] = {NULL}, *entries = PyList_New(0), *result = NULL;
    hm_tuple_maker maker = {0};
    /* What stands behind the hashes is the same in every entry: nothing dropped, no opinions, no origin. */
    PyObject *row = Py_BuildValue("(OOOOOOiOO)", Py_None, Py_None, Py_None, Py_None, Py_None, Py_None, 0, p.media_types[0],
                                  p.media_types[0]);
    media m;
    uint8_t next[HM_NAMES + 1] = {0};
    const char *end = bytes + size;
    j.inner = &p.inner;
    j.at = bytes + start;
    if (!row || !entries || hm_tuple_maker_init(&maker, (PyObject *)p.type, row) < 0) goto done;
    for (const char *at = j.at; at < end;) {
        j.at = at;
        j.end = end - at > p.max_bytes ? at + p.max_bytes : end;
        if (!read_media(&j, &p, &m, next)) {
            if (!j.no_memory) break;
            PyErr_NoMemory();
            goto done;
        }
        const char *behind = j.at;
        PyObject *entry = entry_of(&j, &p, &m, &maker, few);
        if (!entry) {
            if (!PyErr_ExceptionMatches(PyExc_UnicodeDecodeError) && !PyErr_ExceptionMatches(PyExc_KeyError)) goto done;
            PyErr_Clear();
            break;
        }
        int status = PyList_Append(entries, entry);
        Py_DECREF(entry);
        if (status < 0) goto done;
        start = behind - bytes;
        pictures += m.has_picture;
        files += m.files;
        if (m.is_precategorized) of_case[0]++, of_case[1] += m.files;
        j.end = end;
        if (!take(&j, ',')) break;
        at = j.at;
    }
    result = Py_BuildValue("(Onnnnn)", entries, start, pictures, files, of_case[0], of_case[1]);
done:
    free(j.out);
    for (int i = 0; i < FEW_CODES; i++) Py_XDECREF(few[i]);
    hm_tuple_maker_free(&maker);
    Py_XDECREF(row);
    Py_XDECREF(entries);
    return result;
}

static PyMethodDef functions[] = {
    {"media_entries", media_entries, METH_VARARGS, NULL},
    {NULL, NULL, 0, NULL},
};

int hm_add_rows_members_functions(PyObject *module) {
    fill_tables();
    return PyModule_AddFunctions(module, functions);
}
