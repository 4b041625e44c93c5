/* Which instruction sets this processor has, and the system lets a program use.

   Asked by the instructions themselves: __builtin_cpu_supports answers 0 to everything where zig
   links the library, whose runtime never fills the table that it reads.
   Source: Intel 64 and IA-32 Architectures Software Developer's Manual, volume 1, 14.3 and 15.2. */
#ifndef RASTER_PROCESSOR_H
#define RASTER_PROCESSOR_H

#include <stdbool.h>

static inline bool always(void) { return true; }

#if defined(__x86_64__)
#include <cpuid.h>

/* Whether leaf 7 has all the bits of `features`, and the system saves the registers in `state`. */
static inline bool has(unsigned features, unsigned state) {
    unsigned a, b, c, d, saved;
    if (!__get_cpuid(1, &a, &b, &c, &d) || !(c & bit_OSXSAVE)) return false;
    __asm__ volatile("xgetbv" : "=a"(saved), "=d"(d) : "c"(0));
    if ((saved & state) != state) return false;
    return __get_cpuid_count(7, 0, &a, &b, &c, &d) && (b & features) == features;
}

static inline bool has_avx2(void) { return has(bit_AVX2, 0x06); }

static inline bool has_avx512(void) {
    return has(bit_AVX512F | bit_AVX512DQ | bit_AVX512BW | bit_AVX512VL, 0xe6);
}
#endif

#endif
