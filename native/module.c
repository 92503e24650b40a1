/* hashmatch._native: with rows_*.c the only file that knows Python. It checks every buffer, allocates, releases the interpreter lock
 * and calls a kernel. hashmatch/kernels/native.py is its only caller and turns what is raised here into hashmatch's errors.
 *
 * Only the stable ABI of Python 3.11 is used, and NumPy not at all: arrays arrive as buffers and leave as bytearrays. */

#define PY_SSIZE_T_CLEAN
#define Py_LIMITED_API 0x030B0000
#include <Python.h>

#include <stdlib.h>
#include <string.h>

#include "kernels.h"
#include "mapped.h"
#include "pixels.h"
#include "rows.h"

/* --- memory -------------------------------------------------------------------------------------------------------- */

/* Aligned for whole vectors. The block's own address stands before it. */
static void *vector_alloc(size_t bytes) {
    uint8_t *raw = malloc(bytes + 128);
    if (!raw) return NULL;
    uint8_t *aligned = (uint8_t *)(((uintptr_t)raw + 64 + sizeof(void *)) & ~(uintptr_t)63);
    memcpy(aligned - sizeof raw, &raw, sizeof raw);
    return aligned;
}

static void vector_free(void *p) {
    if (!p) return;
    void *raw;
    memcpy(&raw, (uint8_t *)p - sizeof raw, sizeof raw);
    free(raw);
}

static int grow_sink(hm_sink *sink, size_t capacity) {
    size_t wanted = sink->capacity < 1024 ? 1024 : sink->capacity + sink->capacity / 2;
    if (wanted < capacity) wanted = capacity;
    if (wanted > SIZE_MAX / sizeof(hm_hit)) return HM_NO_MEMORY;
    hm_hit *hits = realloc(sink->hits, wanted * sizeof *hits);
    if (!hits) return HM_NO_MEMORY;
    sink->hits = hits;
    sink->capacity = wanted;
    return HM_OK;
}

static PyObject *damaged_error; /* _native.DamagedError: a table leads outside the codes */
static PyObject *shrunk_error;  /* _native.ShrunkError: a mapped file is shorter than it was */

/* Raises what `status` stands for; returns NULL. */
static PyObject *raise_status(int status) {
    if (status == HM_NO_MEMORY) return PyErr_NoMemory();
    if (status == HM_DAMAGED) {
        PyErr_SetString(damaged_error, "a table leads outside its section");
    } else if (status == HM_SHRUNK) {
        PyErr_SetString(shrunk_error, "a page of the mapped file is gone");
    } else {
        PyErr_Format(PyExc_SystemError, "kernel returned %d", status);
    }
    return NULL;
}

/* Work on memory that may be a mapped file runs under hm_guarded (mapped.h): a function of one pointer each. */
typedef struct {
    const hm_kernels *kernels;
    const hm_flat *job;
    hm_sink *sink;
} flat_work;

static int do_flat(void *context) {
    flat_work *w = context;
    return w->kernels->flat(w->job, w->sink);
}

typedef struct {
    const hm_kernels *kernels;
    const hm_ring_search *job;
    size_t first, last;
    uint8_t *fallback;
    hm_sorted_queries *sorted;
    hm_sink *sink;
} ring_work;

static int do_by_query(void *context) {
    ring_work *w = context;
    return w->kernels->ring_by_query(w->job, w->first, w->last, w->fallback, w->sink);
}

#define PARTS 16 /* of a chunk's values: what threads are given */

static int do_by_bucket(void *context) {
    ring_work *w = context;
    uint64_t spent = 0;
    for (size_t part = w->first; part < w->last; part++) {
        uint32_t value = (uint32_t)(part % PARTS) * (HM_CHUNK_VALUES / PARTS);
        int status = w->kernels->ring_by_bucket(w->job, (unsigned)(part / PARTS), value, value + HM_CHUNK_VALUES / PARTS,
                                                w->sorted, &spent, w->sink);
        if (status != HM_OK) return status;
    }
    return HM_OK;
}

typedef struct {
    const hm_ring *ring;
    double skew; /* of the most uneven chunk */
} check_work;

static int do_check(void *context) {
    check_work *w = context;
    w->skew = 1;
    for (unsigned c = 0; c < w->ring->chunks; c++) {
        int status = hm_ring_check(w->ring->offsets[c], w->ring->n);
        if (status != HM_OK) return status;
        double skew = hm_ring_skew(w->ring->offsets[c], w->ring->n);
        if (skew > w->skew) w->skew = skew;
    }
    return HM_OK;
}

typedef struct {
    const hm_hits *parts;
    size_t nparts, nq, codes, rows_count;
    const uint32_t *starts, *rows;
    int64_t *offsets, *cursor, *out_rows;
    uint64_t *keys, *spare;
    uint16_t *out_distances; /* or out_far */
    uint32_t *out_far;
} order_work;

static int do_count(void *context) {
    order_work *w = context;
    return hm_hits_count(w->parts, w->nparts, w->nq, w->starts, w->codes, w->rows_count, w->offsets);
}

static int do_order(void *context) {
    order_work *w = context;
    return hm_hits_order(w->parts, w->nparts, w->nq, w->starts, w->rows, w->rows_count, w->offsets, w->cursor, w->keys,
                         w->spare, w->out_rows, w->out_distances, w->out_far);
}

typedef struct {
    const uint8_t *codes;
    size_t n, width, chunk;
    uint8_t *table;
    void *scratch;
} build_work;

static int do_build(void *context) {
    build_work *w = context;
    return hm_ring_build(w->codes, w->n, w->width, w->chunk, w->table, w->scratch);
}

/* --- implementations ----------------------------------------------------------------------------------------------- */

/* Asked once, when the module is loaded: under a hypervisor each cpuid costs tens of microseconds. */
static hm_implementation known[HM_MAX_IMPLEMENTATIONS];
static size_t known_count;

static const hm_kernels *kernels_of(int number) {
    if (number < 0 || (size_t)number >= known_count || !known[number].available) {
        PyErr_Format(PyExc_ValueError, "no implementation %d on this machine", number);
        return NULL;
    }
    return known[number].kernels;
}

static PyObject *implementations(PyObject *self, PyObject *none) {
    (void)self, (void)none;
    PyObject *result = PyList_New(0);
    for (size_t i = 0; result && i < known_count; i++) {
        PyObject *item =
            Py_BuildValue("(sOs)", known[i].kernels->name, known[i].available ? Py_True : Py_False, known[i].reason);
        if (!item || PyList_Append(result, item) < 0) Py_CLEAR(result);
        Py_XDECREF(item);
    }
    return result;
}

/* --- Hamming search ------------------------------------------------------------------------------------------------ */

static uint16_t ring_masks[HM_CHUNK_VALUES];
static uint32_t ring_mask_counts[17];

/* Codes that are searched, with what belongs to them: buffers are held as long as this lives. */
typedef struct {
    Py_buffer codes, tables[16], starts, rows;
    int has_ring, has_rows;
    double skew;
    hm_ring ring;
} codes_t;

#define CODES_NAME "hashmatch._native.codes"
#define HITS_NAME "hashmatch._native.hits"

