/* The instruction set that a file is compiled for: -DISA=plain, avx2, avx512 or neon.

   A file that holds inner loops is compiled once for each set. In it every function with external
   linkage is written NAME(resample), which becomes resample_avx2, and what is written by hand for
   one set stands below #if ISA_AVX2 (ISA_PLAIN, ISA_AVX512, ISA_NEON: exactly one of the four is
   1). A compiler's own __AVX2__ or __ARM_NEON would not do: they are defined in the plain set too,
   where the compiler's default is a newer processor. */
#ifndef RASTER_ISA_H
#define RASTER_ISA_H

#ifndef ISA
#error "compile with -DISA=plain, avx2, avx512 or neon"
#endif

#define ISA_JOIN_(name, isa) name##_##isa
#define ISA_JOIN(name, isa) ISA_JOIN_(name, isa)
#define ISA_QUOTE_(isa) #isa
#define ISA_QUOTE(isa) ISA_QUOTE_(isa)

#define NAME(name) ISA_JOIN(name, ISA)
#define ISA_NAME ISA_QUOTE(ISA)

#define ISA_NUMBER_plain 1
#define ISA_NUMBER_avx2 2
#define ISA_NUMBER_avx512 3
#define ISA_NUMBER_neon 4
#define ISA_PLAIN (ISA_JOIN(ISA_NUMBER, ISA) == ISA_NUMBER_plain)
#define ISA_AVX2 (ISA_JOIN(ISA_NUMBER, ISA) == ISA_NUMBER_avx2)
#define ISA_AVX512 (ISA_JOIN(ISA_NUMBER, ISA) == ISA_NUMBER_avx512)
#define ISA_NEON (ISA_JOIN(ISA_NUMBER, ISA) == ISA_NUMBER_neon)

#if ISA_AVX2 || ISA_AVX512
#include <immintrin.h>
#elif ISA_NEON
#include <arm_neon.h>
#elif !ISA_PLAIN
#error "ISA is none of plain, avx2, avx512, neon"
#endif

_Static_assert(sizeof(void *) == 8 && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__,
               "the raster is written for 64-bit little-endian processors");

#endif
