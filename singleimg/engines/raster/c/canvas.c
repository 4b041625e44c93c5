// Crop, resize, rotate, shear and centre crop in one: only what the result sees of the canvas.

#include "internal.h"
#include "simd.h"

enum { ROUNDING = 512, HALF_PIXEL = 1 << 15, AHEAD = 3, MOST_AHEAD = 6 };
// Pixels of the level for one of the canvas; of a small canvas more of them show.
static const double LEAST = 1.4, LEAST_OF_SMALL = 2.0;
enum { SMALL = 128 };
static const double SLACK = 0.25;  // canvas pixels; more than what fixed point is off

// Where the result is read, in the canvas: 16.16, ROUNDING included.
typedef struct {
    Matrix matrix;
    int32_t dX, dY, side;
} Places;

static int64_t row_X(const Places *places, int32_t j) {
    return fixed_of(places->matrix.xy * j + places->matrix.x) + ROUNDING;
}

static int64_t row_Y(const Places *places, int32_t j) {
    return fixed_of(places->matrix.yy * j + places->matrix.y) + ROUNDING;
}

// The pixels low … high - 1 along one axis that rows with these two ends read.
static void reach(int64_t first, int64_t last, int64_t along, int64_t *low, int64_t *high) {
    const int64_t from = first < last ? first : last, to = first < last ? last : first;
    *low = (from + (along < 0 ? along : 0)) >> 16;
    *high = ((to + (along > 0 ? along : 0)) >> 16) + 2;
}

// Which columns of row ``j`` of the canvas the result reads: those of a parallelogram.
static void span(const double (*corners)[2], int32_t j, double *low, double *high) {
    const double above = j - 1.0 - SLACK, below = j + 1.0 + SLACK;
    *low = 1e18, *high = -1e18;
    for (int k = 0; k < 4; k++) {
        const double *p = corners[k], *q = corners[(k + 1) & 3];
        if (p[1] > q[1]) {
            const double *swapped = p;
            p = q, q = swapped;
        }
        if (q[1] < above || p[1] > below) continue;
        const double slope = q[1] > p[1] ? (q[0] - p[0]) / (q[1] - p[1]) : 0.0;
        const double from = p[1] < above ? p[0] + slope * (above - p[1]) : p[0];
        const double to = q[1] > below ? p[0] + slope * (below - p[1]) : q[0];
        *low = from < *low ? from : *low, *low = to < *low ? to : *low;
        *high = from > *high ? from : *high, *high = to > *high ? to : *high;
    }
}

// The part of i = 0 … count - 1 for which 0 ≤ start + i·step < limit.
static void clip(int64_t start, int64_t step, int64_t limit, int32_t *from, int32_t *to) {
    if (step == 0) {
        if (start < 0 || start >= limit) *to = *from;
        return;
    }
    // Mirrored, a falling row rises: start + i·step ≥ 0 becomes limit - 1 - start + i·(-step) < …
    if (step < 0) start = limit - 1 - start, step = -step;
    const int64_t low = start >= 0 ? 0 : (-start + step - 1) / step;
    const int64_t high = start >= limit ? 0 : (limit - start + step - 1) / step;
    if (low > *from) *from = (int32_t)(low < *to ? low : *to);
    if (high < *to) *to = (int32_t)(high > *from ? high : *from);
}

// One line of the canvas, columns a … b - 1 of ``columns``, from the rows that it needs.
typedef struct {
    const View *view;
    const Axis *rows, *columns;
    int mirror;             // beyond the view it is reflected; else there is no weight
    uint8_t *line;          // of the source's columns ``low`` on
    int32_t low;
    const uint8_t **pointers;
} Lines;

