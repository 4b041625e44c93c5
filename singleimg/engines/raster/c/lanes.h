// Sixteen-bit lanes: the few operations that colour.c needs, on LANES pixels at once.
//
// With AVX2, AVX-512 and NEON they are intrinsics, for compilers differ much in what they make of
// products of sixteen bits; otherwise a "vector" is one number, and the compiler does what it can.
// All give the same numbers. A lane holds int16_t; operations ending in _u take it as uint16_t.
// v16_high is the upper half of a 32-bit product; v16_high_rounded (a b + 2^14) >> 15. F32 are
// as many numbers of float32: f32_of takes lanes as uint16_t, f32_whole cuts a fraction off.
#ifndef RASTER_LANES_H
#define RASTER_LANES_H

#include <stdint.h>
#include <string.h>

#include "isa.h"

#if ISA_AVX2 || ISA_AVX512

#if ISA_AVX512
enum { LANES = 32 };
typedef __m512i V16, Sums;
typedef __m512 Floats;
#define V(name) _mm512_##name
#define BITS(name) _mm512_##name##_si512
static inline V16 v16_select_equal(V16 a, V16 b, V16 yes, V16 no) {
    return _mm512_mask_blend_epi16(_mm512_cmpeq_epi16_mask(a, b), no, yes);
}
static inline V16 v16_select_less(V16 a, V16 b, V16 yes, V16 no) {
    return _mm512_mask_blend_epi16(_mm512_cmplt_epi16_mask(a, b), no, yes);
}
#else
enum { LANES = 16 };
typedef __m256i V16, Sums;
typedef __m256 Floats;
#define V(name) _mm256_##name
#define BITS(name) _mm256_##name##_si256
static inline V16 v16_select_equal(V16 a, V16 b, V16 yes, V16 no) {
    return _mm256_blendv_epi8(no, yes, _mm256_cmpeq_epi16(a, b));
}
static inline V16 v16_select_less(V16 a, V16 b, V16 yes, V16 no) {
    return _mm256_blendv_epi8(no, yes, _mm256_cmpgt_epi16(b, a));
}
#endif

typedef struct {
    Floats low, high;
} F32;

static inline V16 v16_load(const int16_t *from) { return BITS(loadu)((const void *)from); }
static inline void v16_store(int16_t *to, V16 a) { BITS(storeu)((void *)to, a); }
static inline V16 v16_all(int16_t value) { return V(set1_epi16)(value); }
static inline V16 v16_add(V16 a, V16 b) { return V(add_epi16)(a, b); }
static inline V16 v16_sub(V16 a, V16 b) { return V(sub_epi16)(a, b); }
static inline V16 v16_sub_saturated_u(V16 a, V16 b) { return V(subs_epu16)(a, b); }
static inline V16 v16_mul(V16 a, V16 b) { return V(mullo_epi16)(a, b); }
static inline V16 v16_high(V16 a, V16 b) { return V(mulhi_epi16)(a, b); }
static inline V16 v16_high_u(V16 a, V16 b) { return V(mulhi_epu16)(a, b); }
static inline V16 v16_high_rounded(V16 a, V16 b) { return V(mulhrs_epi16)(a, b); }
static inline V16 v16_min(V16 a, V16 b) { return V(min_epi16)(a, b); }
static inline V16 v16_max(V16 a, V16 b) { return V(max_epi16)(a, b); }
static inline V16 v16_min_u(V16 a, V16 b) { return V(min_epu16)(a, b); }
static inline V16 v16_abs(V16 a) { return V(abs_epi16)(a); }
static inline V16 v16_and(V16 a, V16 b) { return BITS(and)(a, b); }
static inline V16 v16_up8(V16 a) { return V(slli_epi16)(a, 8); }

static inline Sums sums_zero(void) { return BITS(setzero)(); }
static inline Sums sums_add(Sums sums, V16 a) {
    return V(add_epi32)(sums, V(madd_epi16)(a, V(set1_epi16)(1)));
}
static inline int32_t sums_total(Sums sums) {
    int32_t lanes[LANES / 2], total = 0;
    memcpy(lanes, &sums, sizeof lanes);
    for (int i = 0; i < LANES / 2; i++) total += lanes[i];
    return total;
}

