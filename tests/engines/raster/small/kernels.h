/* The functions of one instruction set, as a table. */
#ifndef RASTER_KERNELS_H
#define RASTER_KERNELS_H

typedef struct {
    const char *name; /* plain, avx2, avx512, neon */
} Kernels;

#endif
