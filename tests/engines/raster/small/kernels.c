#include "kernels.h"

#include "isa.h"

extern const Kernels NAME(kernels);

const Kernels NAME(kernels) = {
    .name = ISA_NAME,
};
