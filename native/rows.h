/* Functions of hashmatch._native that make or read Python objects. Each file rows_*.c has some, and one function that module.c
 * calls to add them. */

#ifndef HM_ROWS_H
#define HM_ROWS_H

/* 0, or -1 with an exception set. */
int hm_add_rows_joined_functions(PyObject *module);
int hm_add_rows_block_functions(PyObject *module);
int hm_add_rows_entry_functions(PyObject *module);

#endif