static void line_of(const Lines *lines, int32_t j, int32_t a, int32_t b, uint8_t *out) {
    const View *view = lines->view;
    const Axis *rows = lines->rows, *columns = lines->columns;
    const int32_t bpp = view->bpp, width = view->width;
    int32_t from = columns->first[a], to = columns->first[b - 1];
    if (from > to) from = to, to = columns->first[a];
    if (lines->columns->folded)
        for (int32_t i = a; i < b; i++)
            from = at_most(from, columns->first[i]), to = at_least(to, columns->first[i]);
    to += columns->taps;
    int32_t begin = at_least(from, 0), end = at_most(to, width);
    if (lines->mirror) {  // the pixels that those beyond are copies of
        if (begin > end) begin = at_most(at_most(begin, width - 1), at_least(end, 0)), end = begin;
        for (int32_t x = from; x < 0 && x < to; x++) {
            const int32_t copied = mirrored(x, width);
            begin = at_most(begin, copied), end = at_least(end, copied + 1);
        }
        for (int32_t x = at_least(width, from); x < to; x++) {
            const int32_t copied = mirrored(x, width);
            begin = at_most(begin, copied), end = at_least(end, copied + 1);
        }
    }
    if (end <= begin) begin = at_most(begin, width - 1), end = begin + 1;
    for (int32_t t = 0; t < rows->taps; t++) {
        const int32_t y = rows->first[j] + t;
        const int32_t row = lines->mirror ? mirrored(y, view->height)
                                          : at_least(at_most(y, view->height - 1), 0);
        lines->pointers[t] = view->pixels + row * view->pitch + (int64_t)begin * bpp;
    }
    Ahead ahead = {0};
    if (j + AHEAD < rows->count) {
        const int32_t next = rows->first[j + AHEAD - 1] + rows->taps;
        const int32_t last = rows->first[j + AHEAD] + rows->taps;
        if (next >= 0 && last <= view->height && last > next)
            ahead = (Ahead){view->pixels + next * view->pitch + (int64_t)begin * bpp, view->pitch,
                            at_most(last - next, MOST_AHEAD)};
    }
    uint8_t *line = lines->line - (int64_t)lines->low * bpp;
    NAME(vertical)(line + (int64_t)begin * bpp, lines->pointers,
                   rows->weights + (int64_t)j * rows->taps, rows->taps,
                   ((int64_t)end - begin) * bpp, ahead);
    if (lines->mirror) {
        for (int32_t x = from; x < 0 && x < to; x++)
            memcpy(line + (int64_t)x * bpp, line + (int64_t)mirrored(x, width) * bpp, (size_t)bpp);
        for (int32_t x = at_least(width, from); x < to; x++)
            memcpy(line + (int64_t)x * bpp, line + (int64_t)mirrored(x, width) * bpp, (size_t)bpp);
    }
    NAME(horizontal)(out, line, columns, a, b, bpp);
}

