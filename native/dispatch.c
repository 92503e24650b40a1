/* Which implementations this build has, and which of them this processor (and its operating system) runs. */

#include "kernels.h"

#ifdef HM_X86_64
#if defined(_MSC_VER) && !defined(__clang__)
#include <immintrin.h>
#include <intrin.h>
static void cpuid(uint32_t leaf, uint32_t sub, uint32_t r[4]) { __cpuidex((int *)r, (int)leaf, (int)sub); }
static uint64_t xcr0(void) { return _xgetbv(0); }
#else
#include <cpuid.h>
static void cpuid(uint32_t leaf, uint32_t sub, uint32_t r[4]) { __cpuid_count(leaf, sub, r[0], r[1], r[2], r[3]); }
static uint64_t xcr0(void) {
    uint32_t low, high;
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return (uint64_t)high << 32 | low;
}
#endif

#define HAS(word, bit) (((word) >> (bit)) & 1u)

static void x86_features(int *avx2, int *avx512) {
    uint32_t r[4], first[4], seventh[4] = {0}, extended[4] = {0};
    *avx2 = *avx512 = 0;
    cpuid(0, 0, r);
    uint32_t highest = r[0];
    if (highest < 7) return;
    cpuid(1, 0, first);
    cpuid(7, 0, seventh);
    cpuid(0x80000000u, 0, r);
    if (r[0] >= 0x80000001u) cpuid(0x80000001u, 0, extended);
    if (!HAS(first[2], 27)) return; /* OSXSAVE: the system saves extended registers, and xgetbv may be asked */
    uint64_t saved = xcr0();
    if ((saved & 0x06) != 0x06) return;
    /* popcnt, fma (a part of the level), avx; bmi1, avx2, bmi2; lzcnt */
    *avx2 = HAS(first[2], 23) && HAS(first[2], 12) && HAS(first[2], 28) && HAS(seventh[1], 3) && HAS(seventh[1], 5) &&
            HAS(seventh[1], 8) && HAS(extended[2], 5);
    if ((saved & 0xe6) != 0xe6) return;
    /* avx512 f, dq, bw, vl, vbmi2, bitalg, vpopcntdq, vnni */
    *avx512 = *avx2 && HAS(seventh[1], 16) && HAS(seventh[1], 17) && HAS(seventh[1], 30) && HAS(seventh[1], 31) &&
              HAS(seventh[2], 6) && HAS(seventh[2], 12) && HAS(seventh[2], 14) && HAS(seventh[2], 11);
}
#endif

size_t hm_implementations(hm_implementation *out) {
    size_t n = 0;
#ifdef HM_X86_64
    int avx2, avx512;
    x86_features(&avx2, &avx512);
    out[n++] = (hm_implementation){&hm_avx512, avx512, avx512 ? "" : "this processor lacks AVX-512 with BITALG, VPOPCNTDQ and VNNI"};
    out[n++] = (hm_implementation){&hm_avx2, avx2, avx2 ? "" : "this processor lacks AVX2"};
#endif
#ifdef HM_AARCH64
    out[n++] = (hm_implementation){&hm_neon, 1, ""};
#endif
    out[n++] = (hm_implementation){&hm_portable, 1, ""};
    return n;
}
