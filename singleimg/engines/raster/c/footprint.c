// An oriented filter in one pass: each pixel is a sum of taps², weights in 1/128.

#include "internal.h"
#include "simd.h"

enum { MOST_TAPS = 8, PHASES = 16, STRIP = 64, AHEAD = 4 };
// What is read of a row begins BEFORE pixels before its taps, and is READS pixels long.
enum { BEFORE = 2, READS = 12 };

#if ISA_AVX2 || ISA_AVX512

// Two rows of weights are 32 bytes: the first four of each in turn, twice, then the last four, so
// that one load without a shuffle gives those of either row to three channels.
enum { ROW_OF_WEIGHTS = 16 };

static inline void weights_store(int8_t *to, const int32_t (*rows)[MOST_TAPS], int32_t taps) {
    for (int32_t j = 0; j < taps; j += 2) {
        const __m256i one = _mm256_loadu_si256((const void *)rows[j]);
        const __m256i other = _mm256_loadu_si256((const void *)rows[j + 1]);
        const __m256i words = _mm256_packs_epi32(one, other);
        _mm256_storeu_si256((void *)(to + j * ROW_OF_WEIGHTS), _mm256_packs_epi16(words, words));
    }
}

#else

enum { ROW_OF_WEIGHTS = MOST_TAPS };

static inline void weights_store(int8_t *to, const int32_t (*rows)[MOST_TAPS], int32_t taps) {
    for (int32_t j = 0; j < taps; j++)
        for (int32_t i = 0; i < MOST_TAPS; i++) to[j * MOST_TAPS + i] = (int8_t)rows[j][i];
}

#endif

static inline double tent(double u) {
    const double height = 1.0 - (u < 0.0 ? -u : u);
    return height > 0.0 ? height : 0.0;
}

int32_t NAME(footprint_make)(Work *work, const double *across, int32_t taps,
                             Footprint *footprint) {
    const int32_t back = taps / 2 - 1;
    int8_t *weights = work_take(work, (int64_t)PHASES * PHASES * taps * ROW_OF_WEIGHTS);
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
            int32_t rounded[MOST_TAPS][MOST_TAPS], left = 128;
            for (int32_t j = 0; j < taps; j++)
                for (int32_t i = 0; i < MOST_TAPS; i++) {
                    rounded[j][i] = (int32_t)(values[j][i] * scale + 0.5);
                    left -= rounded[j][i];
                }
            // What rounding left over goes to the nearest pixel, so that weights sum to 128.
            rounded[back + (2 * py >= PHASES)][back + (2 * px >= PHASES)] += left;
            weights_store(weights + ((int64_t)py * PHASES + px) * taps * ROW_OF_WEIGHTS, rounded,
                          taps);
        }
    return RASTER_OK;
}

#if ISA_AVX2 || ISA_AVX512

// The lower lane has the first four columns, the upper one the others; in each two words for red,
// two for green and two for blue.
typedef __m256i PixelSums;

static inline __attribute__((always_inline)) PixelSums sums_at(const uint8_t *from, int64_t pitch,
                                                               const int8_t *weights,
                                                               int32_t taps) {
    // The load begins 4 bytes before the taps: so each lane holds four pixels.
    const __m256i channels =
        _mm256_setr_epi8(4, 7, 10, 13, 5, 8, 11, 14, 6, 9, 12, 15, -1, -1, -1, -1,
                         0, 3, 6, 9, 1, 4, 7, 10, 2, 5, 8, 11, -1, -1, -1, -1);
    __m256i sum = _mm256_setzero_si256();
    for (int32_t j = 0; j < taps; j++) {
        const __m256i pixels = _mm256_loadu_si256((const void *)(from + j * pitch - 4));
        // Each load with its own address, for a load with moveldup is no more than a load.
        const __m256 row = _mm256_moveldup_ps(
            _mm256_loadu_ps((const void *)(weights + (j / 2) * 32 + (j % 2) * 4)));
        sum = _mm256_add_epi16(sum, _mm256_maddubs_epi16(_mm256_shuffle_epi8(pixels, channels),
                                                         _mm256_castps_si256(row)));
    }
    // Pixel by pixel: compilers that mix four of them run out of registers.
    __asm__ volatile("" : "+x"(sum));
    return sum;
}

// Both lanes of two pixels' sums, together: a in the lower lane, b in the upper.
static inline __m256i together(__m256i a, __m256i b) {
    const __m256i ones = _mm256_set1_epi16(1);
    a = _mm256_madd_epi16(a, ones), b = _mm256_madd_epi16(b, ones);
    return _mm256_add_epi32(_mm256_permute2x128_si256(a, b, 0x20),
                            _mm256_permute2x128_si256(a, b, 0x31));
}

static inline void stored(uint8_t *out, PixelSums sums) {
    const __m128i words = _mm256_castsi256_si128(_mm256_packs_epi32(together(sums, sums), sums));
    const __m128i levels = _mm_srli_epi16(_mm_add_epi16(words, _mm_set1_epi16(8)), 7);
    const int32_t pixel = _mm_cvtsi128_si32(_mm_packus_epi16(levels, levels));
    memcpy(out, &pixel, 4);
}

static inline void four_stored(uint8_t *out, const PixelSums *sums) {
    const __m256i words =  // of pixels 0, 2, 1, 3
        _mm256_packs_epi32(together(sums[0], sums[1]), together(sums[2], sums[3]));
    const __m256i levels = _mm256_srli_epi16(_mm256_add_epi16(words, _mm256_set1_epi16(8)), 7);
    const __m128i bytes = _mm_packus_epi16(_mm256_castsi256_si128(levels),
                                           _mm256_extracti128_si256(levels, 1));
    _mm_storeu_si128((void *)out, _mm_shuffle_epi32(bytes, 0xd8));
}

