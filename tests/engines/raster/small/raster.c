/* As much of the raster as choosing a kernel needs, which compiles in no time. */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "kernels.h"
#include "processor.h"

#define EXPORT __attribute__((visibility("default")))

EXPORT int32_t raster_version(void);
EXPORT const Kernels *raster_kernels(const char *name);
EXPORT const char *raster_kernel(const Kernels *kernels);

#if defined(__x86_64__)
extern const Kernels kernels_avx512, kernels_avx2;
#elif defined(__aarch64__)
extern const Kernels kernels_neon;
#endif
extern const Kernels kernels_plain;

/* The fastest first. */
static const struct {
    const Kernels *kernels;
    bool (*usable)(void);
} TABLES[] = {
#if defined(__x86_64__)
    {&kernels_avx512, has_avx512},
    {&kernels_avx2, has_avx2},
#elif defined(__aarch64__)
    {&kernels_neon, always},
#endif
    {&kernels_plain, always},
};

int32_t raster_version(void) { return 1; }

/* The table of that name, or the fastest where the name is empty; NULL: not on this processor. */
const Kernels *raster_kernels(const char *name) {
    for (size_t i = 0; i < sizeof TABLES / sizeof *TABLES; i++) {
        const Kernels *kernels = TABLES[i].kernels;
        if ((!*name || !strcmp(name, kernels->name)) && TABLES[i].usable()) return kernels;
    }
    return NULL;
}

const char *raster_kernel(const Kernels *kernels) { return kernels->name; }
