// An oriented filter in one pass: each pixel is a sum of taps², weights in 1/128.

#include "internal.h"
#include "simd.h"

enum { MOST_TAPS = 8, PHASES = 16, STRIP = 64, READS = 10, AHEAD = 4 };

static inline double tent(double u) {
    const double height = 1.0 - (u < 0.0 ? -u : u);
    return height > 0.0 ? height : 0.0;
}

int32_t NAME(footprint_make)(Work *work, const double *across, int32_t taps,
                             Footprint *footprint) {
    const int32_t back = taps / 2 - 1;
    int8_t *weights = work_take(work, (int64_t)PHASES * PHASES * taps * MOST_TAPS);
    if (!weights) return RASTER_WORKSPACE;
    *footprint = (Footprint){taps, weights};
    for (int32_t py = 0; py < PHASES; py++)
        for (int32_t px = 0; px < PHASES; px++) {
            const double fx = (px + 0.5) / PHASES + back, fy = (py + 0.5) / PHASES + back;
            double values[MOST_TAPS][MOST_TAPS], sums[MOST_TAPS] = {0};
            for (int32_t j = 0; j < taps; j++) {
                const double dy = j - fy, down0 = across[1] * dy, down1 = across[3] * dy;
                for (int32_t i = 0; i < MOST_TAPS; i++) {
                    const double dx = i - fx;
                    const double value = tent(across[0] * dx + down0) * tent(across[2] * dx + down1);
                    values[j][i] = i < taps ? value : 0.0;
                    sums[i] += values[j][i];
                }
            }
            double total = 0.0;
            for (int32_t i = 0; i < MOST_TAPS; i++) total += sums[i];
            if (!(total > 0.0)) return RASTER_SIZE;  // the levels are of other pictures
            const double scale = 128.0 / total;
            int32_t left = 128;
            int8_t *row = weights + ((int64_t)py * PHASES + px) * taps * MOST_TAPS;
            for (int32_t j = 0; j < taps; j++)
                for (int32_t i = 0; i < MOST_TAPS; i++) {
                    const int32_t weight = (int32_t)(values[j][i] * scale + 0.5);
                    row[j * MOST_TAPS + i] = (int8_t)weight;
                    left -= weight;
                }
            // What rounding left over goes to the nearest pixel, so that weights sum to 128.
            int8_t *nearest = row + (back + (2 * py >= PHASES)) * MOST_TAPS + back +
                              (2 * px >= PHASES);
            *nearest = (int8_t)(*nearest + left);
        }
    return RASTER_OK;
}

#if ISA_AVX2 || ISA_AVX512

static inline __m256i eight_pixels(const uint8_t *from) {
    const __m256i pairs = _mm256_setr_epi8(0, 3, 1, 4, 2, 5, -1, -1, 6, 9, 7, 10, 8, 11, -1, -1,
                                           0, 3, 1, 4, 2, 5, -1, -1, 6, 9, 7, 10, 8, 11, -1, -1);
    const __m128i low = _mm_loadu_si128((const void *)from);
    const __m128i high = _mm_loadu_si128((const void *)(from + 12));
    return _mm256_shuffle_epi8(_mm256_set_m128i(high, low), pairs);
}

static inline __attribute__((always_inline)) void summed(uint8_t *out, const uint8_t *from,
                                                         int64_t pitch, const int8_t *weights,
                                                         int32_t taps) {
    const __m256i places = _mm256_setr_epi8(0, 1, 0, 1, 0, 1, 0, 1, 2, 3, 2, 3, 2, 3, 2, 3,
                                            4, 5, 4, 5, 4, 5, 4, 5, 6, 7, 6, 7, 6, 7, 6, 7);
    __m256i sum = _mm256_setzero_si256();
    for (int32_t j = 0; j < taps; j++) {
        const __m256i eight = _mm256_set1_epi64x(four_of(weights + j * MOST_TAPS));
        sum = _mm256_add_epi16(sum, _mm256_maddubs_epi16(eight_pixels(from + j * pitch),
                                                         _mm256_shuffle_epi8(eight, places)));
    }
    __m128i half = _mm_add_epi16(_mm256_castsi256_si128(sum), _mm256_extracti128_si256(sum, 1));
    half = _mm_add_epi16(half, _mm_srli_si128(half, 8));
    half = _mm_srli_epi16(_mm_add_epi16(half, _mm_set1_epi16(8)), 7);
    const int32_t pixel = _mm_cvtsi128_si32(_mm_packus_epi16(half, half));
    memcpy(out, &pixel, 4);
}

#elif ISA_NEON

static inline void summed(uint8_t *out, const uint8_t *from, int64_t pitch, const int8_t *weights,
                          int32_t taps) {
    int16x8_t red = vdupq_n_s16(0), green = red, blue = red;
    for (int32_t j = 0; j < taps; j++) {
        const uint8x8x3_t eight = vld3_u8(from + j * pitch);
        const int16x8_t weight = vmovl_s8(vld1_s8(weights + j * MOST_TAPS));
        red = vmlaq_s16(red, vreinterpretq_s16_u16(vmovl_u8(eight.val[0])), weight);
        green = vmlaq_s16(green, vreinterpretq_s16_u16(vmovl_u8(eight.val[1])), weight);
        blue = vmlaq_s16(blue, vreinterpretq_s16_u16(vmovl_u8(eight.val[2])), weight);
    }
    out[0] = (uint8_t)((vaddvq_s16(red) + 8) >> 7);
    out[1] = (uint8_t)((vaddvq_s16(green) + 8) >> 7);
    out[2] = (uint8_t)((vaddvq_s16(blue) + 8) >> 7);
    out[3] = 255;
}