static void release_codes(codes_t *codes) {
    if (codes->codes.obj) PyBuffer_Release(&codes->codes);
    for (int c = 0; c < 16; c++) {
        if (codes->tables[c].obj) PyBuffer_Release(&codes->tables[c]);
    }
    if (codes->starts.obj) PyBuffer_Release(&codes->starts);
    if (codes->rows.obj) PyBuffer_Release(&codes->rows);
    PyMem_Free(codes);
}

static void codes_destructor(PyObject *capsule) { release_codes(PyCapsule_GetPointer(capsule, CODES_NAME)); }

static hm_sink *new_sink(void) {
    hm_sink *sink = PyMem_Calloc(1, sizeof *sink);
    if (!sink) {
        PyErr_NoMemory();
        return NULL;
    }
    sink->grow = grow_sink;
    return sink;
}

static void free_sink(hm_sink *sink) {
    if (!sink) return;
    free(sink->hits);
    PyMem_Free(sink);
}

static void hits_destructor(PyObject *capsule) { free_sink(PyCapsule_GetPointer(capsule, HITS_NAME)); }

static PyObject *sink_capsule(hm_sink *sink) {
    PyObject *capsule = PyCapsule_New(sink, HITS_NAME, hits_destructor);
    if (!capsule) free_sink(sink);
    return capsule;
}

static int take_buffer(PyObject *source, Py_buffer *view, size_t item, const char *what) {
    if (PyObject_GetBuffer(source, view, PyBUF_SIMPLE) < 0) return -1;
    if ((uintptr_t)view->buf % item && view->len) {
        PyErr_Format(PyExc_ValueError, "%s are not aligned to %zu bytes", what, item);
        return -1;
    }
    if ((size_t)view->len % item) {
        PyErr_Format(PyExc_ValueError, "%s are %zd bytes, not whole items of %zu", what, view->len, item);
        return -1;
    }
    return 0;
}

/* open_codes(codes, width, tables, starts, rows): None for what is not there; tables is a tuple, one a chunk. Reads the
 * tables' offsets (checks them once for all searches); the other sections are not touched. */
static PyObject *open_codes(PyObject *self, PyObject *args) {
    (void)self;
    PyObject *codes_obj, *tables_obj, *starts_obj, *rows_obj;
    Py_ssize_t width;
    if (!PyArg_ParseTuple(args, "OnOOO", &codes_obj, &width, &tables_obj, &starts_obj, &rows_obj)) return NULL;
    codes_t *codes = PyMem_Calloc(1, sizeof *codes);
    if (!codes) return PyErr_NoMemory();
    if (width < 1 || width > 8191) {
        PyErr_Format(PyExc_ValueError, "width is %zd; expected 1 to 8191", width);
        goto fail;
    }
    if (take_buffer(codes_obj, &codes->codes, 1, "codes") < 0) goto fail;
    size_t n = (size_t)codes->codes.len / (size_t)width;
    if ((size_t)codes->codes.len % (size_t)width || n > UINT32_MAX) {
        PyErr_Format(PyExc_ValueError, "codes are %zd bytes, not whole codes of %zd", codes->codes.len, width);
        goto fail;
    }
    codes->ring.codes = codes->codes.buf;
    codes->ring.n = n;
    codes->ring.width = (size_t)width;
    codes->skew = 1;
    if (tables_obj != Py_None) {
        unsigned chunks = (unsigned)width / 2;
        if ((width != 8 && width != 32) || !PyTuple_Check(tables_obj) || PyTuple_Size(tables_obj) != (Py_ssize_t)chunks) {
            PyErr_SetString(PyExc_ValueError, "expected 4 tables for codes of 8 bytes, 16 for codes of 32");
            goto fail;
        }
        for (unsigned c = 0; c < chunks; c++) {
            Py_buffer *view = &codes->tables[c];
            if (take_buffer(PyTuple_GetItem(tables_obj, c), view, 4, "tables") < 0) goto fail;
            if ((size_t)view->len != HM_RING_BUCKETS + n * 8 + HM_RING_PADDING) {
                PyErr_SetString(damaged_error, "a ring table does not have the size that the codes ask for");
                goto fail;
            }
            codes->ring.offsets[c] = view->buf;
            codes->ring.buckets[c] = (const uint8_t *)view->buf + HM_RING_BUCKETS;
        }
        codes->ring.chunks = chunks;
        check_work check = {&codes->ring, 1};
        int status;
        Py_BEGIN_ALLOW_THREADS
        status = hm_guarded(do_check, &check);
        Py_END_ALLOW_THREADS
        codes->skew = check.skew;
        if (status != HM_OK) {
            raise_status(status);
            goto fail;
        }
        codes->has_ring = 1;
    }
    if (starts_obj != Py_None) {
        if (take_buffer(starts_obj, &codes->starts, 4, "starts") < 0) goto fail;
        if (take_buffer(rows_obj, &codes->rows, 4, "rows") < 0) goto fail;
        if ((size_t)codes->starts.len != (n + 1) * 4) {
            PyErr_SetString(damaged_error, "there is not one start a code");
            goto fail;
        }
        codes->has_rows = 1;
    }
    PyObject *capsule = PyCapsule_New(codes, CODES_NAME, codes_destructor);
    if (!capsule) goto fail;
    return capsule;
fail:
    release_codes(codes);
    return NULL;
}

static PyObject *ring_skew(PyObject *self, PyObject *capsule) {
    (void)self;
    codes_t *codes = PyCapsule_GetPointer(capsule, CODES_NAME);
    return codes ? PyFloat_FromDouble(codes->skew) : NULL;
}

/* Queries as a buffer of whole codes; -1 with an exception set. */
static Py_ssize_t queries_of(const Py_buffer *view, const codes_t *codes) {
    if ((size_t)view->len % codes->ring.width || (size_t)view->len / codes->ring.width > UINT32_MAX) {
        PyErr_Format(PyExc_ValueError, "queries are %zd bytes, not whole codes of %zu", view->len, codes->ring.width);
        return -1;
    }
    return view->len / (Py_ssize_t)codes->ring.width;
}

static int flat_into(const hm_kernels *kernels, const codes_t *codes, size_t first, size_t last, const uint8_t *queries,
                     const uint32_t *ids, size_t nq, const uint16_t *radii, hm_sink *sink) {
    size_t words = (codes->ring.width + 7) / 8;
    uint64_t *columns = vector_alloc(words * HM_FLAT_STRIDE * sizeof *columns);
    if (!columns) return HM_NO_MEMORY;
    hm_flat job = {codes->ring.codes + first * codes->ring.width,
                   last - first,
                   codes->ring.width,
                   queries,
                   ids,
                   nq,
                   radii,
                   columns};
    flat_work work = {kernels, &job, sink};
    int status = hm_guarded(do_flat, &work);
    vector_free(columns);
    return status;
}

/* flat_hits(implementation, codes, queries, radii, first, last): hits among the codes from first to last (exclusive). Their
 * positions are those of all codes. */
