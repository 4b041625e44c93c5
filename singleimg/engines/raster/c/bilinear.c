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

static inline __m256i eight_bytes(const uint8_t *from) {
    return _mm256_set1_epi64x(four_of(from));
}

// As many pixels as eight at a time make of ``count``. X and Y: 0 … 65535.
static inline __attribute__((always_inline)) int32_t eights(uint8_t *restrict out,
                                                            const uint8_t *pixels, int64_t pitch,
                                                            int32_t bpp, int32_t X, int32_t Y,
                                                            int32_t dX, int32_t dY,
                                                            int32_t count) {
    // Of a pixel and the next one in the upper row, then in the lower one, each channel in turn.
    const __m256i channels =
        bpp == 4 ? _mm256_setr_epi8(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15,
                                    0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15)
                 : _mm256_setr_epi8(0, 3, 8, 11, 1, 4, 9, 12, 2, 5, 10, 13, -1, -1, -1, -1,
                                    0, 3, 8, 11, 1, 4, 9, 12, 2, 5, 10, 13, -1, -1, -1, -1);
    const __m256i number = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    const __m256i ones = _mm256_set1_epi16(1), most = _mm256_set1_epi32(63);
    __m256i x = _mm256_add_epi32(_mm256_set1_epi32(X),
                                 _mm256_mullo_epi32(number, _mm256_set1_epi32(dX)));
    __m256i y = _mm256_add_epi32(_mm256_set1_epi32(Y),
                                 _mm256_mullo_epi32(number, _mm256_set1_epi32(dY)));
    int32_t i = 0;
    for (; i + 8 <= count; i += 8) {
        const __m256i column = _mm256_srai_epi32(x, 16), row = _mm256_srai_epi32(y, 16);
        _Alignas(32) int32_t at[8];
        _mm256_store_si256(
            (void *)at,
            _mm256_add_epi32(_mm256_mullo_epi32(row, _mm256_set1_epi32((int32_t)pitch)),
                             bpp == 4 ? _mm256_slli_epi32(column, 2)
                                      : _mm256_add_epi32(column, _mm256_slli_epi32(column, 1))));
        // Compilers take numbers out of a vector one by one, which is slower than reading them.
        __asm__ volatile("" : "+m"(at));
        // Bytes 64 - fx and fx, twice; words 256·(64 - fy) and 256·fy.
        const __m256i fx = _mm256_and_si256(_mm256_srli_epi32(x, 10), most);
        const __m256i fy = _mm256_and_si256(_mm256_srli_epi32(y, 10), most);
        const __m256i across = _mm256_add_epi32(
            _mm256_mullo_epi16(_mm256_or_si256(fx, _mm256_slli_epi32(fx, 16)),
                               _mm256_set1_epi16(255)),
            _mm256_set1_epi16(64));
        const __m256i down = _mm256_slli_epi32(
            _mm256_add_epi32(_mm256_sub_epi32(_mm256_slli_epi32(fy, 16), fy),
                             _mm256_set1_epi32(64)),
            8);
// Pixels k and k + 4, one in each lane: 32-bit sums of their channels.
#define TWO(k)                                                                             \
    _mm256_madd_epi16(                                                                     \
        _mm256_mulhrs_epi16(                                                               \
            _mm256_maddubs_epi16(                                                          \
                _mm256_shuffle_epi8(                                                       \
                    _mm256_blend_epi32(                                                    \
                        _mm256_blend_epi32(eight_bytes(pixels + at[k]),                    \
                                           eight_bytes(pixels + at[k] + pitch), 0x0c),     \
                        _mm256_blend_epi32(eight_bytes(pixels + at[k + 4]),                \
                                           eight_bytes(pixels + at[k + 4] + pitch), 0xc0), \
                        0xf0),                                                             \
                    channels),                                                             \
                _mm256_shuffle_epi32(across, (k) * 0x55)),                                 \
            _mm256_shuffle_epi32(down, (k) * 0x55)),                                       \
        ones)
        const __m256i a = _mm256_packs_epi32(TWO(0), TWO(1));
        const __m256i b = _mm256_packs_epi32(TWO(2), TWO(3));
#undef TWO
        _mm256_storeu_si256((void *)(out + 4 * (int64_t)i),
                            _mm256_packus_epi16(_mm256_srli_epi16(_mm256_add_epi16(a, ones), 5),
                                                _mm256_srli_epi16(_mm256_add_epi16(b, ones), 5)));
        x = _mm256_add_epi32(x, _mm256_set1_epi32(8 * dX));
        y = _mm256_add_epi32(y, _mm256_set1_epi32(8 * dY));
    }
    return i;
}

#else

static inline int32_t eights(uint8_t *restrict out, const uint8_t *pixels, int64_t pitch,
                             int32_t bpp, int32_t X, int32_t Y, int32_t dX, int32_t dY,
                             int32_t count) {
    (void)out, (void)pixels, (void)pitch, (void)bpp, (void)X, (void)Y, (void)dX, (void)dY;
    (void)count;
    return 0;
}

#endif

static inline int64_t magnitude(int32_t step) { return step < 0 ? -(int64_t)step : step; }

static inline __attribute__((always_inline)) void row_of(uint8_t *restrict out,
                                                         const uint8_t *pixels, int64_t pitch,
                                                         int32_t bpp, int64_t X, int64_t Y,
                                                         int32_t dX, int32_t dY, int32_t count) {
    pixels += (Y >> 16) * pitch + (X >> 16) * bpp;
    X &= 65535, Y &= 65535;
    // Eight at a time where 32 bits hold how far all that is read lies from the first pixel.
    const int64_t right = X + magnitude(dX) * (count + 8), low = Y + magnitude(dY) * (count + 8);
    int32_t i = 0;
    if (right <= INT32_MAX && low <= INT32_MAX &&
        ((low >> 16) + 1) * pitch + (right >> 16) * bpp <= INT32_MAX)
        i = eights(out, pixels, pitch, bpp, (int32_t)X, (int32_t)Y, dX, dY, count);
    for (X += i * (int64_t)dX, Y += i * (int64_t)dY; i < count; i++, X += dX, Y += dY) {
        const uint8_t *p = pixels + (Y >> 16) * pitch + (X >> 16) * bpp;
        one_pixel(out + 4 * (int64_t)i, p, p + pitch, bpp, (int32_t)(X >> 10) & 63,
                  (int32_t)(Y >> 10) & 63);
    }
}

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
