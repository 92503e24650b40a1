/* Every implementation of the kernels, without Python, against the simplest code that computes the same.
 *
 * This is how a kernel is tested for a processor that is not at hand: compiled for it and run under an emulator. Exit code 1
 * and a message at the first difference. */

#include "check.h"

const hm_kernels *available[HM_MAX_IMPLEMENTATIONS];
size_t available_count;

int main(void) {
    setvbuf(stdout, NULL, _IONBF, 0); /* under an emulator the parts take a while */
    hm_implementation known[HM_MAX_IMPLEMENTATIONS];
    size_t count = hm_implementations(known);
    for (size_t i = 0; i < count; i++) {
        if (known[i].available) available[available_count++] = known[i].kernels;
        printf("%s%s%s%s", i ? ", " : "", known[i].kernels->name, known[i].available ? "" : ": ", known[i].reason);
    }
    printf("\n");
    check(available_count && !strcmp(available[available_count - 1]->name, "portable"), "portable is missing");
    hm_pdq_tables();
    hm_resample_tables();
    printf("hamming: %zu searches\n", check_hamming());
    printf("euclidean: %zu searches\n", check_euclidean());
    printf("digests: %zu lookups\n", check_digests());
    printf("pixels: %zu hashes\n", check_pixels());
    return 0;
}