static PyObject *flat_hits(PyObject *self, PyObject *args) {
    (void)self;
    int number;
    PyObject *capsule, *result = NULL;
    Py_buffer queries, radii;
    Py_ssize_t first, last;
    if (!PyArg_ParseTuple(args, "iOy*y*nn", &number, &capsule, &queries, &radii, &first, &last)) return NULL;
    const hm_kernels *kernels = kernels_of(number);
    codes_t *codes = PyCapsule_GetPointer(capsule, CODES_NAME);
    if (!kernels || !codes) goto done;
    Py_ssize_t nq = queries_of(&queries, codes);
    if (nq < 0) goto done;
    if (radii.len != nq * 2 || (uintptr_t)radii.buf % 2 || first < 0 || first > last || (size_t)last > codes->ring.n) {
        PyErr_SetString(PyExc_ValueError, "radii or the range of codes do not fit");
        goto done;
    }
    hm_sink *sink = new_sink();
    if (!sink) goto done;
    int status;
    Py_BEGIN_ALLOW_THREADS
    status = flat_into(kernels, codes, (size_t)first, (size_t)last, queries.buf, NULL, (size_t)nq, radii.buf, sink);
    for (size_t i = 0; status == HM_OK && first && i < sink->count; i++) sink->hits[i].key += (uint64_t)first;
    Py_END_ALLOW_THREADS
    if (status != HM_OK) {
        free_sink(sink);
        raise_status(status);
        goto done;
    }
    result = sink_capsule(sink);
done:
    PyBuffer_Release(&queries);
    PyBuffer_Release(&radii);
    return result;
}

static int check_radius(const codes_t *codes, int radius) {
    if (radius >= 0 && (size_t)radius <= codes->ring.width * 8) return 0;
    PyErr_Format(PyExc_ValueError, "radius is %d; expected 0 to %zu", radius, codes->ring.width * 8);
    return -1;
}

static int begin_ring(hm_ring_search *job, const codes_t *codes, const Py_buffer *queries, Py_ssize_t nq, int radius,
                      uint64_t budget) {
    if (!codes->has_ring) {
        PyErr_SetString(PyExc_ValueError, "these codes have no ring tables");
        return -1;
    }
    if (check_radius(codes, radius) < 0) return -1;
    memset(job, 0, sizeof *job);
    job->ring = &codes->ring;
    hm_ring_limits_of(codes->ring.chunks, (unsigned)radius, &job->limits);
    job->queries = queries->buf;
    job->nq = (size_t)nq;
    job->masks = ring_masks;
    job->mask_counts = ring_mask_counts;
    job->budget = budget;
    job->scratch = malloc(sizeof *job->scratch);
    if (!job->scratch) {
        PyErr_NoMemory();
        return -1;
    }
    return 0;
}

/* Queries first to last, one by one; the abandoned ones together by a flat scan. No interpreter lock. */
static int by_query(const hm_kernels *kernels, const codes_t *codes, const hm_ring_search *job, size_t first, size_t last,
                    hm_sink *sink) {
    uint8_t few[64], *fallback = few;
    if (job->nq > sizeof few && !(fallback = malloc(job->nq))) return HM_NO_MEMORY;
    ring_work work = {kernels, job, first, last, fallback, NULL, sink};
    int status = hm_guarded(do_by_query, &work);
    size_t count = 0;
    for (size_t q = first; status == HM_OK && q < last; q++) count += fallback[q];
    if (status == HM_OK && count) {
        size_t width = codes->ring.width;
        uint8_t *queries = malloc(count * width);
        uint32_t *ids = malloc(count * sizeof *ids);
        uint16_t *radii = malloc(count * sizeof *radii);
        size_t at = 0;
        for (size_t q = first; queries && ids && radii && q < last; q++) {
            if (!fallback[q]) continue;
            memcpy(queries + at * width, job->queries + q * width, width);
            ids[at] = (uint32_t)q;
            radii[at++] = (uint16_t)job->limits.radius;
        }
        status = at == count ? flat_into(kernels, codes, 0, codes->ring.n, queries, ids, count, radii, sink) : HM_NO_MEMORY;
        free(queries);
        free(ids);
        free(radii);
    }
    if (fallback != few) free(fallback);
    return status;
}

/* ring_hits_by_query(implementation, codes, queries, radius, budget, first, last) */
static PyObject *ring_hits_by_query(PyObject *self, PyObject *args) {
    (void)self;
    int number, radius;
    PyObject *capsule, *result = NULL;
    Py_buffer queries;
    unsigned long long budget;
    Py_ssize_t first, last;
    if (!PyArg_ParseTuple(args, "iOy*iKnn", &number, &capsule, &queries, &radius, &budget, &first, &last)) return NULL;
    const hm_kernels *kernels = kernels_of(number);
    codes_t *codes = PyCapsule_GetPointer(capsule, CODES_NAME);
    hm_ring_search job = {0};
    hm_sink *sink = NULL;
    if (!kernels || !codes) goto done;
    Py_ssize_t nq = queries_of(&queries, codes);
    if (nq < 0) goto done;
    if (first < 0 || first > last || last > nq) {
        PyErr_SetString(PyExc_ValueError, "the range of queries does not fit");
        goto done;
    }
    if (begin_ring(&job, codes, &queries, nq, radius, budget) < 0 || !(sink = new_sink())) goto done;
    int status;
    Py_BEGIN_ALLOW_THREADS
    status = by_query(kernels, codes, &job, (size_t)first, (size_t)last, sink);
    Py_END_ALLOW_THREADS
    if (status != HM_OK) {
        free_sink(sink);
        raise_status(status);
    } else {
        result = sink_capsule(sink);
    }
done:
    free(job.scratch);
    PyBuffer_Release(&queries);
    return result;
}

/* ring_hits_by_bucket(implementation, codes, queries, radius, budget, first, last): the parts from first to last
 * (exclusive); part p is the p % 16th sixteenth of the values of chunk p / 16. None where the budget was spent. */
static PyObject *ring_hits_by_bucket(PyObject *self, PyObject *args) {
    (void)self;
    int number, radius;
    PyObject *capsule, *result = NULL;
    Py_buffer queries;
    unsigned long long budget;
    Py_ssize_t first, last;
    if (!PyArg_ParseTuple(args, "iOy*iKnn", &number, &capsule, &queries, &radius, &budget, &first, &last)) return NULL;
    const hm_kernels *kernels = kernels_of(number);
    codes_t *codes = PyCapsule_GetPointer(capsule, CODES_NAME);
    hm_ring_search job = {0};
    hm_sorted_queries sorted = {NULL, NULL, -1};
    hm_sink *sink = NULL;
    uint8_t *copy = NULL;
    if (!kernels || !codes) goto done;
    Py_ssize_t nq = queries_of(&queries, codes);
    if (nq < 0) goto done;
    if (begin_ring(&job, codes, &queries, nq, radius, budget) < 0) goto done;
    if (first < 0 || first > last || (size_t)last > codes->ring.chunks * PARTS) {
        PyErr_SetString(PyExc_ValueError, "the range of parts does not fit");
        goto done;
    }
    sorted.offsets = calloc(HM_CHUNK_VALUES + 1, sizeof *sorted.offsets);
    sorted.seekers = calloc((size_t)nq + 8, sizeof *sorted.seekers);
    copy = malloc((size_t)queries.len + 1);
    if (!sorted.offsets || !sorted.seekers || !copy) {
        PyErr_NoMemory();
        goto done;
    }
    /* Queries are sorted by counting them and then placing them: another thread that changed them in between would have
     * them placed outside the array. */
    memcpy(copy, queries.buf, (size_t)queries.len);
    job.queries = copy;
    if (!(sink = new_sink())) goto done;
    ring_work work = {kernels, &job, (size_t)first, (size_t)last, NULL, &sorted, sink};
    int status;
    Py_BEGIN_ALLOW_THREADS
    status = hm_guarded(do_by_bucket, &work);
    Py_END_ALLOW_THREADS
    if (status == HM_ABANDONED) {
        free_sink(sink);
        result = Py_NewRef(Py_None);
    } else if (status != HM_OK) {
        free_sink(sink);
        raise_status(status);
    } else {
        result = sink_capsule(sink);
    }
done:
    free(job.scratch);
    free(sorted.offsets);
    free(sorted.seekers);
    free(copy);
    PyBuffer_Release(&queries);
    return result;
}