#else

static inline void summed(uint8_t *out, const uint8_t *from, int64_t pitch, const int8_t *weights,
                          int32_t taps) {
    int32_t sums[3] = {8, 8, 8};
    for (int32_t j = 0; j < taps; j++)
        for (int32_t i = 0; i < taps; i++)
            for (int c = 0; c < 3; c++)
                sums[c] += weights[j * MOST_TAPS + i] * from[j * pitch + 3 * i + c];
    for (int c = 0; c < 3; c++) out[c] = (uint8_t)(sums[c] >> 7);
    out[3] = 255;
}

#endif

// The first of the pixels that are read at a place, and the weights for its fraction.
static inline const int8_t *weights_at(const Footprint *footprint, int64_t X, int64_t Y) {
    const int32_t px = (int32_t)(X & 65535) >> 12, py = (int32_t)(Y & 65535) >> 12;
    return footprint->weights + (int64_t)(py * PHASES + px) * footprint->taps * MOST_TAPS;
}

// Whether all that is read around a place along one axis is inside.
static inline int inside(int64_t place, int32_t length, int32_t back, int32_t reads) {
    const int64_t first = (place >> 16) - back;
    return first >= 0 && first + reads <= length;
}

static void strip_inside(uint8_t *restrict out, const View *level, const Footprint *footprint,
                         int64_t X, int64_t Y, int32_t dX, int32_t dY, int32_t count,
                         int64_t ahead) {
    const int32_t taps = footprint->taps, back = taps / 2 - 1;
    const int64_t pitch = level->pitch;
    const uint8_t *origin = level->pixels - back * pitch - 3 * back;
#define STRIP_OF(n)                                                              \
    for (int32_t i = 0; i < count; i++, X += dX, Y += dY) {                      \
        const uint8_t *from = origin + (Y >> 16) * pitch + (X >> 16) * 3;        \
        prefetch(from + ahead);                                                  \
        summed(out + 4 * (int64_t)i, from, pitch, weights_at(footprint, X, Y), n); \
    }
    if (taps == 6) {
        STRIP_OF(6)
    } else {
        STRIP_OF(8)
    }
#undef STRIP_OF
}

// Near the borders: what is read is gathered first, reflected.
static void strip_reflected(uint8_t *restrict out, const View *level, const Footprint *footprint,
                            int64_t X, int64_t Y, int32_t dX, int32_t dY, int32_t count) {
    const int32_t taps = footprint->taps, back = taps / 2 - 1;
    enum { PITCH = 3 * READS + 2 };
    uint8_t gathered[MOST_TAPS * PITCH] = {0};
    for (int32_t i = 0; i < count; i++, X += dX, Y += dY) {
        const uint8_t *from = gathered;
        int64_t pitch = PITCH;
        if (inside(X, level->width, back, READS) && inside(Y, level->height, back, taps)) {
            pitch = level->pitch;
            from = level->pixels + ((Y >> 16) - back) * pitch + ((X >> 16) - back) * 3;
        } else {
            for (int32_t j = 0; j < taps; j++) {
                const uint8_t *row =
                    level->pixels + mirrored((Y >> 16) - back + j, level->height) * level->pitch;
                for (int32_t k = 0; k < taps; k++)
                    memcpy(gathered + j * PITCH + 3 * k,
                           row + 3 * (int64_t)mirrored((X >> 16) - back + k, level->width), 3);
            }
        }
        summed(out + 4 * (int64_t)i, from, pitch, weights_at(footprint, X, Y), taps);
    }
}

void NAME(footprint_image)(const View *level, const Matrix *matrix, const Footprint *footprint,
                           Image *image) {
    const int32_t dX = (int32_t)fixed_of(matrix->xx), dY = (int32_t)fixed_of(matrix->yx);
    const int32_t taps = footprint->taps, back = taps / 2 - 1;
    // Rows that will be read soon lie this many bytes further on.
    const int64_t ahead = (int64_t)floor_of(AHEAD * matrix->yy + taps / 2) * level->pitch +
                          (int64_t)floor_of(AHEAD * matrix->xy) * 3;
    for (int32_t begin = 0; begin < image->width; begin += STRIP)
        for (int32_t j = 0; j < image->height; j++) {
            const int32_t count = at_most(STRIP, image->width - begin);
            const int64_t X = fixed_of(matrix->xy * j + matrix->x) + (int64_t)begin * dX;
            const int64_t Y = fixed_of(matrix->yy * j + matrix->y) + (int64_t)begin * dY;
            const int64_t X1 = X + (int64_t)(count - 1) * dX, Y1 = Y + (int64_t)(count - 1) * dY;
            uint8_t *out = image->pixels + 4 * ((int64_t)j * image->width + begin);
            if (inside(X, level->width, back, READS) && inside(X1, level->width, back, READS) &&
                inside(Y, level->height, back, taps) && inside(Y1, level->height, back, taps)) {
                strip_inside(out, level, footprint, X, Y, dX, dY, count, ahead);
            } else {
                strip_reflected(out, level, footprint, X, Y, dX, dY, count);
            }
        }
}
