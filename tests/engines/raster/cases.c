// Renders recorded cases: cases FILE [KERNEL | turns]
//
// For each case a line is printed: height, width and a hash of its pixels, or the code of an error.
// Without a KERNEL each that this processor has renders it; where their lines differ, the second is
// printed too and the exit status is 1. In turns one of them renders each case. The file is little-endian, as cases.py writes it:
//   int32 pictures, of each: int32 levels, of each: int32 height, int32 width, int64 bytes, pixels
//   int32 cases, of each: int32 picture, int32 steps, int64 taps, then Steps, then int16 taps
// All memory is of just the size that is told to the raster, so that sanitizers see what is beyond.
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "raster.h"

typedef struct Kernels Kernels;
const Kernels *raster_kernels(const char *name);
int32_t raster_render(const Kernels *kernels, Render *render);

enum { FIRST_WORK = 1 << 10, LARGEST_WORK = 1 << 29, LINE = 80 };

typedef struct {
    int32_t count;
    Level *levels;
} Picture;

static void fail(const char *what) {
    fprintf(stderr, "%s\n", what);
    exit(2);
}

static void *memory(int64_t bytes) {
    void *made = malloc((size_t)bytes);
    if (bytes && !made) fail("no memory");
    return made;
}

static void read_into(void *to, int64_t bytes, FILE *file) {
    if (bytes && fread(to, 1, (size_t)bytes, file) != (size_t)bytes) fail("the file is too short");
}

static int32_t read_int32(FILE *file) {
    int32_t value;
    read_into(&value, sizeof value, file);
    return value;
}

static int64_t read_int64(FILE *file) {
    int64_t value;
    read_into(&value, sizeof value, file);
    return value;
}

static Picture *read_pictures(int32_t count, FILE *file) {
    Picture *pictures = memory(count * (int64_t)sizeof *pictures);
    for (int32_t k = 0; k < count; k++) {
        Picture *picture = pictures + k;
        picture->count = read_int32(file);
        picture->levels = memory(picture->count * (int64_t)sizeof *picture->levels);
        for (int32_t i = 0; i < picture->count; i++) {
            Level *level = picture->levels + i;
            level->height = read_int32(file);
            level->width = read_int32(file);
            level->bytes = read_int64(file);
            uint8_t *pixels = memory(level->bytes);
            read_into(pixels, level->bytes, file);
            level->pixels = pixels;
        }
    }
    return pictures;
}

// Of all bytes, the first weighing most; cases.py does the same.
static uint64_t hash_of(const uint8_t *bytes, int64_t count) {
    uint64_t hash = 0;
    for (int64_t i = 0; i < count; i++) hash = (hash + bytes[i] + 1) * 1099511628211u;
    return hash;
}

// As Python calls it: again with more memory, until there is enough.
static void render(const Kernels *kernels, Render *call, char *line) {
    for (;;) {
        call->work = memory(call->work_bytes);
        memset(call->work, 0xa5, (size_t)call->work_bytes);
        call->out = memory(call->out_bytes);
        int32_t code = raster_render(kernels, call);
        int64_t bytes = 3 * (int64_t)call->height * call->width;
        if (code == RASTER_OK) {
            if (bytes > call->out_bytes) fail("it made more than there is room for");
            uint64_t hash = hash_of(call->out, bytes);
            snprintf(line, LINE, "%d %d %016" PRIx64, call->height, call->width, hash);
        }
        free(call->work);
        free(call->out);
        if (code == RASTER_OUT) {
            if (bytes <= call->out_bytes) fail("it asks for no more than it has");
            call->out_bytes = bytes;
        } else if (code == RASTER_WORKSPACE && call->work_bytes < LARGEST_WORK) {
            call->work_bytes *= 2;
        } else {
            if (code != RASTER_OK) snprintf(line, LINE, "code %d", code);
            return;
        }
    }
}

int main(int count, char **arguments) {
    static const char *const NAMES[] = {"plain", "avx2", "avx512", "neon"};
    if (count < 2 || count > 3) fail("cases FILE [KERNEL | turns]");
    const int turns = count == 3 && !strcmp(arguments[2], "turns");
    FILE *file = fopen(arguments[1], "rb");
    if (!file) fail("the file cannot be opened");
    const Kernels *kernels[4];
    int used = 0, status = 0;
    for (int k = 0; k < 4; k++) {
        if (count == 3 && !turns && strcmp(arguments[2], NAMES[k])) continue;
        kernels[used] = raster_kernels(NAMES[k]);
        if (kernels[used]) used++;
    }
    if (!used) fail("this processor has no such kernel");
    int32_t picture_count = read_int32(file);
    Picture *pictures = read_pictures(picture_count, file);
    for (int32_t left = read_int32(file); left > 0; left--) {
        const Picture *picture = pictures + read_int32(file);
        Render call = {.levels = picture->levels, .level_count = picture->count};
        call.step_count = read_int32(file);
        call.taps_count = read_int64(file);
        Step *steps = memory(call.step_count * (int64_t)sizeof *steps);
        int16_t *taps = memory(call.taps_count * (int64_t)sizeof *taps);
        read_into(steps, call.step_count * (int64_t)sizeof *steps, file);
        read_into(taps, call.taps_count * (int64_t)sizeof *taps, file);
        call.work_bytes = FIRST_WORK;
        call.out_bytes = 1;
        call.steps = steps;
        call.taps = taps;
        char first[LINE], line[LINE];
        const int begin = turns ? left % used : 0, end = turns ? begin + 1 : used;
        for (int k = begin; k < end; k++) {
            render(kernels[k], &call, line);
            if (k == begin || strcmp(first, line)) {
                puts(line);
                status |= k > begin;
            }
            if (k == begin) memcpy(first, line, sizeof first);
        }
        free(steps);
        free(taps);
    }
    for (int32_t k = 0; k < picture_count; k++) {
        for (int32_t i = 0; i < pictures[k].count; i++) free((void *)pictures[k].levels[i].pixels);
        free(pictures[k].levels);
    }
    free(pictures);
    fclose(file);
    return status;
}
