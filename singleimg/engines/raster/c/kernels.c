#include "kernels.h"

#include "isa.h"

int32_t NAME(render)(Render *render);
int32_t NAME(level)(const Level *from, uint8_t *to, int32_t height, int32_t width, uint8_t *work,
                    int64_t work_bytes);
extern const Kernels NAME(kernels);

const Kernels NAME(kernels) = {
    .name = ISA_NAME,
    .render = NAME(render),
    .level = NAME(level),
};
