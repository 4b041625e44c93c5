/* Prints the kernels that this processor has, the fastest first. */
#include <stdio.h>

typedef struct Kernels Kernels;
int raster_version(void);
const Kernels *raster_kernels(const char *name);
const char *raster_kernel(const Kernels *kernels);

int main(void) {
    static const char *const names[] = {"", "avx512", "avx2", "neon", "plain", "sse", NULL};
    printf("raster-%d", raster_version());
    for (const char *const *name = names; *name; name++) {
        const Kernels *kernels = raster_kernels(*name);
        if (kernels) printf(" %s", raster_kernel(kernels));
    }
    printf("\n");
    return 0;
}