static PyObject *ordered(const hm_hits *parts, size_t nparts, size_t nq, const codes_t *codes, int far) {
    const uint32_t *starts = codes->has_rows ? codes->starts.buf : NULL, *rows = codes->has_rows ? codes->rows.buf : NULL;
    PyObject *offsets = PyByteArray_FromStringAndSize(NULL, (Py_ssize_t)((nq + 1) * sizeof(int64_t)));
    PyObject *out_rows = NULL, *out_distances = NULL, *result = NULL;
    if (!offsets) return NULL;
    int64_t *at = (int64_t *)PyByteArray_AsString(offsets);
    order_work work = {.parts = parts, .nparts = nparts, .nq = nq, .codes = codes->ring.n, .starts = starts, .rows = rows,
                       .rows_count = (size_t)codes->rows.len / 4, .offsets = at};
    int status;
    Py_BEGIN_ALLOW_THREADS
    status = hm_guarded(do_count, &work);
    Py_END_ALLOW_THREADS
    if (status != HM_OK) {
        raise_status(status);
        goto done;
    }
    size_t m = (size_t)at[nq];
    if (m > PY_SSIZE_T_MAX / 16) {
        PyErr_NoMemory();
        goto done;
    }
    out_rows = PyByteArray_FromStringAndSize(NULL, (Py_ssize_t)(m * sizeof(int64_t)));
    out_distances = PyByteArray_FromStringAndSize(NULL, (Py_ssize_t)(m * (far ? sizeof(uint32_t) : sizeof(uint16_t))));
    work.cursor = malloc((nq + 1) * sizeof *work.cursor);
    work.keys = malloc((m + 1) * 2 * sizeof *work.keys);
    if (!out_rows || !out_distances) goto done;
    if (!work.cursor || !work.keys) {
        PyErr_NoMemory();
        goto done;
    }
    work.spare = work.keys + m;
    work.out_rows = (int64_t *)PyByteArray_AsString(out_rows);
    if (far) {
        work.out_far = (uint32_t *)PyByteArray_AsString(out_distances);
    } else {
        work.out_distances = (uint16_t *)PyByteArray_AsString(out_distances);
    }
    Py_BEGIN_ALLOW_THREADS
    status = hm_guarded(do_order, &work);
    Py_END_ALLOW_THREADS
    if (status != HM_OK) {
        raise_status(status);
        goto done;
    }
    result = PyTuple_Pack(3, offsets, out_rows, out_distances);
done:
    free(work.cursor);
    free(work.keys);
    Py_XDECREF(offsets);
    Py_XDECREF(out_rows);
    Py_XDECREF(out_distances);
    return result;
}

/* order_hits(codes, [hits, ...], nq, far=False) -> (offsets int64[nq + 1], rows int64[m], distances uint16[m], with far
 * uint32[m]) as bytearrays */
static PyObject *order_hits(PyObject *self, PyObject *args) {
    (void)self;
    PyObject *capsule, *list;
    Py_ssize_t nq;
    int far = 0;
    if (!PyArg_ParseTuple(args, "OO!n|p", &capsule, &PyList_Type, &list, &nq, &far)) return NULL;
    codes_t *codes = PyCapsule_GetPointer(capsule, CODES_NAME);
    if (!codes) return NULL;
    if (nq < 0 || nq > PY_SSIZE_T_MAX / 16) {
        PyErr_SetString(PyExc_ValueError, "number of queries");
        return NULL;
    }
    size_t nparts = (size_t)PyList_Size(list);
    hm_hits *parts = PyMem_Calloc(nparts + 1, sizeof *parts);
    if (!parts) return PyErr_NoMemory();
    PyObject *result = NULL;
    for (size_t p = 0; p < nparts; p++) {
        hm_sink *sink = PyCapsule_GetPointer(PyList_GetItem(list, (Py_ssize_t)p), HITS_NAME);
        if (!sink) goto done;
        parts[p].hits = sink->hits;
        parts[p].count = sink->count;
        for (size_t i = 0; i < sink->count; i++) {
            if (sink->hits[i].query >= (size_t)nq) {
                PyErr_SetString(PyExc_ValueError, "hits of more queries than stated");
                goto done;
            }
        }
    }
    result = ordered(parts, nparts, (size_t)nq, codes, far);
done:
    PyMem_Free(parts);
    return result;
}

/* search(implementation, codes, queries, radius, budget): few queries, in one call. budget 0: a flat scan. */
static PyObject *search(PyObject *self, PyObject *args) {
    (void)self;
    int number, radius;
    PyObject *capsule, *result = NULL;
    Py_buffer queries;
    unsigned long long budget;
    if (!PyArg_ParseTuple(args, "iOy*iK", &number, &capsule, &queries, &radius, &budget)) return NULL;
    const hm_kernels *kernels = kernels_of(number);
    codes_t *codes = PyCapsule_GetPointer(capsule, CODES_NAME);
    hm_ring_search job = {0};
    hm_sink sink = {NULL, 0, 0, grow_sink};
    uint16_t *radii = NULL;
    if (!kernels || !codes) goto done;
    Py_ssize_t nq = queries_of(&queries, codes);
    if (nq < 0) goto done;
    int status = HM_OK;
    if (budget) {
        if (begin_ring(&job, codes, &queries, nq, radius, budget) < 0) goto done;
        Py_BEGIN_ALLOW_THREADS
        status = by_query(kernels, codes, &job, 0, (size_t)nq, &sink);
        Py_END_ALLOW_THREADS
    } else {
        if (check_radius(codes, radius) < 0) goto done;
        radii = malloc(((size_t)nq + 1) * sizeof *radii);
        if (!radii) {
            PyErr_NoMemory();
            goto done;
        }
        for (Py_ssize_t q = 0; q < nq; q++) radii[q] = (uint16_t)radius;
        Py_BEGIN_ALLOW_THREADS
        status = flat_into(kernels, codes, 0, codes->ring.n, queries.buf, NULL, (size_t)nq, radii, &sink);
        Py_END_ALLOW_THREADS
    }
    if (status != HM_OK) {
        raise_status(status);
    } else {
        hm_hits part = {sink.hits, sink.count};
        result = ordered(&part, 1, (size_t)nq, codes, 0);
    }
done:
    free(job.scratch);
    free(radii);
    free(sink.hits);
    PyBuffer_Release(&queries);
    return result;
}

