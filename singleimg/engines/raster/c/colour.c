#include "colour.h"
void NAME(colour)(uint8_t *pixels, int64_t count, const int32_t *ops, int32_t n){(void)pixels;(void)count;(void)ops;(void)n;}
void NAME(packed)(uint8_t *to, const uint8_t *from, int64_t count){ for(int64_t i=0;i<count;i++){to[3*i]=from[4*i];to[3*i+1]=from[4*i+1];to[3*i+2]=from[4*i+2];} }
