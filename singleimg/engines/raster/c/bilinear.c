// Reading between pixels: 1/64 of a pixel along each axis, cut off as Pillow's affine cuts.

#include "internal.h"
#include "simd.h"

enum { STRIP = 64 };  // pixels of which both ends decide whether all are inside a level

// A pixel from the two above and the two below, each of bpp bytes; fx, fy: 0 … 63.
static inline void one_pixel(uint8_t *out, const uint8_t *top, const uint8_t *bottom, int32_t bpp,
                             int32_t fx, int32_t fy) {
    for (int c = 0; c < 3; c++) {
        const int32_t above = top[c] * (64 - fx) + top[bpp + c] * fx;
        const int32_t below = bottom[c] * (64 - fx) + bottom[bpp + c] * fx;
        const int32_t sum = multiply_high_rounded(above, (64 - fy) * 256) +
                            multiply_high_rounded(below, fy * 256);
        out[c] = (uint8_t)((sum + 1) >> 5);
    }
    out[3] = 255;
}

#if ISA_AVX2 || ISA_AVX512

// Two pixels of each of two rows, in one lane: upper row, then lower row.
static inline __m128i four_pixels(const uint8_t *from, int64_t pitch) {
    return _mm_set_epi64x(four_of(from + pitch), four_of(from));
}

static inline __m256i two_of(const void *a, const void *b) {
    return _mm256_set_m128i(_mm_load_si128(b), _mm_load_si128(a));
}

// For each fraction f: bytes 64 - f and f for a pixel and the next one.
#define PAIR(f) 64 - f, f
#define ACROSS_1(f) {PAIR(f), PAIR(f), PAIR(f), PAIR(f), PAIR(f), PAIR(f), PAIR(f), PAIR(f)}
// And words: 256·(64 - f) for the upper row, 256·f for the lower one.
#define UPPER(f) 256 * (64 - f)
#define LOWER(f) 256 * f
#define DOWN_1(f) {UPPER(f), UPPER(f), UPPER(f), UPPER(f), LOWER(f), LOWER(f), LOWER(f), LOWER(f)}
#define FOUR(each, f) each(f), each((f + 1)), each((f + 2)), each((f + 3))
#define SIXTEEN(each, f) FOUR(each, f), FOUR(each, (f + 4)), FOUR(each, (f + 8)), FOUR(each, (f + 12))
#define SIXTY_FOUR(each) \
    SIXTEEN(each, 0), SIXTEEN(each, 16), SIXTEEN(each, 32), SIXTEEN(each, 48)
static const _Alignas(16) uint8_t ACROSS[64][16] = {SIXTY_FOUR(ACROSS_1)};
static const _Alignas(16) int16_t DOWN[64][8] = {SIXTY_FOUR(DOWN_1)};

static inline __attribute__((always_inline)) void row_of(uint8_t *restrict out,
                                                         const uint8_t *pixels, int64_t pitch,
                                                         int32_t bpp, int64_t X, int64_t Y,
                                                         int32_t dX, int32_t dY, int32_t count) {
    const __m256i pairs =
        bpp == 4 ? _mm256_setr_epi8(0, 4, 1, 5, 2, 6, 3, 7, 8, 12, 9, 13, 10, 14, 11, 15,
                                    0, 4, 1, 5, 2, 6, 3, 7, 8, 12, 9, 13, 10, 14, 11, 15)
                 : _mm256_setr_epi8(0, 3, 1, 4, 2, 5, -1, -1, 8, 11, 9, 12, 10, 13, -1, -1,
                                    0, 3, 1, 4, 2, 5, -1, -1, 8, 11, 9, 12, 10, 13, -1, -1);
    const __m256i one = _mm256_set1_epi16(1);
    int32_t i = 0;
    for (; i + 8 <= count; i += 8) {
        __m256i sums[4];
#pragma GCC unroll 4
        for (int k = 0; k < 4; k++) {
            const int64_t x0 = X, y0 = Y, x1 = X + dX, y1 = Y + dY;
            const uint8_t *p = pixels + (y0 >> 16) * pitch + (x0 >> 16) * bpp;
            const uint8_t *q = pixels + (y1 >> 16) * pitch + (x1 >> 16) * bpp;
            const __m256i four =
                _mm256_set_m128i(four_pixels(q, pitch), four_pixels(p, pitch));
            const __m256i rows = _mm256_maddubs_epi16(
                _mm256_shuffle_epi8(four, pairs),
                two_of(ACROSS[(x0 >> 10) & 63], ACROSS[(x1 >> 10) & 63]));
            sums[k] = _mm256_mulhrs_epi16(
                rows, two_of(DOWN[(y0 >> 10) & 63], DOWN[(y1 >> 10) & 63]));
            X += 2 * (int64_t)dX, Y += 2 * (int64_t)dY;
        }
        // Each lane of sums holds a pixel's upper row and its lower row.
        const __m256i a = _mm256_add_epi16(_mm256_unpacklo_epi64(sums[0], sums[1]),
                                           _mm256_unpackhi_epi64(sums[0], sums[1]));
        const __m256i b = _mm256_add_epi16(_mm256_unpacklo_epi64(sums[2], sums[3]),
                                           _mm256_unpackhi_epi64(sums[2], sums[3]));
        const __m256i bytes =
            _mm256_packus_epi16(_mm256_srli_epi16(_mm256_add_epi16(a, one), 5),
                                _mm256_srli_epi16(_mm256_add_epi16(b, one), 5));
        // Pixels 0, 2, 4, 6 and 1, 3, 5, 7.
        const __m256i order = _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7);
        _mm256_storeu_si256((void *)(out + 4 * (int64_t)i),
                            _mm256_permutevar8x32_epi32(bytes, order));
    }
    for (; i < count; i++, X += dX, Y += dY) {
        const uint8_t *p = pixels + (Y >> 16) * pitch + (X >> 16) * bpp;
        one_pixel(out + 4 * (int64_t)i, p, p + pitch, bpp, (int32_t)(X >> 10) & 63,
                  (int32_t)(Y >> 10) & 63);
    }
}