/* ring_build(codes, width, chunk, table): fills the table of one chunk. */
static PyObject *ring_build(PyObject *self, PyObject *args) {
    (void)self;
    Py_buffer codes, table;
    Py_ssize_t width, chunk;
    PyObject *result = NULL;
    if (!PyArg_ParseTuple(args, "y*nnw*", &codes, &width, &chunk, &table)) return NULL;
    size_t n = width > 0 ? (size_t)codes.len / (size_t)width : 0;
    if ((width != 8 && width != 32) || (size_t)codes.len % (size_t)width || n > UINT32_MAX || chunk < 0 ||
        chunk >= width / 2 || (size_t)table.len != HM_RING_BUCKETS + n * 8 + HM_RING_PADDING || (uintptr_t)table.buf % 4) {
        PyErr_SetString(PyExc_ValueError, "codes and table do not fit each other");
        goto done;
    }
    size_t needed = hm_ring_build_scratch(n);
    void *scratch = needed ? malloc(needed) : NULL;
    if (!scratch) {
        PyErr_NoMemory();
        goto done;
    }
    build_work work = {codes.buf, n, (size_t)width, (size_t)chunk, table.buf, scratch};
    int status;
    Py_BEGIN_ALLOW_THREADS
    status = hm_guarded(do_build, &work);
    Py_END_ALLOW_THREADS
    free(scratch);
    result = status == HM_OK ? Py_NewRef(Py_None) : raise_status(status);
done:
    PyBuffer_Release(&codes);
    PyBuffer_Release(&table);
    return result;
}

/* --- squared Euclidean distance ------------------------------------------------------------------------------------ */

typedef struct {
    const hm_kernels *kernels;
    const hm_euclidean *job;
    hm_sink *sink;
} euclidean_work;

static int do_euclidean(void *context) {
    euclidean_work *w = context;
    return w->kernels->euclidean(w->job, w->sink);
}

/* euclidean_hits(implementation, codes, queries, radius, first, last): as flat_hits, of a squared distance. */
static PyObject *euclidean_hits(PyObject *self, PyObject *args) {
    (void)self;
    int number;
    unsigned long radius;
    PyObject *capsule, *result = NULL;
    Py_buffer queries;
    Py_ssize_t first, last;
    if (!PyArg_ParseTuple(args, "iOy*knn", &number, &capsule, &queries, &radius, &first, &last)) return NULL;
    const hm_kernels *kernels = kernels_of(number);
    codes_t *codes = PyCapsule_GetPointer(capsule, CODES_NAME);
    hm_sink *sink = NULL;
    void *scratch = NULL;
    if (!kernels || !codes) goto done;
    Py_ssize_t nq = queries_of(&queries, codes);
    if (nq < 0) goto done;
    size_t width = codes->ring.width;
    if (radius > width * 255 * 255 || first < 0 || first > last || (size_t)last > codes->ring.n) {
        PyErr_SetString(PyExc_ValueError, "the radius or the range of codes does not fit");
        goto done;
    }
    scratch = vector_alloc(hm_euclidean_scratch(width, (size_t)nq));
    if (!scratch) {
        PyErr_NoMemory();
        goto done;
    }
    if (!(sink = new_sink())) goto done;
    hm_euclidean job = {codes->ring.codes + (size_t)first * width, (size_t)(last - first), width, queries.buf, (size_t)nq,
                        (uint32_t)radius, scratch};
    euclidean_work work = {kernels, &job, sink};
    int status;
    Py_BEGIN_ALLOW_THREADS
    status = hm_guarded(do_euclidean, &work);
    for (size_t i = 0; status == HM_OK && first && i < sink->count; i++) sink->hits[i].key += (uint64_t)first;
    Py_END_ALLOW_THREADS
    if (status != HM_OK) {
        free_sink(sink);
        raise_status(status);
        goto done;
    }
    result = sink_capsule(sink);
done:
    vector_free(scratch);
    PyBuffer_Release(&queries);
    return result;
}

/* --- digests ------------------------------------------------------------------------------------------------------- */

static int do_digest_lookup(void *job) { return hm_digests_find(job); }

static int do_digest_write(void *job) { return hm_digests_write(job); }

/* digest_lookup(values, width, table, queries) -> (first, last), int64 each. */
static PyObject *digest_lookup(PyObject *self, PyObject *args) {
    (void)self;
    PyObject *values_obj, *table_obj, *queries_obj, *first = NULL, *last = NULL, *result = NULL;
    Py_buffer values = {0}, table = {0}, queries = {0};
    Py_ssize_t width;
    if (!PyArg_ParseTuple(args, "OnOO", &values_obj, &width, &table_obj, &queries_obj)) return NULL;
    if (width < 8 || width > 8191) {
        PyErr_Format(PyExc_ValueError, "width is %zd; expected 8 to 8191", width);
        return NULL;
    }
    if (take_buffer(values_obj, &values, 1, "values") < 0 || take_buffer(table_obj, &table, 4, "table entries") < 0 ||
        take_buffer(queries_obj, &queries, 1, "queries") < 0)
        goto done;
    hm_digest_lookup job = {0};
    size_t entries = (size_t)table.len / 4;
    for (unsigned bits = 1; bits < 32; bits++)
        if (entries == ((size_t)1 << bits) + 1) job.bits = bits;
    if (!job.bits || (size_t)values.len % (size_t)width || (size_t)queries.len % (size_t)width) {
        PyErr_SetString(PyExc_ValueError, "values, table and queries do not fit each other");
        goto done;
    }
    job.values = values.buf;
    job.count = (size_t)values.len / (size_t)width;
    job.width = (size_t)width;
    job.table = table.buf;
    job.queries = queries.buf;
    job.n = (size_t)queries.len / (size_t)width;
    first = PyByteArray_FromStringAndSize(NULL, (Py_ssize_t)(job.n * 8));
    last = PyByteArray_FromStringAndSize(NULL, (Py_ssize_t)(job.n * 8));
    if (!first || !last) goto done;
    job.first = (int64_t *)PyByteArray_AsString(first);
    job.last = (int64_t *)PyByteArray_AsString(last);
    int status;
    Py_BEGIN_ALLOW_THREADS
    status = hm_guarded(do_digest_lookup, &job);
    Py_END_ALLOW_THREADS
    result = status == HM_OK ? PyTuple_Pack(2, first, last) : raise_status(status);
done:
    Py_XDECREF(first);
    Py_XDECREF(last);
    if (values.obj) PyBuffer_Release(&values);
    if (table.obj) PyBuffer_Release(&table);
    if (queries.obj) PyBuffer_Release(&queries);
    return result;
}

/* parse_digest_lines(text, start, width, out, found, paths) -> (next, found, lines, paths). */
static PyObject *parse_digest_lines(PyObject *self, PyObject *args) {
    (void)self;
    Py_buffer text, out;
    Py_ssize_t start, width, found;
    int paths;
    PyObject *result = NULL;
    if (!PyArg_ParseTuple(args, "y*nnw*ni", &text, &start, &width, &out, &found, &paths)) return NULL;
    if (width < 4 || width > 8188 || width % 4 || start < 0 || start > text.len || found < 0 || out.len % width ||
        found > out.len / width || paths < -1 || paths > 1) {
        PyErr_SetString(PyExc_ValueError, "text, start, width, out, found and paths do not fit each other");
        goto done;
    }
    hm_digest_lines job = {text.buf,
                           (size_t)text.len,
                           (size_t)width,
                           out.buf,
                           (size_t)(out.len / width),
                           (size_t)start,
                           (size_t)found,
                           0,
                           paths};
    Py_BEGIN_ALLOW_THREADS
    hm_digests_parse(&job);
    Py_END_ALLOW_THREADS
    result = Py_BuildValue("(nnni)", (Py_ssize_t)job.at, (Py_ssize_t)job.found, (Py_ssize_t)job.lines, job.paths);
done:
    PyBuffer_Release(&text);
    PyBuffer_Release(&out);
    return result;
}

