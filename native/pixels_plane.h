/* All hashes of a plane of luma, and the margins of their comparisons, from one walk over it. Included after pixels_pdq.h and
 * pixels_resample.h. The numbers decide whether a hash is trusted, and so which hash a file has: they are whole, and the same
 * whatever the instruction set. */

/* Rounded to 2^-8, times a transform rounded to 2^-15: whole numbers below 2^52 all along, which float64 sums exactly in any
 * order. */
static void plane_ordered(const double *restrict buffer, int32_t *ordered) {
    double whole[HM_PDQ_GRID * HM_PDQ_GRID], coefficients[256];
    for (int i = 0; i < HM_PDQ_GRID * HM_PDQ_GRID; i++) whole[i] = (double)(int32_t)(buffer[i] * 256 + 0.5);
    pdq_transform64(whole, hm_pdq.whole, coefficients);
    /* In 512ths, below 2^23; with the place in the low bits no two keys are equal. The offset rounds down below zero too. */
    int32_t keys[256], sorted[256];
    for (int i = 0; i < 256; i++) {
        keys[i] = ((int32_t)(coefficients[i] / 536870912.0 + 8388608.5) - 8388608) * 256 + i;
    }
    for (int i = 0; i < 256; i++) {
        int32_t rank = 0, key = keys[i];
        for (int j = 0; j < 256; j++) rank += keys[j] < key;
        sorted[rank] = (key - i) / 256;
    }
    for (int i = 0; i < HM_ORDERED; i++) ordered[i] = sorted[hm_ordered_places[i]];
}

typedef struct {
    int64_t smallest[5]; /* ascending */
} plane_closest;

HM_INLINE void plane_add(plane_closest *closest, int64_t value) {
    value = value < 0 ? -value : value;
    for (int i = 0; i < 5; i++) {
        int64_t least = value < closest->smallest[i] ? value : closest->smallest[i];
        value = value < closest->smallest[i] ? closest->smallest[i] : value;
        closest->smallest[i] = least;
    }
}

static void px_plane(const hm_picture *p, int which, int vertical_first, void *scratch, hm_plane *out) {
    pdq_fast_layout layout;
    pdq_fast_place(p, scratch, &layout);
    pdq_decimated(p, &layout);
    plane_ordered(layout.buffer, out->ordered);
    out->decided = 0;
    if (which & HM_PDQ && (p->height > HM_PDQ_EXACT_SIDE || p->width > HM_PDQ_EXACT_SIDE) &&
        pdq_clear(layout.buffer, 0, out->pdq, &out->quality) == HM_OK) {
        out->decided |= HM_PDQ;
    }
    int32_t nine[9 * 8], eight[8 * 8];
    if (which & ~HM_PDQ) out->decided |= family_of(p, which & ~HM_PDQ, vertical_first, scratch, out->family, nine, eight);
    plane_closest differences = {{INT64_MAX, INT64_MAX, INT64_MAX, INT64_MAX, INT64_MAX}}, levels = differences;
    if (which & HM_DHASH) {
        for (int i = 0; i < 64; i++) {
            const int32_t *sample = nine + i / 8 * 9 + i % 8;
            plane_add(&differences, (int64_t)sample[1] - sample[0]);
        }
    }
    if (which & HM_AHASH) {
        int64_t sum = 0;
        for (int i = 0; i < 64; i++) sum += eight[i];
        for (int i = 0; i < 64; i++) plane_add(&levels, 64 * (int64_t)eight[i] - sum);
    }
    out->dhash = differences.smallest[4];
    out->ahash = levels.smallest[4];
}
