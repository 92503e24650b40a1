/* PDQ: tables and sizes, which no instruction set changes. The algorithm is in pixels_pdq.h. */

#include <math.h>

#include "pixels.h"
#include "pixels_layout.h"

hm_pdq_table hm_pdq;

/* Both quartiles, and three on either side of the median. */
const int hm_ordered_places[HM_ORDERED] = {63, 125, 126, 127, 128, 129, 130, 192};

void hm_pdq_tables(void) {
    /* The scale is rounded to float32 first, as in the original. No entry is within a million roundings of a double of the
     * middle between two float32 numbers: dct32 does not depend on whose cosine this is. */
    const double pi = 3.14159265358979323846;
    double scale = (double)(float)sqrt(2.0 / HM_PDQ_GRID);
    for (int i = 0; i < 16; i++) {
        for (int j = 0; j < HM_PDQ_GRID; j++) {
            hm_pdq.dct[i][j] = scale * cos(pi / 2 / HM_PDQ_GRID * (i + 1) * (2 * j + 1));
            hm_pdq.whole[i][j] = floor(hm_pdq.dct[i][j] * 32768 + 0.5);
            hm_pdq.dct32[i][j] = hm_pdq.dct32_t[j][i] = (float)hm_pdq.dct[i][j];
        }
    }
    /* kernels/reference.py says where these figures come from. */
    for (int i = 0; i < 16; i++) {
        for (int j = 0; j < 16; j++) {
            int least = i < j ? i : j, most = i < j ? j : i, product = i * j > 1 ? i * j : 1;
            hm_pdq.margin[16 * i + j] = least == 0 ? 0.015 + 0.03 / (1 + most) : 0.003 + 0.006 / sqrt((double)product);
        }
    }
}

size_t hm_pdq_fast_scratch(const hm_picture *picture) {
    pdq_fast_layout layout;
    return pdq_fast_place(picture, NULL, &layout);
}

size_t hm_pdq_exact_scratch(const hm_picture *picture) {
    pdq_exact_layout layout;
    return pdq_exact_place(picture, NULL, &layout);
}
