// One image: its steps, one after the other.

#include "colour.h"
#include "internal.h"
#include "kernels.h"
#include "simd.h"

enum { MOST_COLOURS = 64 };
static const double SQRT_2 = 1.4142135623730951;
static const double LEAST_OF_RESIZE = 5.6;  // pixels of the level for one of the result
static const double FAR = 1 << 24;  // no coordinate and no length is larger

static View view_of(const Image *image) {
    return (View){image->pixels, 4 * (int64_t)image->width, image->height, image->width, 4};
}

static View view_of_level(const Level *level) {
    return (View){level->pixels, 3 * (int64_t)level->width, level->height, level->width, 3};
}

Reading NAME(level_for)(const Source *source, double step, double least, int whole) {
    const Level *levels = source->levels;
    const View *view = &source->view;
    Reading reading = {*view, 1.0, 1.0};
    const int part = !levels || view->height != levels->height || view->width != levels->width;
    if (!levels || (part && whole)) return reading;
    int32_t k = 0;
    double even = 2.0 * least, odd = SQRT_2 * least;  // what levels k + 2 and k + 1 ask for
    for (double wanted = odd; k + 1 < source->count && step >= wanted; k++) {
        if (k % 2) odd *= 2.0, wanted = odd;
        else wanted = even, even *= 2.0;
    }
    if (k == 0) return reading;
    const View level = view_of_level(levels + k);
    return (Reading){level, (double)level.width / levels->width,
                     (double)level.height / levels->height};
}

Grid NAME(grid_of)(const Source *source, const Reading *reading, const double *box, int32_t filter,
                   int32_t positions, int vertical) {
    const double scale = vertical ? reading->down : reading->across;
    const int levelled = reading->view.pixels != source->view.pixels;
    const double corner = levelled ? vertical ? source->top : source->left : 0;
    const double start = (box[vertical] + corner) * scale;
    const double end = (box[vertical] + corner + box[2 + vertical]) * scale;
    const int32_t length = vertical ? reading->view.height : reading->view.width;
    return (Grid){filter, start, box[2 + vertical] / positions * scale,
                  at_least(floor_of(start), 0),
                  at_most(floor_of(end) + (floor_of(end) < end), length), positions, EDGE_NONE};
}

int32_t NAME(resized)(Work *work, const Source *source, const Step *step, Image *image) {
    const int32_t height = step->whole[0], width = step->whole[1];
    const double step_x = step->real[2] / width, step_y = step->real[3] / height;
    const Reading reading =
        NAME(level_for)(source, step_x < step_y ? step_x : step_y, LEAST_OF_RESIZE, 0);
    const Grid across = NAME(grid_of)(source, &reading, step->real, step->whole[2], width, 0);
    const Grid down = NAME(grid_of)(source, &reading, step->real, step->whole[2], height, 1);
    Axis rows, columns;
    int32_t code = NAME(axis_make)(work, &down, 0, height, 2, &rows);
    if (!code) code = NAME(axis_make)(work, &across, 0, width, 4, &columns);
    return code ? code : NAME(resampled)(work, &reading.view, &rows, &columns, image);
}

int32_t NAME(blurred)(Work *work, const Image *source, const int16_t *taps, const Step *step,
                      Image *image) {
    const int32_t across = step->whole[1], down = step->whole[3];
    const int32_t height = source->height, width = source->width;
    const int64_t pitch = 4 * (int64_t)width;
    Axis columns = {width, (across + 3) / 4 * 4, 0, work_take(work, 4 * (int64_t)width), NULL};
    const int32_t rows = (down + 1) / 2 * 2, margin = across / 2;
    columns.weights = work_take(work, 2 * (int64_t)width * columns.taps);
    int16_t *weights = work_take(work, 2 * (int64_t)rows);
    const uint8_t **pointers = work_take(work, (int64_t)sizeof(void *) * rows);
    uint8_t *line = work_take(work, pitch + 4 * (int64_t)(2 * margin + 4));
    *image = (Image){work_take(work, pitch * height), height, width};
    if (!columns.first || !columns.weights || !weights || !pointers || !line || !image->pixels)
        return RASTER_WORKSPACE;
    memset(weights, 0, 2 * (size_t)rows);
    memcpy(weights, taps + step->whole[2], 2 * (size_t)down);
    for (int32_t i = 0; i < width; i++) {
        int16_t *own = columns.weights + (int64_t)i * columns.taps;
        memset(own, 0, 2 * (size_t)columns.taps);
        memcpy(own, taps + step->whole[0], 2 * (size_t)across);
        columns.first[i] = i;
    }
    for (int32_t j = 0; j < height; j++) {
        for (int32_t t = 0; t < rows; t++)
            pointers[t] = source->pixels + mirrored(j - down / 2 + at_most(t, down - 1), height) * pitch;
        NAME(vertical)(line + 4 * margin, pointers, weights, rows, pitch, (Ahead){0});
        for (int32_t k = 1; k <= margin; k++) {
            uint8_t *left = line + 4 * (margin - k), *right = line + 4 * (margin + width - 1 + k);
            memcpy(left, line + 4 * (margin + mirrored(-k, width)), 4);
            memcpy(right, line + 4 * (margin + mirrored(width - 1 + k, width)), 4);
        }
        NAME(horizontal)(image->pixels + j * pitch, line, &columns, 0, width, 4);
    }
    return RASTER_OK;
}

