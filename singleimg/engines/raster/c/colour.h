#ifndef C_H
#define C_H
#include "isa.h"
#include <stdint.h>
void NAME(colour)(uint8_t *pixels, int64_t count, const int32_t *ops, int32_t n);
void NAME(packed)(uint8_t *to, const uint8_t *from, int64_t count);
#endif
