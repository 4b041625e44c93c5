// The thin layer over the instruction sets: what the inner loops are written in.
//
//   Bytes   BYTES unsigned bytes, loaded from any address
//   Sums    for each of these bytes a 32-bit sum
//   Pixel   32-bit sums of the channels of one pixel
//
// All arithmetic here is exact, so each set gives the same numbers.
#ifndef SINGLEIMG_SIMD_H
#define SINGLEIMG_SIMD_H

#include <stdint.h>
#include <string.h>

#include "isa.h"

static inline uint8_t clip8(int32_t value) {
    return (uint8_t)(value < 0 ? 0 : value > 255 ? 255 : value);
}

// (a · b + 2^14) >> 15, as pmulhrsw has it.
static inline int32_t multiply_high_rounded(int32_t a, int32_t b) {
    return (a * b + (1 << 14)) >> 15;
}

#if ISA_AVX2 || ISA_AVX512
#include "simd_x86.h"
#elif ISA_NEON
#include "simd_neon.h"
#else
#include "simd_plain.h"
#endif

#endif
