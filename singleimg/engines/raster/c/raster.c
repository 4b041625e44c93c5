/* What Python calls. Compiled once, for every processor of the architecture. */
#include "raster.h"

#include <stddef.h>
#include <string.h>

#include "kernels.h"
#include "processor.h"

#define EXPORT __attribute__((visibility("default")))

EXPORT int32_t raster_version(void);
EXPORT const Kernels *raster_kernels(const char *name);
EXPORT const char *raster_kernel(const Kernels *kernels);
EXPORT int32_t raster_render(const Kernels *kernels, Render *render);
EXPORT int32_t raster_level(const Kernels *kernels, const Level *from, uint8_t *to,
                            int64_t to_bytes, int32_t height, int32_t width, uint8_t *work,
                            int64_t work_bytes);

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

/* The version of docs/raster.md whose pixels these are. */
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

static int is_picture(int32_t height, int32_t width, int64_t bytes) {
    return height >= 1 && width >= 1 && height <= 1 << 24 && width <= 1 << 24 &&
           3 * (int64_t)height * width <= bytes;
}

int32_t raster_render(const Kernels *kernels, Render *render) {
    if (!kernels || !render || !render->levels || render->level_count < 1 || !render->work ||
        render->work_bytes < 0 || !render->out || render->step_count < 0 ||
        (render->step_count && !render->steps) || render->taps_count < 0 ||
        render->out_bytes < 0 || (render->taps_count && !render->taps))
        return RASTER_SIZE;
    for (int32_t k = 0; k < render->level_count; k++) {
        const Level *level = render->levels + k;
        if (!level->pixels || !is_picture(level->height, level->width, level->bytes))
            return RASTER_SIZE;
    }
    return kernels->render(render);
}

int32_t raster_level(const Kernels *kernels, const Level *from, uint8_t *to, int64_t to_bytes,
                     int32_t height, int32_t width, uint8_t *work, int64_t work_bytes) {
    if (!kernels || !from || !from->pixels || !to || !work || work_bytes < 0 ||
        !is_picture(from->height, from->width, from->bytes) || !is_picture(height, width, to_bytes))
        return RASTER_SIZE;
    return kernels->level(from, to, height, width, work, work_bytes);
}