static const char *const lookup_buffers[] = {"digests", "first", "last", "rows", "row sources", "row categories",
                                             "reference offsets", "references", "source names", "source offsets",
                                             "category names", "category offsets"};
static const size_t lookup_items[] = {1, 8, 8, 4, 4, 4, 8, 1, 1, 8, 1, 8};
enum { LOOKUP_BUFFERS = 12 };

static hm_names names_of(const Py_buffer *text, const Py_buffer *offsets) {
    return (hm_names){text->buf, (size_t)text->len, offsets->buf, (size_t)offsets->len / 8 - 1};
}

/* write_lookup_lines((digests, first, last, rows, row_source, row_category, ref_offsets, ref_text, source_names,
 * source_offsets, category_names, category_offsets), width, hits_only, out, query, position)
 * -> (written, query, position, stopped). */
static PyObject *write_lookup_lines(PyObject *self, PyObject *args) {
    (void)self;
    PyObject *sources, *result = NULL;
    Py_ssize_t width, query, position;
    int hits_only;
    Py_buffer out, b[LOOKUP_BUFFERS];
    memset(b, 0, sizeof b);
    if (!PyArg_ParseTuple(args, "O!npw*nn", &PyTuple_Type, &sources, &width, &hits_only, &out, &query, &position)) return NULL;
    if (PyTuple_Size(sources) != LOOKUP_BUFFERS) {
        PyErr_Format(PyExc_ValueError, "%zd buffers; expected %d", PyTuple_Size(sources), (int)LOOKUP_BUFFERS);
        goto done;
    }
    for (int i = 0; i < LOOKUP_BUFFERS; i++)
        if (take_buffer(PyTuple_GetItem(sources, i), &b[i], lookup_items[i], lookup_buffers[i]) < 0) goto done;
    Py_ssize_t n = b[1].len / 8, nrows = b[4].len / 4;
    if (width < 4 || width > 8188 || width % 4 || b[0].len != n * width || b[2].len != b[1].len || b[5].len != b[4].len ||
        b[6].len != (nrows + 1) * 8 || b[9].len < 8 || b[11].len < 8 || query < 0 || query > n || position < 0) {
        PyErr_SetString(PyExc_ValueError, "digests, positions and rows do not fit each other");
        goto done;
    }
    hm_lookup_lines job = {0};
    job.digests = b[0].buf;
    job.first = b[1].buf;
    job.last = b[2].buf;
    job.n = (size_t)n;
    job.width = (size_t)width;
    job.rows = b[3].buf;
    job.count = (size_t)b[3].len / 4;
    job.row_source = b[4].buf;
    job.row_category = b[5].buf;
    job.nrows = (size_t)nrows;
    job.ref_offsets = b[6].buf;
    job.ref_text = b[7].buf;
    job.ref_size = (size_t)b[7].len;
    job.sources = names_of(&b[8], &b[9]);
    job.categories = names_of(&b[10], &b[11]);
    job.hits_only = hits_only;
    job.out = out.buf;
    job.capacity = (size_t)out.len;
    job.query = (size_t)query;
    job.position = (size_t)position;
    int status;
    Py_BEGIN_ALLOW_THREADS
    status = hm_guarded(do_digest_write, &job);
    Py_END_ALLOW_THREADS
    if (status != HM_OK) {
        raise_status(status);
        goto done;
    }
    result = Py_BuildValue("(nnni)", (Py_ssize_t)job.written, (Py_ssize_t)job.query, (Py_ssize_t)job.position, job.stopped);
done:
    for (int i = 0; i < LOOKUP_BUFFERS; i++)
        if (b[i].obj) PyBuffer_Release(&b[i]);
    PyBuffer_Release(&out);
    return result;
}

/* --- pixels --------------------------------------------------------------------------------------------------------- */

/* One block of scratch is kept between calls: pages that the system has to clear again cost more than a hash does. Taken
 * and returned with the interpreter lock held; a second thread meanwhile allocates one of its own. */
static struct {
    void *block;
    size_t bytes;
} spare;

#define MOST_SPARE ((size_t)4 << 20) /* bytes that are kept: enough for pictures of 10 megapixels */

/* At least `bytes`, which becomes what there is. */
static void *scratch_take(size_t *bytes) {
    if (spare.bytes < *bytes) return vector_alloc(*bytes);
    void *block = spare.block;
    *bytes = spare.bytes;
    spare.block = NULL;
    spare.bytes = 0;
    return block;
}

static void scratch_return(void *block, size_t bytes) {
    if (bytes > MOST_SPARE || bytes <= spare.bytes) {
        vector_free(block);
        return;
    }
    vector_free(spare.block);
    spare.block = block;
    spare.bytes = bytes;
}

/* Tables of the sizes that were hashed last are kept as well: a folder's pictures often have one size, and of a small picture
 * the tables take a third of the time. An entry is taken out while it is in use. */
enum { KEPT = 4 };
static struct {
    const hm_pixels *kernels;
    size_t height, width;
    int which;
    uint64_t age;
    void *block;
} kept[KEPT];
static uint64_t kept_clock;

#define MOST_TABLES ((size_t)1 << 20) /* bytes of one: enough for pictures of 20 megapixels */

/* Gives `picture` its tables, if they are kept; 1 if they are still to be made, -1 with an exception set. `which` without
 * HM_PDQ. */
static int tables_take(const hm_pixels *kernels, int which, hm_picture *picture, void **tables) {
    *tables = NULL;
    for (int i = 0; i < KEPT; i++) {
        if (kept[i].block && kept[i].kernels == kernels && kept[i].which == which && kept[i].height == picture->height &&
            kept[i].width == picture->width) {
            picture->tables = *tables = kept[i].block;
            kept[i].block = NULL;
            return 0;
        }
    }
    size_t bytes = hm_family_tables(picture);
    if (!which || bytes > MOST_TABLES) return 0;
    if (!(*tables = vector_alloc(bytes))) {
        PyErr_NoMemory();
        return -1;
    }
    return 1;
}

static void tables_return(const hm_pixels *kernels, int which, const hm_picture *picture, void *tables) {
    int oldest = 0;
    if (!tables) return;
    for (int i = 1; i < KEPT && kept[oldest].block; i++) {
        if (!kept[i].block || kept[i].age < kept[oldest].age) oldest = i;
    }
    vector_free(kept[oldest].block);
    kept[oldest].kernels = kernels;
    kept[oldest].height = picture->height;
    kept[oldest].width = picture->width;
    kept[oldest].which = which;
    kept[oldest].age = ++kept_clock;
    kept[oldest].block = tables;
}

/* A buffer as a picture: 0, or -1 with an exception set. The buffer has no gaps, or two or three axes of which the first
 * alone may have. */
