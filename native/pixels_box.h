/* The exact path's filter: four passes of running sums in float32, each lane one line. Part of pixels_pdq.h. */

#define PDQ_VECTORS (PDQ_LINES / PF_LANES)

/* Sums by a count, rounded as a division rounds. With a fused multiply-add: the product by the rounded inverse, then one
 * correction by what is left over. That gave the quotient for all 2^23 mantissas and all counts to 1,024, which is
 * every case, as neither sign nor exponent changes it: luma is nowhere near the limits of the exponent. */
HM_INLINE pf pdq_quotient(pf sum, pf count, pf inverse) {
#ifdef pf_fma
    pf quotient = pf_mul(sum, inverse);
    return pf_fma(pf_fnma(quotient, count, sum), inverse, quotient);
#else
    (void)inverse;
    return pf_div(sum, count);
#endif
}

#define PDQ_MOST_COUNTS 1024

/* 32 rows to columns of 32, from `rows` to `turned`. */
static void pdq_turn_rows(const float *rows, size_t padded, size_t n, float *turned) {
    for (size_t x = 0; x < n; x += 16) {
        px_turn(rows + x, padded, turned + x * PDQ_LINES, PDQ_LINES);
        px_turn(rows + 16 * padded + x, padded, turned + x * PDQ_LINES + 16, PDQ_LINES);
    }
}

/* And back. */
static void pdq_turn_columns(const float *turned, size_t n, float *rows, size_t padded) {
    for (size_t x = 0; x < n; x += 16) {
        px_turn(turned + x * PDQ_LINES, PDQ_LINES, rows + x, padded);
        px_turn(turned + x * PDQ_LINES + 16, PDQ_LINES, rows + 16 * padded + x, padded);
    }
}

/* Running mean of 32 lines along `box`; every one, to out[PDQ_LINES * centre], or with `samples` (64 ascending indices) those
 * only, to out[PDQ_LINES * k]. The value that enters is added before the one that leaves is subtracted. */
HM_INLINE void pdq_along(const float *lines, const pdq_box *box, const size_t *samples, float *out) {
    pf total[PDQ_VECTORS];
    for (int v = 0; v < PDQ_VECTORS; v++) total[v] = pf_set(0);
    size_t next = 0, whole = box->full;
    const int exact = (whole & (whole - 1)) == 0; /* multiplying by the inverse of a power of two does not round */
    const pf inverse = pf_set(1.0f / (float)whole), divisor = pf_set((float)whole);
    for (size_t entering = 0; entering < box->n + box->half - 1; entering++) {
        if (HM_OFTEN(entering < box->n)) {
            const float *x = lines + entering * PDQ_LINES;
            for (int v = 0; v < PDQ_VECTORS; v++) total[v] = pf_add(total[v], pf_load(x + v * PF_LANES));
        }
        if (HM_OFTEN(entering >= box->full)) {
            const float *x = lines + (entering - box->full) * PDQ_LINES;
            for (int v = 0; v < PDQ_VECTORS; v++) total[v] = pf_sub(total[v], pf_load(x + v * PF_LANES));
        }
        if (HM_RARE(entering + 1 < box->half)) continue;
        size_t centre = entering + 1 - box->half;
        if (samples && samples[next] != centre) continue;
        float *to = out + (samples ? next : centre) * PDQ_LINES;
        size_t count = pdq_inside(box, entering);
        if (HM_OFTEN(count == whole && exact)) {
            for (int v = 0; v < PDQ_VECTORS; v++) pf_store(to + v * PF_LANES, pf_mul(total[v], inverse));
        } else if (HM_OFTEN(count == whole && whole <= PDQ_MOST_COUNTS)) {
            for (int v = 0; v < PDQ_VECTORS; v++) {
                pf_store(to + v * PF_LANES, pdq_quotient(total[v], divisor, inverse));
            }
        } else {
            pf other = pf_set((float)count);
            for (int v = 0; v < PDQ_VECTORS; v++) pf_store(to + v * PF_LANES, pf_div(total[v], other));
        }
        if (!samples) continue;
        const float *same = to;
        for (next++; next < HM_PDQ_GRID && samples[next] == centre; next++) {
            memcpy(out + next * PDQ_LINES, same, PDQ_LINES * sizeof *out);
        }
        if (next == HM_PDQ_GRID) return;
    }
}

/* One step of running means along columns: every lane a column. `out` NULL: no mean is wanted here. */
HM_INLINE void pdq_down(float *total, const float *enters, const float *leaves, size_t n, size_t count, float *out) {
    const pf divisor = pf_set((float)count), inverse = pf_set(1.0f / (float)count);
    if (HM_OFTEN(enters && leaves && out && count <= PDQ_MOST_COUNTS)) {
        for (size_t x = 0; x < n; x += PF_LANES) {
            pf sum = pf_sub(pf_add(pf_load(total + x), pf_load(enters + x)), pf_load(leaves + x));
            pf_store(total + x, sum);
            pf_store(out + x, pdq_quotient(sum, divisor, inverse));
        }
        return;
    }
    for (size_t x = 0; x < n; x += PF_LANES) {
        pf sum = pf_load(total + x);
        if (enters) sum = pf_add(sum, pf_load(enters + x));
        if (leaves) sum = pf_sub(sum, pf_load(leaves + x));
        pf_store(total + x, sum);
        if (out) pf_store(out + x, pf_div(sum, divisor));
    }
}

