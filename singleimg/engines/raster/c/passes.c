// The two passes of a resampling: rows first, then columns, each rounded to bytes.

#include "internal.h"
#include "simd.h"

enum { HALF = 1 << 13 };

static inline void vertical_at(uint8_t *restrict out, const uint8_t *const *rows,
                               const int16_t *weights, int32_t taps, int64_t x) {
    Sums sums = sums_of(HALF);
    for (int32_t t = 0; t < taps; t += 2)
        sums = sums_add(sums, load_bytes(rows[t] + x), load_bytes(rows[t + 1] + x), weights + t);
    store_bytes(out + x, sums_bytes(sums));
}

void NAME(vertical)(uint8_t *restrict out, const uint8_t *const *rows, const int16_t *weights,
                    int32_t taps, int64_t bytes, Ahead ahead) {
    if (bytes < BYTES) {
        for (int64_t x = 0; x < bytes; x++) {
            int32_t sum = HALF;
            for (int32_t t = 0; t < taps; t++) sum += weights[t] * rows[t][x];
            out[x] = clip8(sum >> 14);
        }
        return;
    }
    int64_t x = 0;
    for (; x + BYTES <= bytes; x += BYTES) {
        if (x % 64 == 0)
            for (int32_t k = 0; k < ahead.rows; k++) prefetch(ahead.from + x + k * ahead.pitch);
        vertical_at(out, rows, weights, taps, x);
    }
    if (x < bytes) vertical_at(out, rows, weights, taps, bytes - BYTES);  // some of them again
}

static inline Pixel horizontal_at(const uint8_t *row, const Axis *axis, int32_t i, int32_t bpp,
                                  int32_t taps) {
    const uint8_t *from = row + (int64_t)axis->first[i] * bpp;
    const int16_t *weights = axis->weights + (int64_t)i * taps;
    Pixel sum = pixel_of(HALF);
    for (int32_t t = 0; t < taps; t += 4)
        sum = pixel_add(sum, from + (int64_t)t * bpp, weights + t, bpp);
    return sum;
}

// bpp and taps are constants where it is called, so that the compiler unrolls it.
static inline __attribute__((always_inline)) void horizontal_of(
    uint8_t *restrict out, const uint8_t *row, const Axis *axis, int32_t a, int32_t b, int32_t bpp,
    int32_t taps) {
    for (int32_t i = a; i < b; i += 4) {
        const int32_t last = b - 1, left = b - i;
        uint8_t few[16];
        pixels_store(left < 4 ? few : out + 4 * (int64_t)i,
                     horizontal_at(row, axis, i, bpp, taps),
                     horizontal_at(row, axis, at_most(i + 1, last), bpp, taps),
                     horizontal_at(row, axis, at_most(i + 2, last), bpp, taps),
                     horizontal_at(row, axis, at_most(i + 3, last), bpp, taps));
        if (left < 4) memcpy(out + 4 * (int64_t)i, few, 4 * (size_t)left);
    }
}

void NAME(horizontal)(uint8_t *restrict out, const uint8_t *row, const Axis *axis, int32_t a,
                      int32_t b, int32_t bpp) {
    if (bpp == 3) {
        switch (axis->taps) {
            case 4: horizontal_of(out, row, axis, a, b, 3, 4); break;
            case 8: horizontal_of(out, row, axis, a, b, 3, 8); break;
            case 12: horizontal_of(out, row, axis, a, b, 3, 12); break;
            default: horizontal_of(out, row, axis, a, b, 3, axis->taps);
        }
    } else {
        switch (axis->taps) {
            case 4: horizontal_of(out, row, axis, a, b, 4, 4); break;
            case 8: horizontal_of(out, row, axis, a, b, 4, 8); break;
            default: horizontal_of(out, row, axis, a, b, 4, axis->taps);
        }
    }
}

int32_t NAME(resampled)(Work *work, const View *source, const Axis *rows, const Axis *columns,
                        Image *image) {
    int32_t low = columns->first[0], high = low;
    for (int32_t i = 1; i < columns->count; i++) {
        low = at_most(low, columns->first[i]), high = at_least(high, columns->first[i]);
    }
    high += columns->taps;
    // Taps beyond the source have no weight, and whatever is read there does not count.
    const int32_t begin = at_least(low, 0), end = at_most(high, source->width);
    const int32_t bpp = source->bpp;
    image->height = rows->count, image->width = columns->count;
    image->pixels = work_take(work, 4 * (int64_t)image->height * image->width);
    const int64_t mark = work->used;
    uint8_t *line = work_take(work, ((int64_t)high - low) * bpp + 64);
    const uint8_t **pointers = work_take(work, 8 * (int64_t)rows->taps);
    if (!image->pixels || !line || !pointers) return RASTER_WORKSPACE;
    for (int32_t j = 0; j < rows->count; j++) {
        for (int32_t t = 0; t < rows->taps; t++) {
            const int32_t y = at_least(at_most(rows->first[j] + t, source->height - 1), 0);
            pointers[t] = source->pixels + y * source->pitch + (int64_t)begin * bpp;
        }
        NAME(vertical)(line + ((int64_t)begin - low) * bpp, pointers,
                       rows->weights + (int64_t)j * rows->taps, rows->taps,
                       ((int64_t)end - begin) * bpp, (Ahead){0});
        NAME(horizontal)(image->pixels + 4 * (int64_t)j * image->width,
                         line - (int64_t)low * bpp, columns, 0, columns->count, bpp);
    }
    work->used = mark;
    return RASTER_OK;
}