static int take_picture(PyObject *source, Py_buffer *view, Py_ssize_t height, Py_ssize_t width, int channels,
                        Py_ssize_t stride, hm_picture *out) {
    if (PyObject_GetBuffer(source, view, PyBUF_STRIDED_RO) < 0) return -1;
    const Py_ssize_t most = PY_SSIZE_T_MAX / 4096; /* of pixels: what scratch is computed from */
    Py_ssize_t length = view->len;
    if (!PyBuffer_IsContiguous(view, 'C')) {
        Py_ssize_t inner = view->itemsize;
        for (int axis = view->ndim - 1; axis > 0; axis--) {
            if (view->strides[axis] != inner && view->shape[axis] > 1) inner = 0;
            inner *= view->shape[axis];
        }
        length = 0;
        if (view->ndim >= 2 && view->shape[0] > 0 && view->strides[0] >= inner && view->strides[0] == stride) {
            length = (view->shape[0] - 1) * view->strides[0] + inner;
        }
    }
    if ((channels != 1 && channels != 3 && channels != 4) || height < 0 || width < 0 || stride < 0 || width > most / 4 ||
        (width && height > most / width) || stride < width * channels || (height && stride > PY_SSIZE_T_MAX / height) ||
        (height && width && (height - 1) * stride + width * channels > length)) {
        PyErr_Format(PyExc_ValueError, "no picture of %zd x %zd pixels, %d channels and %zd bytes a row is in %zd bytes", width,
                     height, channels, stride, length);
        return -1;
    }
    out->pixels = view->buf;
    out->values = NULL;
    out->tables = NULL;
    out->height = (size_t)height;
    out->width = (size_t)width;
    out->stride = (size_t)stride;
    out->channels = (unsigned)channels;
    return 0;
}

/* `path`: 0 the fast one where it decides, else the exact one; 1 the fast one alone (None where it cannot decide); 2 the
 * exact one alone. */
static PyObject *pdq_of(const hm_pixels *kernels, const hm_picture *picture, int dihedral, int path) {
    uint8_t codes[8 * 32];
    int quality = 0, status = HM_UNDECIDED;
    if (path != 2) {
        size_t bytes = hm_pdq_fast_scratch(picture);
        void *scratch = scratch_take(&bytes);
        if (!scratch) return PyErr_NoMemory();
        Py_BEGIN_ALLOW_THREADS
        status = kernels->pdq_fast(picture, dihedral, scratch, codes, &quality);
        Py_END_ALLOW_THREADS
        scratch_return(scratch, bytes);
    }
    if (status == HM_UNDECIDED) {
        if (path == 1) return Py_NewRef(Py_None);
        size_t bytes = hm_pdq_exact_scratch(picture);
        void *scratch = scratch_take(&bytes);
        if (!scratch) return PyErr_NoMemory();
        Py_BEGIN_ALLOW_THREADS
        kernels->pdq_exact(picture, dihedral, scratch, codes, &quality);
        Py_END_ALLOW_THREADS
        scratch_return(scratch, bytes);
    }
    return Py_BuildValue("(y#i)", (const char *)codes, (Py_ssize_t)(dihedral ? 8 * 32 : 32), quality);
}

/* pdq(implementation, pixels, height, width, channels, row_stride, dihedral, path=0) -> (codes, quality) */
static PyObject *pdq(PyObject *self, PyObject *args) {
    (void)self;
    int number, channels, dihedral, path = 0;
    Py_ssize_t height, width, stride;
    PyObject *source, *result = NULL;
    if (!PyArg_ParseTuple(args, "iOnninp|i", &number, &source, &height, &width, &channels, &stride, &dihedral, &path)) return NULL;
    const hm_kernels *kernels = kernels_of(number);
    Py_buffer view = {0};
    hm_picture picture;
    if (kernels && take_picture(source, &view, height, width, channels, stride, &picture) == 0) {
        result = pdq_of(kernels->pixels, &picture, dihedral, path);
    }
    if (view.obj) PyBuffer_Release(&view);
    return result;
}

/* pdq_float(implementation, luma, height, width, dihedral, path=0) -> (codes, quality) */
static PyObject *pdq_float(PyObject *self, PyObject *args) {
    (void)self;
    int number, dihedral, path = 0;
    Py_ssize_t height, width;
    PyObject *source, *result = NULL;
    if (!PyArg_ParseTuple(args, "iOnnp|i", &number, &source, &height, &width, &dihedral, &path)) return NULL;
    const hm_kernels *kernels = kernels_of(number);
    Py_buffer view = {0};
    if (!kernels || take_buffer(source, &view, sizeof(float), "luma values") < 0) goto done;
    size_t items = (size_t)view.len / sizeof(float);
    if (height < 0 || width < 0 || (width && (size_t)height > items / (size_t)width) ||
        (size_t)height * (size_t)width != items) {
        PyErr_Format(PyExc_ValueError, "luma of %zd x %zd is not in %zd bytes", width, height, view.len);
        goto done;
    }
    hm_picture picture = {NULL, view.buf, (size_t)height, (size_t)width, 0, 0, NULL};
    result = pdq_of(kernels->pixels, &picture, dihedral, path);
done:
    if (view.obj) PyBuffer_Release(&view);
    return result;
}

/* rgb_to_luma(implementation, pixels, height, width, channels, row_stride, out) -> None */
static PyObject *rgb_to_luma(PyObject *self, PyObject *args) {
    (void)self;
    int number, channels;
    Py_ssize_t height, width, stride;
    PyObject *source, *target, *result = NULL;
    if (!PyArg_ParseTuple(args, "iOnninO", &number, &source, &height, &width, &channels, &stride, &target)) return NULL;
    const hm_kernels *kernels = kernels_of(number);
    Py_buffer view = {0}, out = {0};
    hm_picture picture;
    if (!kernels || take_picture(source, &view, height, width, channels, stride, &picture) < 0) goto done;
    if (PyObject_GetBuffer(target, &out, PyBUF_WRITABLE) < 0) goto done;
    if ((size_t)out.len != picture.height * picture.width * sizeof(float) || (out.len && (uintptr_t)out.buf % sizeof(float))) {
        PyErr_Format(PyExc_ValueError, "luma of %zd x %zd does not fit %zd bytes", width, height, out.len);
        goto done;
    }
    Py_BEGIN_ALLOW_THREADS
    kernels->pixels->luma(&picture, out.buf);
    Py_END_ALLOW_THREADS
    result = Py_NewRef(Py_None);
done:
    if (view.obj) PyBuffer_Release(&view);
    if (out.obj) PyBuffer_Release(&out);
    return result;
}

/* family(implementation, pixels, height, width, channels, row_stride, which, vertical_first) -> (phash, dhash, ahash), None
 * for what was not asked for (which: 1, 2, 4) or cannot be decided here. */
static PyObject *family(PyObject *self, PyObject *args) {
    (void)self;
    int number, channels, which, vertical_first, decided = 0;
    Py_ssize_t height, width, stride;
    PyObject *source, *result = NULL;
    if (!PyArg_ParseTuple(args, "iOnninii", &number, &source, &height, &width, &channels, &stride, &which, &vertical_first)) {
        return NULL;
    }
    const hm_kernels *kernels = kernels_of(number);
    Py_buffer view = {0};
    hm_picture picture;
    uint8_t codes[3 * 8];
    if (!kernels || take_picture(source, &view, height, width, channels, stride, &picture) < 0) goto done;
    if (!height || !width || which < 0 || which > 7 || vertical_first < 0 || vertical_first > 2) {
        PyErr_SetString(PyExc_ValueError, "an empty picture, or a number that stands for nothing");
        goto done;
    }
    if (height <= HM_FAMILY_MAX_SIDE && width <= HM_FAMILY_MAX_SIDE) {
        size_t bytes = hm_family_scratch(&picture);
        void *scratch = scratch_take(&bytes);
        if (!scratch) {
            PyErr_NoMemory();
            goto done;
        }
        void *tables;
        int missing = tables_take(kernels->pixels, which, &picture, &tables);
        if (missing < 0) {
            scratch_return(scratch, bytes);
            goto done;
        }
        Py_BEGIN_ALLOW_THREADS
        if (missing) {
            kernels->pixels->tables(&picture, which, scratch, tables);
            picture.tables = tables;
        }
        decided = kernels->pixels->family(&picture, which, vertical_first, scratch, codes);
        Py_END_ALLOW_THREADS
        tables_return(kernels->pixels, which, &picture, tables);
        scratch_return(scratch, bytes);
    }
    PyObject *items[3];
    for (int i = 0; i < 3; i++) {
        items[i] = decided >> i & 1 ? PyBytes_FromStringAndSize((const char *)codes + 8 * i, 8) : Py_NewRef(Py_None);
    }
    if (items[0] && items[1] && items[2]) result = PyTuple_Pack(3, items[0], items[1], items[2]);
    for (int i = 0; i < 3; i++) Py_XDECREF(items[i]);
done:
    if (view.obj) PyBuffer_Release(&view);
    return result;
}

