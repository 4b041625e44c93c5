// A patch of any angle: rotated and shrunk in one pass, or rotated first where little is shrunk.

#include <math.h>

#include "colour.h"
#include "internal.h"
#include "simd.h"

enum { ROUNDING = 512 };
static const double LEAST = 2.0;   // pixels of the level for one of the result, for one pass
static const double SIX = 3.4, EIGHT = 4.4;  // half widths, level pixels, up to which taps suffice

static double larger(double a, double b) { return a > b ? a : b; }
static double absolute(double x) { return x < 0.0 ? -x : x; }
static double ceiled(double x) { return -(double)floor_of(-x); }

// Width and height of the picture once reflected margins are added and it is rotated, as
// PIL.Image.rotate(expand=True) counts them.
static void turned_size(const View *whole, double step, double cos, double sin, double *size) {
    const double margin = ceiled(step) + 2.0;
    const double width = whole->width + 2.0 * margin, height = whole->height + 2.0 * margin;
    size[0] = width, size[1] = height;
    if (sin == 0.0) return;
    const double x = absolute(width * cos) + absolute(height * sin);
    const double y = absolute(width * sin) + absolute(height * cos);
    size[0] = ceiled(width / 2.0 + x / 2.0) - floor_of(width / 2.0 - x / 2.0);
    size[1] = ceiled(height / 2.0 + y / 2.0) - floor_of(height / 2.0 - y / 2.0);
}

// What was changed before is RGBX, and the filter of one pass reads packed RGB.
static int32_t packed_view(Work *work, View *view) {
    const int64_t pitch = 3 * (int64_t)view->width;
    uint8_t *pixels = work_take(work, pitch * view->height);
    if (!pixels) return RASTER_WORKSPACE;
    for (int32_t y = 0; y < view->height; y++)
        NAME(packed)(pixels + y * pitch, view->pixels + y * view->pitch, view->width);
    *view = (View){pixels, pitch, view->height, view->width, 3};
    return RASTER_OK;
}

// The rotated picture's pixels, read one by one where they are needed, and resized.
static int32_t in_two(Work *work, const Reading *reading, const Matrix *matrix, const Axis *rows,
                      const Axis *columns, Image *image) {
    const int32_t low = columns->first[0];
    const int32_t count = columns->first[columns->count - 1] + columns->taps - low;
    int32_t ring = 1;  // rows that are kept, a power of two
    while (ring < rows->taps) ring *= 2;
    const int64_t pitch = 4 * (int64_t)count;
    uint8_t *kept = work_take(work, pitch * ring), *line = work_take(work, pitch + 64);
    const uint8_t **pointers = work_take(work, (int64_t)sizeof(void *) * rows->taps);
    if (!kept || !line || !pointers) return RASTER_WORKSPACE;
    const int32_t dX = (int32_t)fixed_of(matrix->xx), dY = (int32_t)fixed_of(matrix->yx);
    int32_t next = rows->first[0];
    for (int32_t j = 0; j < rows->count; j++) {
        next = at_least(next, rows->first[j]);
        for (; next < rows->first[j] + rows->taps; next++) {
            const double x = matrix->xx * low + matrix->xy * next + matrix->x;
            const double y = matrix->yx * low + matrix->yy * next + matrix->y;
            NAME(bilinear_reflected)(kept + (next & (ring - 1)) * pitch, &reading->view,
                                     fixed_of(x) + ROUNDING, fixed_of(y) + ROUNDING, dX, dY, count);
        }
        for (int32_t t = 0; t < rows->taps; t++)
            pointers[t] = kept + ((rows->first[j] + t) & (ring - 1)) * pitch;
        NAME(vertical)(line, pointers, rows->weights + (int64_t)j * rows->taps, rows->taps, pitch,
                       (Ahead){0});
        NAME(horizontal)(image->pixels + 4 * (int64_t)j * image->width, line - 4 * (int64_t)low,
                         columns, 0, columns->count, 4);
    }
    return RASTER_OK;
}

int32_t NAME(rotated)(Work *work, const Source *source, const Step *step, Image *image) {
    const int32_t side = step->whole[0];
    const double w = step->real[0], h = step->real[1], u = step->real[2], v = step->real[3];
    const double cos = step->real[4], sin = step->real[5];
    const double step_x = w / side, step_y = h / side;
    const double least = step_x < step_y ? step_x : step_y;
    Reading reading = NAME(level_for)(source, least, LEAST, 1);
    const double across = reading.across, down = reading.down;
    *image = (Image){work_take(work, 4 * (int64_t)side * side), side, side};
    if (!image->pixels) return RASTER_WORKSPACE;
    const int64_t mark = work->used;
    // The patch's centre in the rotated picture, from the centre of that.
    double size[2];
    turned_size(&source->view, larger(w, h) / side, cos, sin, size);
    const double p = u * cos + v * sin, q = v * cos - u * sin;
    const double middle_x = source->view.width / 2.0, middle_y = source->view.height / 2.0;

    // Half widths of the filter: that of the reduction, and of the bilinear reading before it.
    const double half_x = sqrt(step_x * step_x + 1.0), half_y = sqrt(step_y * step_y + 1.0);
    const double half = larger(half_x, half_y) * larger(across, down);
    int32_t code;
    if (least >= LEAST && half <= EIGHT) {
        const double x = 0.5 * step_x + p - w / 2.0, y = 0.5 * step_y + q - h / 2.0;
        const Matrix matrix = {
            step_x * cos * across, -(step_y * sin) * across,
            (x * cos - y * sin + middle_x) * across - 0.5,
            step_x * sin * down,   step_y * cos * down,
            (x * sin + y * cos + middle_y) * down - 0.5,
        };
        const double oriented[4] = {cos / half_x / across, sin / half_x / down,
                                    -sin / half_y / across, cos / half_y / down};
        Footprint footprint;
        code = NAME(footprint_make)(work, oriented, half <= SIX ? 6 : 8, &footprint);
        if (!code && reading.view.bpp == 4) code = packed_view(work, &reading.view);
        if (!code) NAME(footprint_image)(&reading.view, &matrix, &footprint, image);
    } else {
        // Pixel (i, j) of the rotated level lies at (i + ½) / across, (j + ½) / across.
        const double x = 0.5 / across - size[0] / 2.0, y = 0.5 / across - size[1] / 2.0;
        const double stretch = down / across;
        const Matrix matrix = {
            cos,           -sin,          (x * cos - y * sin + middle_x) * across - 0.5,
            sin * stretch, cos * stretch, (x * sin + y * cos + middle_y) * down - 0.5,
        };
        const Grid columns = {FILTER_BILINEAR, (size[0] / 2.0 + p - w / 2.0) * across,
                              step_x * across, INT32_MIN, INT32_MAX, side, EDGE_NONE};
        const Grid rows = {FILTER_BILINEAR, (size[1] / 2.0 + q - h / 2.0) * across,
                           step_y * across, INT32_MIN, INT32_MAX, side, EDGE_NONE};
        Axis vertical, horizontal;
        code = NAME(axis_make)(work, &rows, 0, side, 2, &vertical);
        if (!code) code = NAME(axis_make)(work, &columns, 0, side, 4, &horizontal);
        if (!code) code = in_two(work, &reading, &matrix, &vertical, &horizontal, image);
    }
    work->used = mark;
    return code;
}