static inline F32 f32_of(V16 a) {
    V16 zero = BITS(setzero)();
    return (F32){V(cvtepi32_ps)(V(unpacklo_epi16)(a, zero)),
                 V(cvtepi32_ps)(V(unpackhi_epi16)(a, zero))};
}
static inline V16 f32_whole(F32 a) {
    return V(packs_epi32)(V(cvttps_epi32)(a.low), V(cvttps_epi32)(a.high));
}
static inline F32 f32_all(float value) { return (F32){V(set1_ps)(value), V(set1_ps)(value)}; }
static inline F32 f32_mul(F32 a, F32 b) {
    return (F32){V(mul_ps)(a.low, b.low), V(mul_ps)(a.high, b.high)};
}
static inline F32 f32_div(F32 a, F32 b) {
    return (F32){V(div_ps)(a.low, b.low), V(div_ps)(a.high, b.high)};
}
static inline F32 f32_max(F32 a, F32 b) {
    return (F32){V(max_ps)(a.low, b.low), V(max_ps)(a.high, b.high)};
}

// 19,595 r + 38,470 g + 7,471 b + 32,768, of which the upper half: g is taken twice, by half.
static inline V16 v16_luma(V16 r, V16 g, V16 b) {
    V16 rg = V(set1_epi32)(19595 | 19235 << 16), bg = V(set1_epi32)(7471 | 19235 << 16);
    V16 half = V(set1_epi32)(32768);
    V16 low = V(add_epi32)(V(madd_epi16)(V(unpacklo_epi16)(r, g), rg),
                           V(madd_epi16)(V(unpacklo_epi16)(b, g), bg));
    V16 high = V(add_epi32)(V(madd_epi16)(V(unpackhi_epi16)(r, g), rg),
                            V(madd_epi16)(V(unpackhi_epi16)(b, g), bg));
    low = V(srli_epi32)(V(add_epi32)(low, half), 16);
    high = V(srli_epi32)(V(add_epi32)(high, half), 16);
    return V(packs_epi32)(low, high);
}

// The order of pixels within the lanes is another than in memory; rgbx_store undoes it.
static inline void rgbx_load(const uint8_t *from, V16 *r, V16 *g, V16 *b) {
    V16 low_half = V(set1_epi32)(0xffff), level = V(set1_epi16)(255);
    V16 first = BITS(loadu)((const void *)from);
    V16 second = BITS(loadu)((const void *)(from + 2 * LANES));
    V16 rg = V(packus_epi32)(BITS(and)(first, low_half), BITS(and)(second, low_half));
    V16 bx = V(packus_epi32)(V(srli_epi32)(first, 16), V(srli_epi32)(second, 16));
    *r = BITS(and)(rg, level);
    *g = V(srli_epi16)(rg, 8);
    *b = BITS(and)(bx, level);
}
static inline void rgbx_store(uint8_t *to, V16 r, V16 g, V16 b) {
    V16 rg = BITS(or)(r, V(slli_epi16)(g, 8)), bx = BITS(or)(b, V(set1_epi16)(-256));
    BITS(storeu)((void *)to, V(unpacklo_epi16)(rg, bx));
    BITS(storeu)((void *)(to + 2 * LANES), V(unpackhi_epi16)(rg, bx));
}

// PACKED pixels, RGBX to RGB. What is written may be longer, by no more than SPARE pixels.
#if ISA_AVX512
enum { PACKED = 16, SPARE = 0 };
static inline void rgb_pack(const uint8_t *from, uint8_t *to) {
    V16 order = _mm512_broadcast_i32x4(
        _mm_setr_epi8(0, 1, 2, 4, 5, 6, 8, 9, 10, 12, 13, 14, -1, -1, -1, -1));
    V16 together = _mm512_setr_epi32(0, 1, 2, 4, 5, 6, 8, 9, 10, 12, 13, 14, 0, 0, 0, 0);
    V16 pixels = _mm512_shuffle_epi8(_mm512_loadu_si512(from), order);
    _mm512_mask_storeu_epi32(to, 0x0fff, _mm512_permutexvar_epi32(together, pixels));
}
#else
enum { PACKED = 8, SPARE = 3 };
static inline void rgb_pack(const uint8_t *from, uint8_t *to) {
    V16 order = _mm256_broadcastsi128_si256(
        _mm_setr_epi8(0, 1, 2, 4, 5, 6, 8, 9, 10, 12, 13, 14, -1, -1, -1, -1));
    V16 together = _mm256_setr_epi32(0, 1, 2, 4, 5, 6, 0, 0);
    V16 pixels = _mm256_shuffle_epi8(_mm256_loadu_si256((const void *)from), order);
    _mm256_storeu_si256((void *)to, _mm256_permutevar8x32_epi32(pixels, together));
}
#endif

#undef V
#undef BITS

#elif ISA_NEON

