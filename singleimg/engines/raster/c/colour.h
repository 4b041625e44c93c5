// What changes colours and no place: the section "Colour" of docs/raster.md.
#ifndef RASTER_COLOUR_H
#define RASTER_COLOUR_H

#include <stdint.h>

#include "isa.h"

enum { COLOUR_OPERATIONS = 9 };  // 0 … 8, as the page numbers them; 0 does nothing

// Applies ``n`` operations, each a pair (operation, integer), in their order to ``count`` pixels of
// RGBX. The result lies in ``pixels``, or where ``rgb`` is not NULL there, as ``count`` pixels of
// packed RGB; ``pixels`` are then left as an earlier operation made them.
void NAME(colour)(uint8_t *pixels, int64_t count, const int32_t *ops, int32_t n, uint8_t *rgb);

// ``count`` pixels of RGBX as packed RGB.
void NAME(packed)(uint8_t *rgb, const uint8_t *pixels, int64_t count);

#endif
