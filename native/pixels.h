/* The pixel kernels: PDQ, luma, and the 64-bit family. What module.c sees of them, and what the instruction sets share.
 *
 * pixels_pdq.h and pixels_resample.h hold the algorithms, written once over a handful of vector operations; pixels_avx512.c
 * and its siblings define those operations and include both. pdq.c holds tables and sizes. */
#ifndef HASHMATCH_PIXELS_H
#define HASHMATCH_PIXELS_H

#include "kernels.h"

/* An 8-bit picture: `channels` 1 (luma), 3 (RGB) or 4 (RGBX, the fourth byte is ignored), rows `stride` bytes apart; or,
 * where `values` is not NULL, a plane of float32 luma without gaps. */
typedef struct {
    const uint8_t *pixels;
    const float *values;
    size_t height, width, stride;
    unsigned channels;
    const void *tables; /* NULL, or what hm_pixels.tables made for this size: coefficients of the 64-bit family */
} hm_picture;

enum { HM_UNDECIDED = 1 }; /* beside HM_OK: this way of computing cannot decide; take the exact one */

enum { HM_PHASH = 1, HM_DHASH = 2, HM_AHASH = 4, HM_PDQ = 8 };

/* What is made of a plane of luma at once, and how close the comparisons were that its hashes rest on: the same numbers on
 * every implementation (kernels/plane.py). */
#define HM_ORDERED 8
typedef struct {
    uint8_t pdq[32], family[3 * 8];
    int quality, decided;        /* a sum of HM_PHASH ... */
    int32_t ordered[HM_ORDERED]; /* of PDQ's coefficients, those at the places hm_ordered_places, in 512ths */
    int64_t dhash, ahash;        /* the fifth smallest difference of dHash, in 2^-22, and of aHash, in 2^-28 */
} hm_plane;

extern const int hm_ordered_places[HM_ORDERED];

#define HM_PDQ_GRID 64
#define HM_PDQ_MIN_SIDE 5      /* pixels: below, PDQ defines an all-zero hash */
#define HM_PDQ_EXACT_SIDE 128  /* pixels: up to here the exact path is always taken, as in kernels/reference.py */
#define HM_PDQ_FAST_WINDOW 256 /* pixels of window: up to here sums of a column are exact in float32 (below 2^24) */
#define HM_PDQ_FAST_SIDE (128 * HM_PDQ_FAST_WINDOW)
#define HM_FAMILY_MAX_SIDE (1 << 18) /* pixels: beyond, Pillow's own code is asked */

/* One instruction set. Scratch is 64-byte aligned, of the sizes that the functions below tell. */
typedef struct hm_pixels {
    /* HM_OK or HM_UNDECIDED. `codes`: 32 bytes, or 8 x 32 where `dihedral`. */
    int (*pdq_fast)(const hm_picture *picture, int dihedral, void *scratch, uint8_t *codes, int *quality);
    /* Exact for every picture. */
    void (*pdq_exact)(const hm_picture *picture, int dihedral, void *scratch, uint8_t *codes, int *quality);
    void (*luma)(const hm_picture *picture, float *out);
    /* `which`: a sum of HM_PHASH ...; `vertical_first`: see hm_vertical_first. codes: 3 x 8 bytes. Returns those of `which`
     * that are decided. */
    int (*family)(const hm_picture *picture, int which, int vertical_first, void *scratch, uint8_t *codes);
    /* What family and plane would compute from the size alone: hm_family_tables bytes to `tables`, which may be kept for other
     * pictures of the same size. For these kernels and this `which` only. */
    void (*tables)(const hm_picture *picture, int which, void *scratch, void *tables);
    /* Of luma of 5 to HM_PDQ_FAST_SIDE pixels a side; `which` may hold HM_PDQ. Scratch: the larger of hm_pdq_fast_scratch and
     * hm_family_scratch. */
    void (*plane)(const hm_picture *picture, int which, int vertical_first, void *scratch, hm_plane *out);
} hm_pixels;

/* --- pdq.c */

/* Tables of the transform and of the margins; hm_pdq_tables() fills them once, before anything else here is called. */
typedef struct {
    double dct[16][HM_PDQ_GRID];     /* rows 1 to 16 of the 64-point DCT-II */
    double whole[16][HM_PDQ_GRID];   /* the same times 2^15, rounded */
    float dct32[16][HM_PDQ_GRID];    /* the same, rounded */
    float dct32_t[HM_PDQ_GRID][16];  /* and transposed */
    double margin[256];              /* of coefficient 16 i + j: symmetric in i and j */
} hm_pdq_table;

extern hm_pdq_table hm_pdq;
void hm_pdq_tables(void);

/* Window of the box along an axis of n pixels, and the index of sample k of 64. */
HM_INLINE size_t hm_pdq_window(size_t n) { return (n + 127) / 128; }
HM_INLINE size_t hm_pdq_sample(size_t n, size_t k) { return (size_t)(((double)k + 0.5) * (double)n / HM_PDQ_GRID); }

/* Bytes of scratch; 0 where the size does not fit a size_t. */
size_t hm_pdq_fast_scratch(const hm_picture *picture);
size_t hm_pdq_exact_scratch(const hm_picture *picture);

/* --- resample.c */

/* Whether Pillow resizes the height first. `rule`: 0 never (before 12.2); 1 where the height is over 100 times the width
 * (12.2 and 12.3); 2 where the height shrinks by over twice as many pixels as the width (from 13.0 on). */
int hm_vertical_first(int rule, size_t width, size_t height, size_t out_width, size_t out_height);

/* Pillow's coefficients for one output sample: `count` of them from pixel `first` on, in the order of operations that Pillow
 * uses, each to 22 bits of fraction. */
#define HM_RESAMPLE_BITS 22
void hm_lanczos_bounds(size_t n, size_t outputs, size_t output, size_t *first, size_t *count);
void hm_lanczos_exact(size_t n, size_t outputs, size_t output, size_t first, size_t count, double *weights, int32_t *k);

/* The first eight rows of the 32-point DCT-II, unscaled; hm_resample_tables() fills them. */
extern double hm_resample_dct[8][32], hm_resample_dct_t[32][8];
void hm_resample_tables(void);

size_t hm_family_scratch(const hm_picture *picture);
size_t hm_family_tables(const hm_picture *picture);

#endif
