/* Rows of a list from the entries that readers make: hashmatch/lists/entry_rows.py in C.
 *
 * An import does this a million times a second, and most of it is moving references to objects from one tuple to another. The
 * ordinary case is done here; entries of other types than readers make are left to the twin by returning None. */

#define PY_SSIZE_T_CLEAN
#define Py_LIMITED_API 0x030B0000
#include <Python.h>

#include "rows.h"

/* The fields of an Entry, and of a row. */
enum { REF, CATEGORY, MEDIA, SIZE, METADATA, PACKED, DROPPED, OPINIONS, ORIGIN, ENTRY_FIELDS };
enum { ROW_OPINIONS = 6, ROW_TAG, ROW_FIELDS };

#define MASK_BYTES 4

typedef struct {
    PyObject *kind, *derive; /* borrowed */
    PyObject *rows, *origins;
    int any_origin;
    long long bytes, dropped, hashless;
} job;

/* Adds the length of a field to `sum` where it is a plain str: 0, or -1. */
static int add_length(PyObject *text, long long *sum) {
    if (!PyUnicode_CheckExact(text)) return -1;
    *sum += PyUnicode_GetLength(text);
    return 0;
}

/* The row of an entry, or NULL where only the twin can tell (an exception may be set). `tag` is stolen. */
static PyObject *row_of(job *job, PyObject *entry, PyObject *tag) {
    PyObject *row = tag ? PyTuple_New(ROW_FIELDS) : NULL;
    if (!row) {
        Py_XDECREF(tag);
        return NULL;
    }
    PyTuple_SetItem(row, ROW_TAG, tag);
    for (int f = CATEGORY; f <= PACKED; f++) PyTuple_SetItem(row, f, Py_NewRef(PyTuple_GetItem(entry, f)));
    PyTuple_SetItem(row, ROW_OPINIONS, Py_NewRef(PyTuple_GetItem(entry, OPINIONS)));
    PyObject *ref = PyTuple_GetItem(entry, REF);
    if (!PyUnicode_CheckExact(ref)) goto other;
    ref = PyUnicode_GetLength(ref) ? Py_NewRef(ref) : PyObject_CallFunctionObjArgs(job->derive, entry, NULL);
    if (!ref) goto other;
    PyTuple_SetItem(row, REF, ref);
    if (add_length(ref, &job->bytes) < 0 || add_length(PyTuple_GetItem(entry, METADATA), &job->bytes) < 0 ||
        add_length(PyTuple_GetItem(entry, OPINIONS), &job->bytes) < 0) {
        goto other;
    }
    return row;
other:
    Py_DECREF(row);
    return NULL;
}

/* Takes one entry: 0, or -1 where only the twin can tell (an exception may be set). */
static int take(job *job, PyObject *entry, PyObject *ordinals, Py_ssize_t at, long long first) {
    if ((PyObject *)Py_TYPE(entry) != job->kind || PyTuple_Size(entry) != ENTRY_FIELDS) return -1;
    PyObject *dropped = PyTuple_GetItem(entry, DROPPED), *packed = PyTuple_GetItem(entry, PACKED);
    PyObject *origin = PyTuple_GetItem(entry, ORIGIN);
    if (!PyLong_CheckExact(dropped) || !PyBytes_CheckExact(packed) || !PyUnicode_CheckExact(origin)) return -1;
    int overflow;
    long long digests = PyLong_AsLongLongAndOverflow(dropped, &overflow);
    if (overflow || digests < 0 || digests > INT32_MAX) return -1;
    job->dropped += digests;
    Py_ssize_t length = PyBytes_Size(packed);
    if (length <= MASK_BYTES) {
        job->hashless++;
        return 0;
    }
    job->bytes += length;
    PyObject *row = row_of(job, entry, ordinals ? PySequence_GetItem(ordinals, at) : PyLong_FromLongLong(first + at));
    if (!row) return -1;
    int status = PyList_Append(job->rows, row);
    Py_DECREF(row);
    job->any_origin |= PyUnicode_GetLength(origin) > 0;
    return status < 0 ? -1 : PyList_Append(job->origins, origin);
}

/* entry_rows(entries, kind, ordinals, derive) -> (rows, origins, bytes, dropped, hashless); `ordinals` is a list, or the first of
 * consecutive numbers; `derive` gives an entry of `kind` its reference */
static PyObject *entry_rows(PyObject *self, PyObject *args) {
    (void)self;
    PyObject *entries, *ordinals, *result = NULL;
    job job = {NULL, NULL, NULL, NULL, 0, 0, 0, 0};
    if (!PyArg_ParseTuple(args, "OOOO", &entries, &job.kind, &ordinals, &job.derive)) return NULL;
    if (!PyList_CheckExact(entries) || !PyType_Check(job.kind) || !PyType_IsSubtype((PyTypeObject *)job.kind, &PyTuple_Type)) {
        return Py_NewRef(Py_None);
    }
    long long first = 0;
    if (PyLong_CheckExact(ordinals)) {
        first = PyLong_AsLongLong(ordinals);
        if (first < 0 || first > UINT32_MAX) goto done;
        ordinals = NULL;
    } else if (!PyList_CheckExact(ordinals) || PyList_Size(ordinals) != PyList_Size(entries)) {
        goto done;
    }
    job.rows = PyList_New(0);
    job.origins = job.rows ? PyList_New(0) : NULL;
    int status = job.origins ? 0 : -1;
    for (Py_ssize_t i = 0; !status && i < PyList_Size(entries); i++) {
        /* `derive` may do anything, and so may the garbage collector. */
        PyObject *entry = Py_XNewRef(PyList_GetItem(entries, i));
        status = entry ? take(&job, entry, ordinals, i, first) : -1;
        Py_XDECREF(entry);
    }
    if (!status) {
        result = Py_BuildValue("(OOLLL)", job.rows, job.any_origin ? job.origins : Py_None, job.bytes, job.dropped, job.hashless);
    }
done:
    Py_XDECREF(job.rows);
    Py_XDECREF(job.origins);
    if (result) return result;
    /* The twin meets it too, and says it; but whoever interrupts the program does so once. */
    if (PyErr_Occurred() && (PyErr_ExceptionMatches(PyExc_MemoryError) || !PyErr_ExceptionMatches(PyExc_Exception))) return NULL;
    PyErr_Clear();
    return Py_NewRef(Py_None);
}

int hm_add_rows_entry_functions(PyObject *module) {
    static PyMethodDef functions[] = {
        {"entry_rows", entry_rows, METH_VARARGS, NULL},
        {NULL, NULL, 0, NULL},
    };
    return PyModule_AddFunctions(module, functions);
}