typedef struct {
    pdq_box across, down;
    size_t columns[HM_PDQ_GRID], rows[HM_PDQ_GRID];
    size_t next;               /* the next row of the buffer */
    size_t turned;             /* columns that are turned: whole blocks of 16 */
    float total[HM_PDQ_GRID];  /* of the fourth pass */
} pdq_filter;

/* The fourth pass takes row `entering` of the third; from the height on, none enters. */
static void pdq_fourth(pdq_filter *f, const pdq_exact_layout *s, size_t entering) {
    const float *enters = entering < f->down.n ? s->past + entering % s->ring * HM_PDQ_GRID : NULL;
    const float *leaves = entering >= f->down.full ? s->past + (entering - f->down.full) % s->ring * HM_PDQ_GRID : NULL;
    float *out = NULL;
    if (f->next < HM_PDQ_GRID && entering + 1 >= f->down.half && f->rows[f->next] == entering + 1 - f->down.half) {
        out = s->buffer + f->next * HM_PDQ_GRID;
    }
    pdq_down(f->total, enters, leaves, HM_PDQ_GRID, pdq_inside(&f->down, entering), out);
    if (!out) return;
    for (f->next++; f->next < HM_PDQ_GRID && f->rows[f->next] == entering + 1 - f->down.half; f->next++) {
        memcpy(s->buffer + f->next * HM_PDQ_GRID, out, HM_PDQ_GRID * sizeof *out);
    }
}

/* Row `centre` of the second pass is there. With the last of a block, the third pass runs over it. */
static void pdq_third(pdq_filter *f, const pdq_exact_layout *s, size_t centre) {
    size_t from = centre / PDQ_LINES * PDQ_LINES;
    if (centre + 1 != f->down.n && centre + 1 != from + PDQ_LINES) return;
    pdq_turn_rows(s->second, s->padded, f->turned, s->turned);
    pdq_along(s->turned, &f->across, f->columns, s->kept);
    pdq_turn_columns(s->kept, HM_PDQ_GRID, s->past + from % s->ring * HM_PDQ_GRID, HM_PDQ_GRID);
    for (size_t row = from; row <= centre; row++) pdq_fourth(f, s, row);
}

static void pdq_second(pdq_filter *f, const pdq_exact_layout *s, size_t entering) {
    const float *enters = entering < f->down.n ? s->history + entering % s->ring * s->padded : NULL;
    const float *leaves = entering >= f->down.full ? s->history + (entering - f->down.full) % s->ring * s->padded : NULL;
    size_t count = pdq_inside(&f->down, entering);
    if (entering + 1 < f->down.half) {
        pdq_down(s->total, enters, leaves, f->turned, count, NULL);
        return;
    }
    size_t centre = entering + 1 - f->down.half;
    float *out = s->second + centre % PDQ_LINES * s->padded;
    pdq_down(s->total, enters, leaves, f->turned, count, out);
    pdq_third(f, s, centre);
}

/* The 64x64 buffer. */
static void pdq_boxes(const hm_picture *p, const pdq_exact_layout *s) {
    pdq_filter f = {.across = pdq_box_of(p->width), .down = pdq_box_of(p->height), .turned = (p->width + 15) / 16 * 16};
    for (size_t k = 0; k < HM_PDQ_GRID; k++) {
        f.columns[k] = hm_pdq_sample(p->width, k);
        f.rows[k] = hm_pdq_sample(p->height, k);
    }
    /* Lanes beyond the picture are computed and never read; zero, so that they are no garbage either. */
    memset(s->rows, 0, PDQ_LINES * s->padded * sizeof(float));
    memset(s->boxed, 0, PDQ_LINES * s->padded * sizeof(float));
    memset(s->second, 0, PDQ_LINES * s->padded * sizeof(float));
    memset(s->total, 0, s->padded * sizeof(float));
    for (size_t from = 0; from < p->height; from += PDQ_LINES) {
        size_t lines = p->height - from < PDQ_LINES ? p->height - from : PDQ_LINES;
        for (size_t line = 0; line < lines; line++) pdq_luma_row(p, from + line, s->rows + line * s->padded);
        pdq_turn_rows(s->rows, s->padded, f.turned, s->turned);
        pdq_along(s->turned, &f.across, NULL, s->boxed);
        pdq_turn_columns(s->boxed, f.turned, s->history + from % s->ring * s->padded, s->padded);
        for (size_t line = 0; line < lines; line++) pdq_second(&f, s, from + line);
    }
    for (size_t entering = p->height; entering < p->height + f.down.half - 1; entering++) pdq_second(&f, s, entering);
    for (size_t entering = p->height; entering < p->height + f.down.half - 1; entering++) pdq_fourth(&f, s, entering);
}
