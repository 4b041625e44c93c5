// Random operations on random images of 1 … 2,100 pixels, each in memory of just its size; prints a
// hash of all results, which is the same for every instruction set.
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "colour.h"

static uint64_t state = 1;

static uint32_t next(uint32_t below) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(state >> 33) % below;
}

static int32_t number_of(int32_t operation) {
    if (operation <= 3) {
        int32_t factor = (int32_t)next(65536) - 32768;
        return factor * (1 << next(10));
    }
    if (operation == 4) return (int32_t)next(256);
    if (operation == 7) return (int32_t)next(257);
    return (int32_t)(256 - (1u << next(9)));
}

int main(void) {
    uint64_t hash = 14695981039346656037u;
    for (int trial = 0; trial < 4000; trial++) {
        int64_t count = 1 + next(trial % 2 ? 40 : 2100);
        uint8_t *pixels = malloc(4 * (size_t)count), *rgb = malloc(3 * (size_t)count);
        for (int64_t i = 0; i < 4 * count; i++) pixels[i] = (uint8_t)next(256);
        int32_t n = (int32_t)next(7), *operations = malloc(8 * (size_t)n + 1);
        for (int32_t k = 0; k < n; k++) {
            operations[2 * k] = (int32_t)next(9);
            operations[2 * k + 1] = number_of(operations[2 * k]);
        }
        if (trial % 3) {
            NAME(colour)(pixels, count, operations, n, rgb);
        } else {
            NAME(colour)(pixels, count, operations, n, NULL);
            NAME(packed)(rgb, pixels, count);
        }
        for (int64_t i = 0; i < 3 * count; i++) hash = (hash ^ rgb[i]) * 1099511628211u;
        free(pixels);
        free(rgb);
        free(operations);
    }
    printf("%016llx\n", (unsigned long long)hash);
    return 0;
}