// The part of a view that a crop leaves; black where it reaches beyond, on pixels of its own.
static int32_t cropped(Work *work, Source *source, const Step *step, Image *image, int *copied) {
    const int32_t top = step->whole[0], left = step->whole[1];
    const int32_t height = step->whole[2], width = step->whole[3];
    View *view = &source->view;
    const int32_t first = at_least(top, 0), last = at_most(top + height, view->height);
    const int32_t begin = at_least(left, 0), end = at_most(left + width, view->width);
    *copied = first != top || last != top + height || begin != left || end != left + width;
    if (!*copied) {
        view->pixels += top * view->pitch + (int64_t)left * view->bpp;
        view->height = height, view->width = width;
        source->top += top, source->left += left;
        return RASTER_OK;
    }
    *image = (Image){work_take(work, 4 * (int64_t)height * width), height, width};
    if (!image->pixels) return RASTER_WORKSPACE;
    memset(image->pixels, 0, 4 * (size_t)height * (size_t)width);
    for (int32_t y = first; y < last; y++)
        for (int32_t x = begin; x < end; x++)
            memcpy(image->pixels + 4 * ((int64_t)(y - top) * width + x - left),
                   view->pixels + y * view->pitch + (int64_t)x * view->bpp, 3);
    return RASTER_OK;
}

static int32_t copied_of(Work *work, const View *view, Image *image) {
    *image = (Image){work_take(work, 4 * (int64_t)view->height * view->width), view->height,
                     view->width};
    if (!image->pixels) return RASTER_WORKSPACE;
    for (int32_t y = 0; y < view->height; y++) {
        const uint8_t *from = view->pixels + y * view->pitch;
        uint8_t *to = image->pixels + 4 * (int64_t)y * view->width;
        for (int32_t x = 0; x < view->width; x++, from += view->bpp, to += 4) {
            to[0] = from[0], to[1] = from[1], to[2] = from[2], to[3] = 255;
        }
    }
    return RASTER_OK;
}

static void flip_x(Image *image) {
    for (int32_t y = 0; y < image->height; y++) {
        uint32_t *row = (uint32_t *)(void *)(image->pixels + 4 * (int64_t)y * image->width);
        for (int32_t i = 0, k = image->width - 1; i < k; i++, k--) {
            const uint32_t pixel = row[i];
            row[i] = row[k], row[k] = pixel;
        }
    }
}

static int32_t flip_y(Work *work, Image *image) {
    const size_t pitch = 4 * (size_t)image->width;
    const int64_t mark = work->used;
    uint8_t *line = work_take(work, (int64_t)pitch);
    if (!line) return RASTER_WORKSPACE;
    for (int32_t i = 0, k = image->height - 1; i < k; i++, k--) {
        uint8_t *above = image->pixels + i * (int64_t)pitch, *below = image->pixels + k * (int64_t)pitch;
        memcpy(line, above, pitch), memcpy(above, below, pitch), memcpy(below, line, pitch);
    }
    work->used = mark;
    return RASTER_OK;
}

static int is_length(int32_t length) { return length >= 1 && length <= RASTER_LONGEST; }

