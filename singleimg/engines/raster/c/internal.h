// What the files of one instruction set share. docs/raster.md says what each number is.
#ifndef SINGLEIMG_INTERNAL_H
#define SINGLEIMG_INTERNAL_H

#include <stdint.h>
#include <string.h>

#include "isa.h"
#include "raster.h"

// --- workspace: memory of the caller's, given out from its beginning on ---

typedef struct {
    uint8_t *base;
    int64_t size, used;
} Work;

// ``bytes`` and 64 more, aligned to 64; NULL when the workspace is too small.
static inline void *work_take(Work *work, int64_t bytes) {
    const int64_t offset = (int64_t)((uintptr_t)work->base & 63);
    const int64_t start = ((work->used + offset + 63) & ~(int64_t)63) - offset;
    if (bytes < 0 || bytes > work->size || start + bytes + 64 > work->size) return NULL;
    work->used = start + bytes + 64;
    return work->base + start;
}

// --- pictures ---

// ``bpp`` 3: packed RGB, of a level; 4: RGBX, of a working image. ``pitch``: bytes from row to row.
typedef struct {
    const uint8_t *pixels;
    int64_t pitch;
    int32_t height, width, bpp;
} View;

// A working image: RGBX without gaps between rows.
typedef struct {
    uint8_t *pixels;
    int32_t height, width;
} Image;

// --- arithmetic ---

static inline int32_t at_least(int32_t a, int32_t b) { return a > b ? a : b; }
static inline int32_t at_most(int32_t a, int32_t b) { return a < b ? a : b; }

// The largest whole number that is not over x; |x| < 2^31.
static inline int32_t floor_of(double x) {
    const int32_t whole = (int32_t)x;
    return whole - (x < whole);
}

// 16.16 fixed point: ⌊65536·x + ½⌋; |x| < 2^40.
static inline int64_t fixed_of(double x) {
    const double scaled = 65536.0 * x + 0.5;
    const int64_t whole = (int64_t)scaled;
    return whole - (scaled < (double)whole);
}

// i reflected into 0 … n - 1, the border not repeated.
static inline int32_t mirrored(int64_t i, int32_t n) {
    if (i >= 0 && i < n) return (int32_t)i;
    const int64_t period = n > 1 ? 2 * ((int64_t)n - 1) : 1;
    i %= period;
    if (i < 0) i += period;
    return (int32_t)(i < n ? i : period - i);
}

// --- one axis of a resampling ---

enum { EDGE_CLAMP, EDGE_REFLECT, EDGE_NONE };  // what positions beyond 0 … positions - 1 are

// How positions lie over the pixels of a source: position i has its centre at
// start + (i + ½)·step. Pixels outside low … high - 1 have no weight.
typedef struct {
    int32_t filter;
    double start, step;
    int32_t low, high;
    int32_t positions, edge;
} Grid;

// ``count`` positions, each a sum of ``taps`` pixels from first[i] on; weights sum to 2^14.
// ``folded``: first may rise and fall, else it only rises.
typedef struct {
    int32_t count, taps, folded;
    int32_t *first;
    int16_t *weights;
} Axis;

// Positions begin … begin + count - 1 of a grid; taps are a multiple of ``multiple``.
int32_t NAME(axis_make)(Work *work, const Grid *grid, int32_t begin, int32_t count,
                        int32_t multiple, Axis *axis);

// --- the two passes ---

// out[i] = Σ weights[t]·rows[t][i] of ``bytes`` bytes; ``ahead``: rows to fetch into the cache.
typedef struct {
    const uint8_t *from;
    int64_t pitch;
    int32_t rows;
} Ahead;

void NAME(vertical)(uint8_t *restrict out, const uint8_t *const *rows, const int16_t *weights,
                    int32_t taps, int64_t bytes, Ahead ahead);

// Positions a … b - 1 of an axis into RGBX at out + 4·a; ``row`` points to column 0, has ``bpp``
// bytes a pixel, and may be read 16 bytes beyond the last tap.
void NAME(horizontal)(uint8_t *restrict out, const uint8_t *row, const Axis *axis, int32_t a,
                      int32_t b, int32_t bpp);

// Both axes whole: ``image`` becomes vertical.count × horizontal.count pixels.
int32_t NAME(resampled)(Work *work, const View *source, const Axis *rows, const Axis *columns,
                        Image *image);

// --- reading between pixels ---

// ``count`` pixels read bilinearly at X + i·dX, Y + i·dY (16.16, from ``pixels`` on, not negative).
void NAME(bilinear)(uint8_t *restrict out, const uint8_t *pixels, int64_t pitch, int32_t bpp,
                    int64_t X, int64_t Y, int32_t dX, int32_t dY, int32_t count);

// The same from a level, reflected beyond its borders.
void NAME(bilinear_reflected)(uint8_t *restrict out, const View *level, int64_t X, int64_t Y,
                              int32_t dX, int32_t dY, int32_t count);

// --- steps: each makes a working image of what it reads ---

typedef struct {
    double xx, xy, x, yx, yy, y;  // column = xx·i + xy·j + x, row = yx·i + yy·j + y
} Matrix;

// What a step reads: ``view``, and the levels of the picture of which it is the part that begins
// at row ``top`` and column ``left``; levels is NULL once pixels have changed.
typedef struct {
    View view;
    const Level *levels;
    int32_t count, top, left;
} Source;

// Pixels of the level and its scale: level pixels for one of the source, along each axis.
typedef struct {
    View view;
    double across, down;
} Reading;

// The smallest level that has at least ``least`` pixels for one of the result, which has one for
// each ``step`` of the source; ``whole``: the step looks beyond ``view``.
Reading NAME(level_for)(const Source *source, double step, double least, int whole);

// Along one axis, how ``positions`` lie over a box (left, top, width, height) of what is read.
Grid NAME(grid_of)(const Source *source, const Reading *reading, const double *box, int32_t filter,
                   int32_t positions, int vertical);

// An oriented filter of ``taps``² pixels, and its weights for places between pixels.
typedef struct {
    int32_t taps;
    int8_t *weights;
} Footprint;

int32_t NAME(footprint_make)(Work *work, const double *across, int32_t taps,
                             Footprint *footprint);
void NAME(footprint_image)(const View *level, const Matrix *matrix, const Footprint *footprint,
                           Image *image);

int32_t NAME(canvas)(Work *work, const Source *source, const Step *step, Image *image);
int32_t NAME(rotated)(Work *work, const Source *source, const Step *step, Image *image);
int32_t NAME(resized)(Work *work, const Source *source, const Step *step, Image *image);
int32_t NAME(blurred)(Work *work, const Image *source, const int16_t *taps, const Step *step,
                      Image *image);

#endif
