/* What the parts of the check share. `check` ends the program with a message that names the case. */
#ifndef HASHMATCH_CHECK_H
#define HASHMATCH_CHECK_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernels.h"
#include "pixels.h"

#define check(condition, ...)                                                                                          \
    do {                                                                                                               \
        if (!(condition)) {                                                                                            \
            fprintf(stderr, "%s:%d: ", __FILE__, __LINE__);                                                            \
            fprintf(stderr, __VA_ARGS__);                                                                              \
            fputc('\n', stderr);                                                                                       \
            exit(1);                                                                                                   \
        }                                                                                                              \
    } while (0)

/* Memory of exactly so many bytes, so that a sanitizer sees the first byte beyond. */
static inline void *need(size_t bytes) {
    void *p = malloc(bytes ? bytes : 1);
    check(p, "no memory for %zu bytes", bytes);
    return p;
}

static inline uint64_t next_random(uint64_t *state) {
    uint64_t z = (*state += 0x9e3779b97f4a7c15u);
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

static inline void fill_random(uint64_t *state, uint8_t *out, size_t bytes) {
    for (size_t i = 0; i < bytes; i++) out[i] = (uint8_t)(next_random(state) >> 40);
}

/* The implementations that this processor runs. */
extern const hm_kernels *available[HM_MAX_IMPLEMENTATIONS];
extern size_t available_count;

/* Each returns how many cases it compared. */
size_t check_hamming(void);
size_t check_euclidean(void);
size_t check_digests(void);
size_t check_pixels(void);

#endif