// Whether the numbers of a step are in the ranges that its function takes.
static int is_step(const Step *step, const View *view, int64_t taps) {
    const int32_t *whole = step->whole;
    for (int k = 0; k < 10; k++)
        if (!(step->real[k] >= -FAR && step->real[k] <= FAR)) return 0;
    switch (step->operation) {
        case STEP_CANVAS:
            return is_length(whole[0]) && whole[1] >= whole[0] && whole[1] <= 2 * RASTER_LONGEST &&
                   whole[2] >= 0 && whole[2] <= FILTER_LANCZOS && whole[3] >= 0 &&
                   whole[3] <= CORNERS_IMAGE && step->real[0] >= 0.0 && step->real[1] >= 0.0 &&
                   step->real[2] >= 1.0 && step->real[3] >= 1.0 &&
                   step->real[0] + step->real[2] <= view->width &&
                   step->real[1] + step->real[3] <= view->height;
        case STEP_ROTATED:
            return is_length(whole[0]) && step->real[0] >= 0.01 && step->real[1] >= 0.01 &&
                   step->real[4] >= -1.0 && step->real[4] <= 1.0 && step->real[5] >= -1.0 &&
                   step->real[5] <= 1.0;
        case STEP_RESIZE:
            return is_length(whole[0]) && is_length(whole[1]) && whole[2] >= 0 &&
                   whole[2] <= FILTER_LANCZOS && step->real[0] >= 0.0 && step->real[1] >= 0.0 &&
                   step->real[2] >= 1.0 && step->real[3] >= 1.0 &&
                   step->real[0] + step->real[2] <= view->width &&
                   step->real[1] + step->real[3] <= view->height;
        case STEP_CROP:
            return whole[0] >= -RASTER_LONGEST && whole[0] <= view->height &&
                   whole[1] >= -RASTER_LONGEST && whole[1] <= view->width &&
                   whole[2] >= 1 && whole[2] <= FAR && whole[3] >= 1 && whole[3] <= FAR;
        case STEP_BLUR:
            return whole[1] >= 1 && whole[3] >= 1 && whole[1] % 2 && whole[3] % 2 &&
                   whole[0] >= 0 && whole[2] >= 0 && whole[0] + (int64_t)whole[1] <= taps &&
                   whole[2] + (int64_t)whole[3] <= taps;
        case STEP_COLOUR:
            return whole[0] >= 0 && whole[0] < COLOUR_OPERATIONS && whole[1] >= -FAR &&
                   whole[1] <= FAR;
        default: return 1;
    }
}

int32_t NAME(render)(Render *given) {
    Work work = {given->work, given->work_bytes, 0};
    Source source = {view_of_level(given->levels), given->levels, given->level_count, 0, 0};
    Image image = {NULL, 0, 0};  // once pixels have changed
    int32_t colours[2 * MOST_COLOURS], count = 0;
    for (int32_t k = 0; k < given->step_count; k++) {
        const Step *step = given->steps + k;
        if (step->operation == STEP_NOTHING) continue;
        if (!is_step(step, &source.view, given->taps_count)) return RASTER_SIZE;
        int32_t code = RASTER_OK;
        if (count && (step->operation != STEP_COLOUR || count == MOST_COLOURS)) {
            NAME(colour)(image.pixels, (int64_t)image.height * image.width, colours, count, NULL);
            count = 0;
        }
        if (step->operation >= STEP_FLIP_X && !image.pixels)
            code = copied_of(&work, &source.view, &image);
        if (code) return code;
        int copied = 1;
        switch (step->operation) {
            case STEP_CANVAS: code = NAME(canvas)(&work, &source, step, &image); break;
            case STEP_ROTATED: code = NAME(rotated)(&work, &source, step, &image); break;
            case STEP_RESIZE: code = NAME(resized)(&work, &source, step, &image); break;
            case STEP_CROP: code = cropped(&work, &source, step, &image, &copied); break;
            case STEP_FLIP_X: flip_x(&image); break;
            case STEP_FLIP_Y: code = flip_y(&work, &image); break;
            case STEP_BLUR: {
                const Image before = image;
                code = NAME(blurred)(&work, &before, given->taps, step, &image);
                break;
            }
            case STEP_COLOUR:
                colours[2 * count] = step->whole[0], colours[2 * count + 1] = step->whole[1];
                count++;
                break;
            default: return RASTER_STEP;
        }
        if (code) return code;
        if (copied) {
            source = (Source){view_of(&image), NULL, 0, 0, 0};
        } else if (image.pixels) {
            image.pixels = NULL;  // a part of it: what changes pixels makes a copy
        }
    }
    given->height = source.view.height, given->width = source.view.width;
    if (3 * (int64_t)given->height * given->width > given->out_bytes) return RASTER_OUT;
    if (!image.pixels) {
        const int32_t code = copied_of(&work, &source.view, &image);
        if (code) return code;
    }
    const int64_t pixels = (int64_t)image.height * image.width;
    NAME(colour)(image.pixels, pixels, colours, count, given->out);
    return RASTER_OK;
}

int32_t NAME(level)(const Level *from, uint8_t *to, int32_t height, int32_t width, uint8_t *memory,
                    int64_t bytes) {
    Work work = {memory, bytes, 0};
    const Source source = {view_of_level(from), NULL, 0, 0, 0};
    const Step step = {STEP_RESIZE, {height, width, FILTER_LANCZOS},
                       {0.0, 0.0, from->width, from->height}};
    Image image;
    const int32_t code = NAME(resized)(&work, &source, &step, &image);
    if (!code) NAME(packed)(to, image.pixels, (int64_t)height * width);
    return code;
}
