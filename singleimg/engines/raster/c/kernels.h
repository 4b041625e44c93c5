/* The functions of one instruction set, as a table. */
#ifndef RASTER_KERNELS_H
#define RASTER_KERNELS_H

#include "raster.h"

typedef struct {
    const char *name; /* plain, avx2, avx512, neon */
    int32_t (*render)(Render *render);
    int32_t (*level)(const Level *from, uint8_t *to, int32_t height, int32_t width,
                     uint8_t *work, int64_t work_bytes);
} Kernels;

#endif