#elif ISA_NEON

typedef int16x8x3_t PixelSums;

static inline PixelSums sums_at(const uint8_t *from, int64_t pitch, const int8_t *weights,
                                int32_t taps) {
    int16x8_t red = vdupq_n_s16(0), green = red, blue = red;
    for (int32_t j = 0; j < taps; j++) {
        const uint8x8x3_t eight = vld3_u8(from + j * pitch);
        const int16x8_t weight = vmovl_s8(vld1_s8(weights + j * MOST_TAPS));
        red = vmlaq_s16(red, vreinterpretq_s16_u16(vmovl_u8(eight.val[0])), weight);
        green = vmlaq_s16(green, vreinterpretq_s16_u16(vmovl_u8(eight.val[1])), weight);
        blue = vmlaq_s16(blue, vreinterpretq_s16_u16(vmovl_u8(eight.val[2])), weight);
    }
    return (PixelSums){{red, green, blue}};
}

static inline void stored(uint8_t *out, PixelSums sums) {
    for (int c = 0; c < 3; c++) out[c] = (uint8_t)((vaddvq_s16(sums.val[c]) + 8) >> 7);
    out[3] = 255;
}

static inline void four_stored(uint8_t *out, const PixelSums *sums) {
    for (int k = 0; k < 4; k++) stored(out + 4 * k, sums[k]);
}

#else

typedef struct {
    int32_t channels[3];
} PixelSums;

static inline PixelSums sums_at(const uint8_t *from, int64_t pitch, const int8_t *weights,
                                int32_t taps) {
    PixelSums sums = {{0, 0, 0}};
    for (int32_t j = 0; j < taps; j++)
        for (int32_t i = 0; i < taps; i++)
            for (int c = 0; c < 3; c++)
                sums.channels[c] += weights[j * MOST_TAPS + i] * from[j * pitch + 3 * i + c];
    return sums;
}

static inline void stored(uint8_t *out, PixelSums sums) {
    for (int c = 0; c < 3; c++) out[c] = (uint8_t)((sums.channels[c] + 8) >> 7);
    out[3] = 255;
}

static inline void four_stored(uint8_t *out, const PixelSums *sums) {
    for (int k = 0; k < 4; k++) stored(out + 4 * k, sums[k]);
}

#endif

// Where the weights for the fractions of a place are.
static inline int64_t weights_at(int64_t X, int64_t Y, int32_t taps) {
    const int32_t phase = (int32_t)((Y >> 8 & 0xf0) | (X >> 12 & 0xf));
    return (int64_t)phase * (taps * ROW_OF_WEIGHTS);
}

// Whether all that is read around a place along one axis is inside.
static inline int inside(int64_t place, int32_t length, int32_t back, int32_t reads) {
    const int64_t first = (place >> 16) - back;
    return first >= 0 && first + reads <= length;
}

// ``count`` is a multiple of four.
static void strip_inside(uint8_t *restrict out, const View *level, const Footprint *footprint,
                         int64_t X, int64_t Y, int32_t dX, int32_t dY, int32_t count,
                         int64_t ahead) {
    const int32_t taps = footprint->taps, back = taps / 2 - 1;
    const int64_t pitch = level->pitch;
    const uint8_t *origin = level->pixels - back * pitch - 3 * back;
    const int8_t *weights = footprint->weights;
    int32_t i = 0;
// Fetched ahead: both ends of what a pixel reads of a row, for they often lie in two lines.
#define STRIP_OF(n)                                                           \
    for (; i < count; i += 4) {                                               \
        PixelSums sums[4];                                                    \
        for (int k = 0; k < 4; k++, X += dX, Y += dY) {                       \
            const uint8_t *from = origin + (Y >> 16) * pitch + (X >> 16) * 3; \
            prefetch(from + ahead);                                           \
            prefetch(from + ahead + 3 * n);                                   \
            sums[k] = sums_at(from, pitch, weights + weights_at(X, Y, n), n); \
        }                                                                     \
        four_stored(out + 4 * (int64_t)i, sums);                              \
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
    enum { PITCH = 3 * READS };
    uint8_t gathered[MOST_TAPS * PITCH] = {0};
    for (int32_t i = 0; i < count; i++, X += dX, Y += dY) {
        const uint8_t *from = gathered + 3 * BEFORE;
        int64_t pitch = PITCH;
        if (inside(X, level->width, back + BEFORE, READS) && inside(Y, level->height, back, taps)) {
            pitch = level->pitch;
            from = level->pixels + ((Y >> 16) - back) * pitch + ((X >> 16) - back) * 3;
        } else {
            for (int32_t j = 0; j < taps; j++) {
                const uint8_t *row =
                    level->pixels + mirrored((Y >> 16) - back + j, level->height) * level->pitch;
                for (int32_t k = 0; k < taps; k++)
                    memcpy(gathered + j * PITCH + 3 * (BEFORE + k),
                           row + 3 * (int64_t)mirrored((X >> 16) - back + k, level->width), 3);
            }
        }
        stored(out + 4 * (int64_t)i,
               sums_at(from, pitch, footprint->weights + weights_at(X, Y, taps), taps));
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
            if (inside(X, level->width, back + BEFORE, READS) &&
                inside(X1, level->width, back + BEFORE, READS) &&
                inside(Y, level->height, back, taps) && inside(Y1, level->height, back, taps)) {
                const int32_t fours = count & ~3;
                strip_inside(out, level, footprint, X, Y, dX, dY, fours, ahead);
                strip_reflected(out + 4 * fours, level, footprint, X + (int64_t)fours * dX,
                                Y + (int64_t)fours * dY, dX, dY, count - fours);
            } else {
                strip_reflected(out, level, footprint, X, Y, dX, dY, count);
            }
        }
}