enum { LANES = 8 };
typedef int16x8_t V16;
typedef int32x4_t Sums;
typedef struct {
    float32x4_t low, high;
} F32;
#define U(a) vreinterpretq_u16_s16(a)
#define S(a) vreinterpretq_s16_u16(a)

static inline V16 v16_load(const int16_t *from) { return vld1q_s16(from); }
static inline void v16_store(int16_t *to, V16 a) { vst1q_s16(to, a); }
static inline V16 v16_all(int16_t value) { return vdupq_n_s16(value); }
static inline V16 v16_add(V16 a, V16 b) { return vaddq_s16(a, b); }
static inline V16 v16_sub(V16 a, V16 b) { return vsubq_s16(a, b); }
static inline V16 v16_sub_saturated_u(V16 a, V16 b) { return S(vqsubq_u16(U(a), U(b))); }
static inline V16 v16_mul(V16 a, V16 b) { return vmulq_s16(a, b); }
static inline V16 v16_high(V16 a, V16 b) {
    int32x4_t low = vmull_s16(vget_low_s16(a), vget_low_s16(b));
    return vshrn_high_n_s32(vshrn_n_s32(low, 16), vmull_high_s16(a, b), 16);
}
static inline V16 v16_high_u(V16 a, V16 b) {
    uint32x4_t low = vmull_u16(vget_low_u16(U(a)), vget_low_u16(U(b)));
    return S(vshrn_high_n_u32(vshrn_n_u32(low, 16), vmull_high_u16(U(a), U(b)), 16));
}
// It doubles the product: (2ab + 2^15) >> 16, which is (ab + 2^14) >> 15.
static inline V16 v16_high_rounded(V16 a, V16 b) { return vqrdmulhq_s16(a, b); }
static inline V16 v16_min(V16 a, V16 b) { return vminq_s16(a, b); }
static inline V16 v16_max(V16 a, V16 b) { return vmaxq_s16(a, b); }
static inline V16 v16_min_u(V16 a, V16 b) { return S(vminq_u16(U(a), U(b))); }
static inline V16 v16_abs(V16 a) { return vabsq_s16(a); }
static inline V16 v16_and(V16 a, V16 b) { return vandq_s16(a, b); }
static inline V16 v16_up8(V16 a) { return vshlq_n_s16(a, 8); }
static inline Sums sums_zero(void) { return vdupq_n_s32(0); }
static inline Sums sums_add(Sums sums, V16 a) { return vpadalq_s16(sums, a); }
static inline int32_t sums_total(Sums sums) { return vaddvq_s32(sums); }
static inline V16 v16_select_equal(V16 a, V16 b, V16 yes, V16 no) {
    return vbslq_s16(vceqq_s16(a, b), yes, no);
}
static inline V16 v16_select_less(V16 a, V16 b, V16 yes, V16 no) {
    return vbslq_s16(vcltq_s16(a, b), yes, no);
}

static inline F32 f32_of(V16 a) {
    return (F32){vcvtq_f32_u32(vmovl_u16(vget_low_u16(U(a)))),
                 vcvtq_f32_u32(vmovl_high_u16(U(a)))};
}
static inline V16 f32_whole(F32 a) {
    return vmovn_high_s32(vmovn_s32(vcvtq_s32_f32(a.low)), vcvtq_s32_f32(a.high));
}
static inline F32 f32_all(float value) { return (F32){vdupq_n_f32(value), vdupq_n_f32(value)}; }
static inline F32 f32_mul(F32 a, F32 b) {
    return (F32){vmulq_f32(a.low, b.low), vmulq_f32(a.high, b.high)};
}
static inline F32 f32_div(F32 a, F32 b) {
    return (F32){vdivq_f32(a.low, b.low), vdivq_f32(a.high, b.high)};
}
static inline F32 f32_max(F32 a, F32 b) {
    return (F32){vmaxq_f32(a.low, b.low), vmaxq_f32(a.high, b.high)};
}

static inline V16 v16_luma(V16 r, V16 g, V16 b) {
    uint32x4_t low = vmull_n_u16(vget_low_u16(U(r)), 19595);
    uint32x4_t high = vmull_high_n_u16(U(r), 19595);
    low = vmlal_n_u16(vmlal_n_u16(low, vget_low_u16(U(g)), 38470), vget_low_u16(U(b)), 7471);
    high = vmlal_high_n_u16(vmlal_high_n_u16(high, U(g), 38470), U(b), 7471);
    return S(vrshrn_high_n_u32(vrshrn_n_u32(low, 16), high, 16));
}

