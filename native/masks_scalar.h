/* What happens to the masks of a tile of the ring search where no vector operation does it better. Included by a
 * kernels_*.c after its frag_le; FRAG_ROW
 * says that it has a frag_row of its own. */

#ifndef FRAG_ROW
HM_INLINE void frag_row(frag_t f, const hm_seeker *seekers, size_t count, unsigned limit, uint32_t *masks) {
    for (size_t i = 0; i < count; i++) masks[i] = frag_le(f, seekers[i].next, limit);
}
#endif

/* Without a branch on any mask: few are not zero, and which ones cannot be predicted. */
HM_INLINE size_t frag_nonzero(const uint32_t *masks, size_t count, uint32_t valid, uint16_t *out) {
    size_t found = 0;
    for (size_t i = 0; i < count; i++) {
        out[found] = (uint16_t)i;
        found += (masks[i] & valid) != 0;
    }
    return found;
}
