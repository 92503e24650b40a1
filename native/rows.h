/* Functions of hashmatch._native that make or read Python objects. Each file rows_*.c has some, and one function that module.c
 * calls to add them. */

#ifndef HM_ROWS_H
#define HM_ROWS_H

#define PY_SSIZE_T_CLEAN
#ifndef Py_LIMITED_API
#define Py_LIMITED_API 0x030B0000
#endif
#include <Python.h>

/* 0, or -1 with an exception set. */
int hm_add_rows_joined_functions(PyObject *module);
int hm_add_rows_block_functions(PyObject *module);
int hm_add_rows_entry_functions(PyObject *module);
int hm_add_rows_delimited_functions(PyObject *module);
int hm_add_rows_members_functions(PyObject *module);

/* Makes tuples of a subclass (a NamedTuple) or plain ones, each a copy of `row`, a plain tuple that is filled anew each time.
 *
 * By tuple's own tp_new: the type's tp_alloc alone would leave out what a newer CPython keeps in a tuple beside its items
 * (from 3.14 on a hash, for which 0 is not "not known yet"), and the stable ABI has no way to set it. The plain tuple and
 * the tuple of arguments, which owns it, are made once, so that this costs little more than copying the items. */
typedef struct {
    newfunc make;
    PyTypeObject *type;
    PyObject *arguments;
    PyObject *row; /* the arguments' only item: theirs alone, or PyTuple_SetItem would refuse it */
} hm_tuple_maker;

/* `items` is what the row begins with. 0, or -1 with an exception; to be freed in both cases. */
static inline int hm_tuple_maker_init(hm_tuple_maker *maker, PyObject *type, PyObject *items) {
    Py_ssize_t count = PyTuple_Size(items);
    *maker = (hm_tuple_maker){(newfunc)PyType_GetSlot(&PyTuple_Type, Py_tp_new), (PyTypeObject *)type, PyTuple_New(1), NULL};
    PyObject *row = PyTuple_New(count);
    for (Py_ssize_t i = 0; row && i < count; i++) PyTuple_SetItem(row, i, Py_NewRef(PyTuple_GetItem(items, i)));
    if (!row || !maker->arguments || !maker->make) {
        Py_XDECREF(row);
        return -1;
    }
    maker->row = row;
    return PyTuple_SetItem(maker->arguments, 0, row);
}

/* The items of the row as they are now; a new reference, or NULL with an exception. */
static inline PyObject *hm_tuple_make(const hm_tuple_maker *maker) {
    if (maker->type != &PyTuple_Type) return maker->make(maker->type, maker->arguments, NULL);
    /* tuple's own tp_new copies no tuple: it would hand out the row itself. */
    PyObject *items = PySequence_List(maker->row), *made = items ? PyList_AsTuple(items) : NULL;
    Py_XDECREF(items);
    return made;
}

static inline void hm_tuple_maker_free(hm_tuple_maker *maker) { Py_CLEAR(maker->arguments); }

#endif
