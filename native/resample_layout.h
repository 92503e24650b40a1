/* How the scratch of the 64-bit family is divided. */
#ifndef HASHMATCH_RESAMPLE_LAYOUT_H
#define HASHMATCH_RESAMPLE_LAYOUT_H

#include "pixels_layout.h"

#define RS_LINES 32   /* lines that are resampled at a time */
#define RS_CHUNK 1024 /* pixels of a line that are taken at a time: 128 KiB of 32-bit items at most */

/* The sides that are asked for: 32 (phash), 9 and 8 (dhash), 8 (ahash). */
#define RS_SIDES 3

typedef struct {
    size_t outputs;
    size_t first[32], count[32]; /* groups of pixels that an output takes part of */
    size_t top_first[32], top_end[32]; /* of three digits, where the last is not zero */
    int32_t *digits[32];         /* RS_PARTS planes of an item a group */
} resample_table;

/* Along rows for each of the sides, and along columns for 32 and 8; the digits follow. */
typedef struct {
    resample_table across[RS_SIDES], down[2];
} family_tables;

typedef struct {
    double *cosine, *low_sine, *low_cosine, *weights; /* of one table while it is made */
    int32_t *whole;
    family_tables *tables; /* where the picture has none */
    int32_t *digits;       /* theirs */
    uint8_t *bytes;     /* RS_LINES rows of L */
    uint8_t *items;     /* the same as wide as the dot product wants them; then turned */
    float *turned;
    int32_t *sums;      /* outputs x RS_LINES */
    uint8_t *middle[3]; /* per hash, what the first pass gives */
} family_layout;

/* Items of coefficients that one table needs at most. An output takes up to 6 n / outputs + 2 pixels, and those that fill its
 * groups; groups of 4 pixels take 3 items, of 2 take 2, of 1 one. */
HM_INLINE size_t family_digits(size_t n, size_t outputs) { return 6 * (n > outputs ? n : outputs) + outputs * 16; }

HM_INLINE size_t family_all_digits(const hm_picture *p) {
    return family_digits(p->width, 32) + family_digits(p->width, 9) + family_digits(p->width, 8) +
           family_digits(p->height, 32) + family_digits(p->height, 8);
}

HM_INLINE size_t family_place(const hm_picture *p, uint8_t *base, family_layout *out) {
    size_t at = 0, longest = p->width > p->height ? p->width : p->height, padded = hm_padded(longest) + 64;
    out->cosine = hm_piece(base, &at, padded, sizeof(double));
    out->low_sine = hm_piece(base, &at, padded, sizeof(double));
    out->low_cosine = hm_piece(base, &at, padded, sizeof(double));
    out->weights = hm_piece(base, &at, padded, sizeof(double));
    out->whole = hm_piece(base, &at, padded, sizeof(int32_t));
    out->tables = hm_piece(base, &at, sizeof(family_tables), 1);
    out->digits = hm_piece(base, &at, family_all_digits(p), sizeof(int32_t));
    out->bytes = hm_piece(base, &at, RS_LINES * padded, 1);
    out->items = hm_piece(base, &at, RS_LINES * ((size_t)RS_CHUNK + 64), 4);
    out->turned = hm_piece(base, &at, RS_LINES * (size_t)RS_CHUNK, sizeof(float));
    out->sums = hm_piece(base, &at, 49 * RS_LINES, sizeof(int32_t));
    for (int i = 0; i < 3; i++) out->middle[i] = hm_piece(base, &at, (i == 0 ? 32u : 9u) * padded, 1);
    return at;
}

#endif
