// The raster's interface: docs/raster.md says what a pixel is, this how it is asked for.
//
// Functions check all sizes before they write and return a code below. They keep nothing: memory
// is the caller's, and calls at the same time need workspaces of their own.
#ifndef SINGLEIMG_RASTER_H
#define SINGLEIMG_RASTER_H

#include <stdint.h>

enum {
    RASTER_OK = 0,
    RASTER_WORKSPACE = 1,  // the workspace is too small: call again with a larger one
    RASTER_OUT = 2,        // so is ``out``; height and width say what is needed
    RASTER_SIZE = -1,      // a size or a number is out of its range
    RASTER_STEP = -2,      // a step that does not exist, or that cannot be done here
};

enum { FILTER_BILINEAR, FILTER_BICUBIC, FILTER_LANCZOS };
enum { CORNERS_FILL, CORNERS_REFLECT, CORNERS_IMAGE };
enum { RASTER_LONGEST = 16384 };  // side of an image that is made, pixels

// Packed RGB, height × width × 3 bytes. The first of a pyramid is the source itself.
typedef struct {
    const uint8_t *pixels;
    int64_t bytes;
    int32_t height, width;
} Level;

// What is done to an image, one step after the other. Lengths are in pixels of what the step reads.
enum {
    STEP_NOTHING,
    STEP_CANVAS,   // whole: side, canvas, filter, corners. real: left, top, width, height, matrix
    STEP_ROTATED,  // whole: side. real: width, height, u, v, cos, sin
    STEP_RESIZE,   // whole: height, width, filter. real: left, top, width, height
    STEP_CROP,     // whole: top, left, height, width; black beyond
    STEP_FLIP_X,   // left to right
    STEP_FLIP_Y,   // top to bottom
    STEP_BLUR,     // whole: first of its taps across, how many, first of its taps down, how many
    STEP_COLOUR,   // whole: operation of colour.h, its integer
};

typedef struct {
    int32_t operation, whole[7];
    double real[10];
} Step;

// One image to make: ``steps`` applied to the first of ``levels``; ``out``: packed RGB, of which
// height and width are filled in. ``taps``: weights of blurs in 1/2^14, which steps refer to.
typedef struct {
    const Level *levels;
    const Step *steps;
    const int16_t *taps;
    uint8_t *work, *out;
    int64_t work_bytes, out_bytes, taps_count;
    int32_t level_count, step_count, height, width;
} Render;

#endif