static inline void rgbx_load(const uint8_t *from, V16 *r, V16 *g, V16 *b) {
    uint8x8x4_t pixels = vld4_u8(from);
    *r = S(vmovl_u8(pixels.val[0]));
    *g = S(vmovl_u8(pixels.val[1]));
    *b = S(vmovl_u8(pixels.val[2]));
}
static inline void rgbx_store(uint8_t *to, V16 r, V16 g, V16 b) {
    uint8x8x4_t pixels = {{vmovn_u16(U(r)), vmovn_u16(U(g)), vmovn_u16(U(b)), vdup_n_u8(255)}};
    vst4_u8(to, pixels);
}

enum { PACKED = 16, SPARE = 0 };  // pixels, RGBX to RGB
static inline void rgb_pack(const uint8_t *from, uint8_t *to) {
    uint8x16x4_t pixels = vld4q_u8(from);
    uint8x16x3_t packed = {{pixels.val[0], pixels.val[1], pixels.val[2]}};
    vst3q_u8(to, packed);  // a macro in clang
}

#undef U
#undef S

#else

enum { LANES = 1 };
typedef int16_t V16;
typedef int32_t Sums;
typedef float F32;

static inline V16 v16_load(const int16_t *from) { return *from; }
static inline void v16_store(int16_t *to, V16 a) { *to = a; }
static inline V16 v16_all(int16_t value) { return value; }
static inline V16 v16_add(V16 a, V16 b) { return (V16)(a + b); }
static inline V16 v16_sub(V16 a, V16 b) { return (V16)(a - b); }
static inline V16 v16_sub_saturated_u(V16 a, V16 b) {
    return (V16)((uint16_t)a > (uint16_t)b ? (uint16_t)a - (uint16_t)b : 0);
}
static inline V16 v16_mul(V16 a, V16 b) { return (V16)(a * b); }
static inline V16 v16_high(V16 a, V16 b) { return (V16)((a * b) >> 16); }
static inline V16 v16_high_u(V16 a, V16 b) {
    return (V16)(((uint32_t)(uint16_t)a * (uint16_t)b) >> 16);
}
static inline V16 v16_high_rounded(V16 a, V16 b) { return (V16)((a * b + (1 << 14)) >> 15); }
static inline V16 v16_min(V16 a, V16 b) { return a < b ? a : b; }
static inline V16 v16_max(V16 a, V16 b) { return a > b ? a : b; }
static inline V16 v16_min_u(V16 a, V16 b) { return (uint16_t)a < (uint16_t)b ? a : b; }
static inline V16 v16_abs(V16 a) { return (V16)(a < 0 ? -a : a); }
static inline V16 v16_and(V16 a, V16 b) { return (V16)(a & b); }
static inline V16 v16_up8(V16 a) { return (V16)(uint16_t)((uint16_t)a << 8); }
static inline Sums sums_zero(void) { return 0; }
static inline Sums sums_add(Sums sums, V16 a) { return sums + a; }
static inline int32_t sums_total(Sums sums) { return sums; }
static inline V16 v16_select_equal(V16 a, V16 b, V16 yes, V16 no) { return a == b ? yes : no; }
static inline V16 v16_select_less(V16 a, V16 b, V16 yes, V16 no) { return a < b ? yes : no; }

static inline F32 f32_of(V16 a) { return (float)(uint16_t)a; }
static inline V16 f32_whole(F32 a) { return (V16)(int32_t)a; }
static inline F32 f32_all(float value) { return value; }
static inline F32 f32_mul(F32 a, F32 b) { return a * b; }
static inline F32 f32_div(F32 a, F32 b) { return a / b; }
static inline F32 f32_max(F32 a, F32 b) { return a > b ? a : b; }

static inline V16 v16_luma(V16 r, V16 g, V16 b) {
    return (V16)((19595 * r + 38470 * g + 7471 * b + 32768) >> 16);
}

static inline void rgbx_load(const uint8_t *from, V16 *r, V16 *g, V16 *b) {
    uint32_t pixel;
    memcpy(&pixel, from, 4);
    *r = (V16)(pixel & 255);
    *g = (V16)(pixel >> 8 & 255);
    *b = (V16)(pixel >> 16 & 255);
}
static inline void rgbx_store(uint8_t *to, V16 r, V16 g, V16 b) {
    uint32_t pixel = (uint32_t)r | (uint32_t)g << 8 | (uint32_t)b << 16 | 0xff000000u;
    memcpy(to, &pixel, 4);
}

enum { PACKED = 1, SPARE = 1 };  // pixels, RGBX to RGB; the fourth byte is written over
static inline void rgb_pack(const uint8_t *from, uint8_t *to) { memcpy(to, from, 4); }

#endif

#endif
