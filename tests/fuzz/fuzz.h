/* What the fuzzed functions share: one entry point, which libFuzzer and driver.c call. */
#ifndef HASHMATCH_FUZZ_H
#define HASHMATCH_FUZZ_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernels.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define require(condition)                                                                                             \
    do {                                                                                                               \
        if (!(condition)) {                                                                                            \
            fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #condition);                                    \
            abort();                                                                                                   \
        }                                                                                                              \
    } while (0)

/* A copy (zeros where `data` is NULL) in memory of exactly this size, so that a sanitizer sees the first byte beyond. */
static inline void *exact(const void *data, size_t size) {
    void *copy = calloc(size ? size : 1, 1);
    require(copy);
    if (data) memcpy(copy, data, size);
    return copy;
}

#endif
