/* Pillow's LANCZOS coefficients in Pillow's order of operations, and what else no instruction set changes. */

#include <math.h>

#include "pixels.h"
#include "resample_layout.h"

double hm_resample_dct[8][32], hm_resample_dct_t[32][8];

void hm_resample_tables(void) {
    const double pi = 3.14159265358979323846;
    for (int i = 0; i < 8; i++) {
        for (int x = 0; x < 32; x++) hm_resample_dct[i][x] = hm_resample_dct_t[x][i] = 2 * cos(pi * i * (2 * x + 1) / 64);
    }
}

static double lanczos(double x) {
    const double pi = 3.14159265358979323846;
    if (!(-3.0 <= x && x < 3.0)) return 0;
    if (x == 0) return 1;
    double a = x * pi, b = x / 3 * pi;
    double first = sin(a) / a, second = x / 3 == 0 ? 1 : sin(b) / b;
    return first * second;
}

void hm_lanczos_bounds(size_t n, size_t outputs, size_t output, size_t *first, size_t *count) {
    double scale = (double)n / (double)outputs, support = 3.0 * (scale < 1 ? 1 : scale);
    double centre = ((double)output + 0.5) * scale;
    double low = centre - support + 0.5, high = centre + support + 0.5;
    *first = low < 0 ? 0 : (size_t)low;
    size_t end = (size_t)high;
    if (end > n) end = n;
    *count = end - *first;
}

void hm_lanczos_exact(size_t n, size_t outputs, size_t output, size_t first, size_t count, double *weights, int32_t *k) {
    double scale = (double)n / (double)outputs, step = 1.0 / (scale < 1 ? 1 : scale);
    double centre = ((double)output + 0.5) * scale, sum = 0;
    for (size_t i = 0; i < count; i++) {
        weights[i] = lanczos(((double)(i + first) - centre + 0.5) * step);
        sum += weights[i];
    }
    for (size_t i = 0; i < count; i++) {
        double weight = (sum != 0 ? weights[i] / sum : weights[i]) * (1 << HM_RESAMPLE_BITS);
        k[i] = (int32_t)(weight < 0 ? weight - 0.5 : weight + 0.5);
    }
}

int hm_vertical_first(int rule, size_t width, size_t height, size_t out_width, size_t out_height) {
    if (rule == 0 || height <= out_height) return 0;
    if (rule == 1) return height / 100 > width || (height / 100 == width && height % 100);
    return (int64_t)height - (int64_t)out_height > 2 * ((int64_t)width - (int64_t)out_width);
}

size_t hm_family_tables(const hm_picture *picture) {
    return sizeof(family_tables) + 64 + 4 * family_all_digits(picture);
}

size_t hm_family_scratch(const hm_picture *picture) {
    family_layout layout;
    return family_place(picture, NULL, &layout);
}
