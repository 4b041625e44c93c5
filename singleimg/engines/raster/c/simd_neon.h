// The layer of simd.h for NEON (64-bit ARM).

#include <arm_neon.h>

static inline void prefetch(const void *address) { __builtin_prefetch(address); }

enum { BYTES = 16 };
typedef uint8x16_t Bytes;
typedef struct {
    int32x4_t a, b, c, d;
} Sums;

static inline Bytes load_bytes(const uint8_t *from) { return vld1q_u8(from); }
static inline void store_bytes(uint8_t *to, Bytes bytes) { vst1q_u8(to, bytes); }

static inline Sums sums_of(int32_t value) {
    const int32x4_t all = vdupq_n_s32(value);
    return (Sums){all, all, all, all};
}

static inline Sums sums_add(Sums sums, Bytes p, Bytes q, const int16_t *weights) {
    const int16_t first = weights[0], second = weights[1];
    const int16x8_t p0 = vreinterpretq_s16_u16(vmovl_u8(vget_low_u8(p)));
    const int16x8_t p1 = vreinterpretq_s16_u16(vmovl_high_u8(p));
    const int16x8_t q0 = vreinterpretq_s16_u16(vmovl_u8(vget_low_u8(q)));
    const int16x8_t q1 = vreinterpretq_s16_u16(vmovl_high_u8(q));
    sums.a = vmlal_n_s16(vmlal_n_s16(sums.a, vget_low_s16(p0), first), vget_low_s16(q0), second);
    sums.b = vmlal_high_n_s16(vmlal_high_n_s16(sums.b, p0, first), q0, second);
    sums.c = vmlal_n_s16(vmlal_n_s16(sums.c, vget_low_s16(p1), first), vget_low_s16(q1), second);
    sums.d = vmlal_high_n_s16(vmlal_high_n_s16(sums.d, p1, first), q1, second);
    return sums;
}

static inline Bytes sums_bytes(Sums sums) {
    const int16x8_t low = vcombine_s16(vqmovn_s32(vshrq_n_s32(sums.a, 14)),
                                       vqmovn_s32(vshrq_n_s32(sums.b, 14)));
    const int16x8_t high = vcombine_s16(vqmovn_s32(vshrq_n_s32(sums.c, 14)),
                                        vqmovn_s32(vshrq_n_s32(sums.d, 14)));
    return vcombine_u8(vqmovun_s16(low), vqmovun_s16(high));
}

enum { READS_3 = 16, READS_4 = 16 };
typedef int32x4_t Pixel;

static inline Pixel pixel_of(int32_t value) { return vdupq_n_s32(value); }

static inline Pixel pixel_add(Pixel sum, const uint8_t *from, const int16_t *weights, int bpp) {
    static const uint8_t three[16] = {0, 1, 2, 255, 3, 4, 5, 255, 6, 7, 8, 255, 9, 10, 11, 255};
    uint8x16_t four = vld1q_u8(from);
    if (bpp == 3) four = vqtbl1q_u8(four, vld1q_u8(three));
    const int16x8_t low = vreinterpretq_s16_u16(vmovl_u8(vget_low_u8(four)));
    const int16x8_t high = vreinterpretq_s16_u16(vmovl_high_u8(four));
    const int16x4_t taps = vld1_s16(weights);
    sum = vmlal_lane_s16(sum, vget_low_s16(low), taps, 0);
    sum = vmlal_high_lane_s16(sum, low, taps, 1);
    sum = vmlal_lane_s16(sum, vget_low_s16(high), taps, 2);
    return vmlal_high_lane_s16(sum, high, taps, 3);
}

static inline void pixels_store(uint8_t *to, Pixel a, Pixel b, Pixel c, Pixel d) {
    store_bytes(to, sums_bytes((Sums){a, b, c, d}));
}
