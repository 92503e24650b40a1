/* How scratch is divided: one function counts the bytes and hands out the pieces, so that the two cannot differ. */
#ifndef HASHMATCH_PIXELS_LAYOUT_H
#define HASHMATCH_PIXELS_LAYOUT_H

#include "pixels.h"

/* The next `count` items of `size` bytes, on a 64-byte boundary. Sizes come from pictures that are in memory, times less
 * than 2^10: no overflow of 64 bits. */
HM_INLINE void *hm_piece(uint8_t *base, size_t *at, size_t count, size_t size) {
    void *piece = base ? base + *at : NULL;
    *at += (count * size + 63) / 64 * 64;
    return piece;
}

#define PDQ_ROWS 16  /* rows of the 64x64 buffer that the fast path makes at a time */
#define PDQ_LINES 32 /* lines that the exact path treats at a time */

/* Items in a row of a plane, with room for whole vectors. Rows of float32 take an odd number of 64-byte lines: at a power of
 * two, sixteen of them would fall on the same few places of the first-level cache. */
HM_INLINE size_t hm_padded(size_t n) { return (n + 127) / 128 * 128 + 80; }

typedef struct {
    uint16_t *sums;  /* one row of column sums */
    float *wide;     /* the same, where they pass 16 bits */
    double *values;  /* the same, of float32 luma */
    float *band;     /* PDQ_ROWS rows of luma */
    float *turned;   /* the band, columns first */
    double *buffer;  /* 64 x 64, column by column */
} pdq_fast_layout;

HM_INLINE size_t pdq_fast_place(const hm_picture *p, uint8_t *base, pdq_fast_layout *out) {
    size_t at = 0, padded = hm_padded(p->width), n = hm_padded(p->width * (p->channels ? p->channels : 1));
    out->sums = hm_piece(base, &at, p->values ? 0 : n, sizeof *out->sums);
    out->wide = hm_piece(base, &at, p->values ? 0 : n, sizeof *out->wide);
    out->values = hm_piece(base, &at, p->values ? padded : 0, sizeof *out->values);
    out->band = hm_piece(base, &at, PDQ_ROWS * padded, sizeof *out->band);
    out->turned = hm_piece(base, &at, PDQ_ROWS * padded, sizeof *out->turned);
    out->buffer = hm_piece(base, &at, HM_PDQ_GRID * HM_PDQ_GRID, sizeof *out->buffer);
    return at;
}

typedef struct {
    float *rows;    /* PDQ_LINES rows of luma */
    float *turned;  /* lines that enter a pass along rows, columns first */
    float *boxed;   /* the first pass, columns first */
    float *history; /* the last `ring` rows of the first pass */
    float *total;   /* the running sums of the second pass */
    float *second;  /* PDQ_LINES rows of the second pass */
    float *kept;    /* the third pass: 64 x PDQ_LINES */
    float *past;    /* the last `ring` rows of the third pass */
    float *buffer;  /* 64 x 64 */
    size_t padded, ring; /* items in a row; rows, whole blocks of PDQ_LINES, that hold the window beside a block */
} pdq_exact_layout;

HM_INLINE size_t pdq_exact_place(const hm_picture *p, uint8_t *base, pdq_exact_layout *out) {
    size_t at = 0, padded = hm_padded(p->width);
    out->padded = padded;
    out->ring = (hm_pdq_window(p->height) + 2 * PDQ_LINES - 1) / PDQ_LINES * PDQ_LINES;
    out->rows = hm_piece(base, &at, PDQ_LINES * padded, sizeof(float));
    out->turned = hm_piece(base, &at, PDQ_LINES * padded, sizeof(float));
    out->boxed = hm_piece(base, &at, PDQ_LINES * padded, sizeof(float));
    out->history = hm_piece(base, &at, out->ring * padded, sizeof(float));
    out->total = hm_piece(base, &at, padded, sizeof(float));
    out->second = hm_piece(base, &at, PDQ_LINES * padded, sizeof(float));
    out->kept = hm_piece(base, &at, HM_PDQ_GRID * PDQ_LINES, sizeof(float));
    out->past = hm_piece(base, &at, out->ring * HM_PDQ_GRID, sizeof(float));
    out->buffer = hm_piece(base, &at, HM_PDQ_GRID * HM_PDQ_GRID, sizeof(float));
    return at;
}

#endif