int32_t NAME(canvas)(Work *work, const Source *source, const Step *step, Image *image) {
    const int32_t side = step->whole[0], canvas = step->whole[1], corners = step->whole[3];
    const double *real = step->real;
    const Matrix matrix = {real[4], real[5], real[6], real[7], real[8], real[9]};
    const double step_x = real[2] / canvas, step_y = real[3] / canvas;
    const int beyond = corners == CORNERS_IMAGE;
    const double least = canvas <= SMALL ? LEAST_OF_SMALL : LEAST;
    const Reading reading = NAME(level_for)(source, step_x < step_y ? step_x : step_y, least, beyond);
    const View *view = &reading.view;
    *image = (Image){work_take(work, 4 * (int64_t)side * side), side, side};
    if (!image->pixels) return RASTER_WORKSPACE;
    const int64_t mark = work->used;

    const Places places = {matrix, (int32_t)fixed_of(matrix.xx), (int32_t)fixed_of(matrix.yx), side};
    const int still = matrix.xx == 1.0 && matrix.xy == 0.0 && matrix.yx == 0.0 && matrix.yy == 1.0 &&
                      matrix.x == floor_of(matrix.x) && matrix.y == floor_of(matrix.y);
    int64_t left, right, top, bottom;
    reach(row_X(&places, 0), row_X(&places, side - 1), (int64_t)(side - 1) * places.dX, &left, &right);
    reach(row_Y(&places, 0), row_Y(&places, side - 1), (int64_t)(side - 1) * places.dY, &top, &bottom);
    if (still) right--, bottom--;  // nothing is read between pixels
    if (corners == CORNERS_FILL) {  // one more pixel on each side, which repeats the last
        left = left < -1 ? -1 : left, right = right > canvas + 1 ? canvas + 1 : right;
        top = top < -1 ? -1 : top, bottom = bottom > canvas + 1 ? canvas + 1 : bottom;
        if (left >= right || top >= bottom) {
            memset(image->pixels, 0, 4 * (size_t)side * (size_t)side);
            return RASTER_OK;
        }
    }
    if (right - left > 1 << 20 || bottom - top > 1 << 20) return RASTER_SIZE;
    const int32_t nc = (int32_t)(right - left), nr = (int32_t)(bottom - top);
    if (still && (nc != side || nr != side)) return RASTER_SIZE;

    const int32_t edge = beyond ? EDGE_NONE : corners == CORNERS_FILL ? EDGE_CLAMP : EDGE_REFLECT;
    Axis rows, columns;
    for (int vertical = 0; vertical < 2; vertical++) {
        Grid grid = NAME(grid_of)(source, &reading, real, step->whole[2], canvas, vertical);
        grid.edge = edge;
        if (beyond) grid.low = INT32_MIN, grid.high = INT32_MAX;
        const int32_t code = NAME(axis_make)(work, &grid, (int32_t)(vertical ? top : left),
                                             vertical ? nr : nc, vertical ? 2 : 4,
                                             vertical ? &rows : &columns);
        if (code) return code;
    }
    int32_t low = columns.first[0], high = low;
    for (int32_t i = 1; i < nc; i++)
        low = at_most(low, columns.first[i]), high = at_least(high, columns.first[i]);
    // Pixels that those beyond the view are copies of may lie outside of what is read.
    if (beyond) low = at_most(low, 0), high = at_least(high, view->width);
    low = at_most(low, view->width - 1), high = at_least(high, 0) + columns.taps;
    Lines lines = {view, &rows, &columns, beyond, NULL, low, NULL};
    lines.line = work_take(work, ((int64_t)high - low + 1) * view->bpp);
    lines.pointers = work_take(work, (int64_t)sizeof(void *) * rows.taps);
    const int64_t pitch = 4 * (int64_t)nc;
    uint8_t *pixels = still ? image->pixels : work_take(work, pitch * nr);
    if (!lines.line || !lines.pointers || !pixels) return RASTER_WORKSPACE;

    const double last = side - 1;
    const double ends[4][2] = {{0, 0}, {last, 0}, {last, last}, {0, last}};
    double places_of[4][2];
    for (int k = 0; k < 4; k++) {
        places_of[k][0] = matrix.xx * ends[k][0] + matrix.xy * ends[k][1] + matrix.x - (double)left;
        places_of[k][1] = matrix.yx * ends[k][0] + matrix.yy * ends[k][1] + matrix.y - (double)top;
    }
    for (int32_t j = 0; j < nr; j++) {
        int32_t a = 0, b = nc;
        if (!still) {
            double from, to;
            span(places_of, j, &from, &to);
            if (from > to) continue;
            a = at_least(from < 0.0 ? 0 : floor_of(from - SLACK), 0);
            b = at_most(to > nc ? nc : floor_of(to + SLACK) + 2, nc);
            if (a >= b) continue;
        }
        line_of(&lines, j, a, b, pixels + j * pitch);
    }
    for (int32_t j = 0; j < side && !still; j++) {
        uint8_t *out = image->pixels + 4 * (int64_t)j * side;
        const int64_t X = row_X(&places, j), Y = row_Y(&places, j);
        int32_t a = 0, b = side;
        if (corners == CORNERS_FILL) {
            const int64_t limit = (int64_t)canvas << 16, shift = HALF_PIXEL - ROUNDING;
            clip(X + shift, places.dX, limit, &a, &b);
            clip(Y + shift, places.dY, limit, &a, &b);
            memset(out, 0, 4 * (size_t)a);
            memset(out + 4 * (int64_t)b, 0, 4 * (size_t)(side - b));
        }
        NAME(bilinear)(out + 4 * (int64_t)a, pixels, pitch, 4,
                       X + (int64_t)a * places.dX - left * 65536,
                       Y + (int64_t)a * places.dY - top * 65536, places.dX, places.dY, b - a);
    }
    work->used = mark;
    return RASTER_OK;
}