/* plane(implementation, luma, height, width, row_stride, which, vertical_first) -> (pdq, quality, phash, dhash, ahash, ordered,
 * margin of dhash, margin of ahash): hm_plane. None for a code that was not asked for (which: 1, 2, 4 as above, 8 pdq) or cannot
 * be decided here. */
static PyObject *plane(PyObject *self, PyObject *args) {
    (void)self;
    int number, which, vertical_first;
    Py_ssize_t height, width, stride;
    PyObject *source, *result = NULL;
    if (!PyArg_ParseTuple(args, "iOnnnii", &number, &source, &height, &width, &stride, &which, &vertical_first)) return NULL;
    const hm_kernels *kernels = kernels_of(number);
    Py_buffer view = {0};
    hm_picture picture;
    hm_plane found = {.quality = 0};
    if (!kernels || take_picture(source, &view, height, width, 1, stride, &picture) < 0) goto done;
    Py_ssize_t least = height < width ? height : width, most = height < width ? width : height;
    if (least < HM_PDQ_MIN_SIDE || most > HM_PDQ_FAST_SIDE || which < 0 || which > 15 || vertical_first < 0 ||
        vertical_first > 2) {
        PyErr_SetString(PyExc_ValueError, "a plane too small or too large, or a number that stands for nothing");
        goto done;
    }
    size_t bytes = hm_pdq_fast_scratch(&picture), others[] = {hm_family_scratch(&picture), hm_pdq_exact_scratch(&picture)};
    for (int i = 0; i < 2; i++) bytes = bytes < others[i] ? others[i] : bytes;
    void *scratch = scratch_take(&bytes);
    if (!scratch) {
        PyErr_NoMemory();
        goto done;
    }
    void *tables;
    int missing = tables_take(kernels->pixels, which & ~HM_PDQ, &picture, &tables);
    if (missing < 0) {
        scratch_return(scratch, bytes);
        goto done;
    }
    Py_BEGIN_ALLOW_THREADS
    if (missing) {
        kernels->pixels->tables(&picture, which & ~HM_PDQ, scratch, tables);
        picture.tables = tables;
    }
    kernels->pixels->plane(&picture, which, vertical_first, scratch, &found);
    if (which & HM_PDQ & ~found.decided) {
        kernels->pixels->pdq_exact(&picture, 0, scratch, found.pdq, &found.quality);
        found.decided |= HM_PDQ;
    }
    Py_END_ALLOW_THREADS
    tables_return(kernels->pixels, which & ~HM_PDQ, &picture, tables);
    scratch_return(scratch, bytes);
    const char *codes[4] = {(const char *)found.pdq, NULL, NULL, NULL};
    for (int i = 0; i < 3; i++) codes[i + 1] = found.decided >> i & 1 ? (const char *)found.family + 8 * i : NULL;
    if (!(which & HM_PDQ)) codes[0] = NULL;
    const int32_t *ordered = found.ordered;
    result = Py_BuildValue("(y#iy#y#y#(iiiiiiii)LL)", codes[0], (Py_ssize_t)32, found.quality, codes[1], (Py_ssize_t)8, codes[2],
                           (Py_ssize_t)8, codes[3], (Py_ssize_t)8, ordered[0], ordered[1], ordered[2], ordered[3], ordered[4],
                           ordered[5], ordered[6], ordered[7], (long long)found.dhash, (long long)found.ahash);
done:
    if (view.obj) PyBuffer_Release(&view);
    return result;
}

/* --- the module ---------------------------------------------------------------------------------------------------- */

static PyMethodDef methods[] = {
    {"implementations", implementations, METH_NOARGS, NULL},
    {"open_codes", open_codes, METH_VARARGS, NULL},
    {"ring_skew", ring_skew, METH_O, NULL},
    {"flat_hits", flat_hits, METH_VARARGS, NULL},
    {"ring_hits_by_query", ring_hits_by_query, METH_VARARGS, NULL},
    {"ring_hits_by_bucket", ring_hits_by_bucket, METH_VARARGS, NULL},
    {"order_hits", order_hits, METH_VARARGS, NULL},
    {"search", search, METH_VARARGS, NULL},
    {"ring_build", ring_build, METH_VARARGS, NULL},
    {"euclidean_hits", euclidean_hits, METH_VARARGS, NULL},
    {"digest_lookup", digest_lookup, METH_VARARGS, NULL},
    {"parse_digest_lines", parse_digest_lines, METH_VARARGS, NULL},
    {"write_lookup_lines", write_lookup_lines, METH_VARARGS, NULL},
    {"pdq", pdq, METH_VARARGS, NULL},
    {"pdq_float", pdq_float, METH_VARARGS, NULL},
    {"rgb_to_luma", rgb_to_luma, METH_VARARGS, NULL},
    {"family", family, METH_VARARGS, NULL},
    {"plane", plane, METH_VARARGS, NULL},
    {NULL, NULL, 0, NULL},
};

static int execute(PyObject *module) {
    known_count = hm_implementations(known);
    hm_ring_masks(ring_masks, ring_mask_counts);
    hm_pdq_tables();
    hm_resample_tables();
    hm_guard_install();
    if (!damaged_error) damaged_error = PyErr_NewException("hashmatch._native.DamagedError", PyExc_ValueError, NULL);
    if (!shrunk_error) shrunk_error = PyErr_NewException("hashmatch._native.ShrunkError", PyExc_OSError, NULL);
    if (!damaged_error || PyModule_AddObjectRef(module, "DamagedError", damaged_error) < 0) return -1;
    if (!shrunk_error || PyModule_AddObjectRef(module, "ShrunkError", shrunk_error) < 0) return -1;
    if (hm_add_rows_joined_functions(module) < 0) return -1;
    if (hm_add_rows_block_functions(module) < 0) return -1;
    if (hm_add_rows_entry_functions(module) < 0) return -1;
    if (hm_add_rows_delimited_functions(module) < 0) return -1;
    if (hm_add_rows_members_functions(module) < 0) return -1;
    return 0;
}

static PyModuleDef_Slot slots[] = {{Py_mod_exec, execute}, {0, NULL}};

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT, "_native", "Native kernels; see native/README.md.", 0, methods, slots, NULL, NULL, NULL};

PyMODINIT_FUNC PyInit__native(void) { return PyModuleDef_Init(&definition); }