#else

static inline void row_of(uint8_t *restrict out, const uint8_t *pixels, int64_t pitch, int32_t bpp,
                          int64_t X, int64_t Y, int32_t dX, int32_t dY, int32_t count) {
    for (int32_t i = 0; i < count; i++, X += dX, Y += dY) {
        const uint8_t *p = pixels + (Y >> 16) * pitch + (X >> 16) * bpp;
        one_pixel(out + 4 * (int64_t)i, p, p + pitch, bpp, (int32_t)(X >> 10) & 63,
                  (int32_t)(Y >> 10) & 63);
    }
}

#endif

void NAME(bilinear)(uint8_t *restrict out, const uint8_t *pixels, int64_t pitch, int32_t bpp,
                    int64_t X, int64_t Y, int32_t dX, int32_t dY, int32_t count) {
    if (bpp == 3) {
        row_of(out, pixels, pitch, 3, X, Y, dX, dY, count);
    } else {
        row_of(out, pixels, pitch, 4, X, Y, dX, dY, count);
    }
}

// Whether both neighbours of a place along one axis, and one more pixel, are inside.
static inline int inside(int64_t place, int32_t length) {
    return place >= 0 && (place >> 16) + 2 < length;
}

void NAME(bilinear_reflected)(uint8_t *restrict out, const View *level, int64_t X, int64_t Y,
                              int32_t dX, int32_t dY, int32_t count) {
    for (int32_t i = 0; i < count; i += STRIP) {
        const int32_t some = at_most(STRIP, count - i);
        const int64_t x0 = X + (int64_t)i * dX, y0 = Y + (int64_t)i * dY;
        const int64_t x1 = x0 + (int64_t)(some - 1) * dX, y1 = y0 + (int64_t)(some - 1) * dY;
        uint8_t *to = out + 4 * (int64_t)i;
        if (inside(x0, level->width) && inside(x1, level->width) && inside(y0, level->height) &&
            inside(y1, level->height)) {
            NAME(bilinear)(to, level->pixels, level->pitch, level->bpp, x0, y0, dX, dY, some);
            continue;
        }
        for (int32_t k = 0; k < some; k++) {
            const int64_t x = x0 + (int64_t)k * dX, y = y0 + (int64_t)k * dY;
            uint8_t four[2][8];
            for (int row = 0; row < 2; row++) {
                const uint8_t *from =
                    level->pixels + mirrored((y >> 16) + row, level->height) * level->pitch;
                for (int column = 0; column < 2; column++)
                    memcpy(four[row] + 4 * column,
                           from + mirrored((x >> 16) + column, level->width) * level->bpp, 3);
            }
            one_pixel(to + 4 * (int64_t)k, four[0], four[1], 4, (int32_t)(x >> 10) & 63,
                      (int32_t)(y >> 10) & 63);
        }
    }
}
