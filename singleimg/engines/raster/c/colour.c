// What changes colours and no place: the section "Colour" of docs/raster.md, which says what a
// pixel becomes. Here is how: blocks of pixels as planes of 16-bit levels, one loop an operation.
#include "colour.h"

#include "lanes.h"

// As in singleimg/engines/raster/colour.py.
enum { NOTHING, BRIGHTNESS, CONTRAST, SATURATION, HUE, GREYSCALE, INVERT, SOLARIZE, POSTERIZE };

enum { BLOCK = 1024 };  // pixels; three planes of them fit the first-level cache

typedef struct {
    int16_t r[BLOCK], g[BLOCK], b[BLOCK];
    int count;  // a multiple of LANES
} Planes;

static inline V16 clipped(V16 level) { return v16_min(v16_max(level, v16_all(0)), v16_all(255)); }

// --- blends: away from a grey, or towards it ---

// The factor of docs/raster.md is q = factor << shift, factor of 16 bits: then q * d >> 16, d being
// -255 ... 255, is the upper half of (d << shift) * factor. From a shift of 8 on, d << shift would
// not fit; there a d of 63 or more takes any level out of 0 ... 255, so that larger ones are cut.
typedef struct {
    int16_t factor, scale, limit;
} Blend;

static Blend blend_of(int32_t q) {
    int shift = 0;
    while (q >> shift > INT16_MAX || q >> shift < INT16_MIN) shift++;
    int16_t limit = INT16_MAX >> shift;
    return (Blend){(int16_t)(q >> shift), (int16_t)(1 << shift), limit < 255 ? limit : 255};
}

static inline V16 blended(V16 level, V16 grey, Blend blend, int is_far) {
    V16 d = v16_sub(level, grey);
    if (is_far) d = v16_max(v16_min(d, v16_all(blend.limit)), v16_all((int16_t)-blend.limit));
    d = v16_mul(d, v16_all(blend.scale));
    return clipped(v16_add(level, v16_high(d, v16_all(blend.factor))));
}

static inline void blend_plane(int16_t *plane, int count, int16_t grey, Blend blend, int is_far) {
    for (int i = 0; i < count; i += LANES)
        v16_store(plane + i, blended(v16_load(plane + i), v16_all(grey), blend, is_far));
}

static void blend_with(Planes *p, int16_t grey, Blend blend) {
    int16_t *planes[3] = {p->r, p->g, p->b};
    for (int c = 0; c < 3; c++) {
        if (blend.limit < 255)
            blend_plane(planes[c], p->count, grey, blend, 1);
        else
            blend_plane(planes[c], p->count, grey, blend, 0);
    }
}

static inline void blend_with_luma(Planes *p, Blend blend, int is_far) {
    for (int i = 0; i < p->count; i += LANES) {
        V16 r = v16_load(p->r + i), g = v16_load(p->g + i), b = v16_load(p->b + i);
        V16 grey = v16_luma(r, g, b);
        v16_store(p->r + i, blended(r, grey, blend, is_far));
        v16_store(p->g + i, blended(g, grey, blend, is_far));
        v16_store(p->b + i, blended(b, grey, blend, is_far));
    }
}

static void saturate(Planes *p, Blend blend) {
    if (blend.limit < 255)
        blend_with_luma(p, blend, 1);
    else
        blend_with_luma(p, blend, 0);
}

// --- hue ---

// ``part`` is over 0; 129 S + 1 is at most 32,896, so that t is at most 32,767.
static inline V16 lowered(V16 value, V16 s129, V16 part) {
    V16 t = v16_high_u(s129, v16_up8(v16_min(part, v16_all(255))));
    return v16_sub(value, v16_high_rounded(value, t));
}

// S and H are whole quotients below 256 of divisors up to 510, and one float32 division gives both:
//     S = 255 d / M     = d * (d * inverse)           inverse = 255 (1 + e) / (d M)
//     H = 42.5 m / d    = (m / 6) * (M * inverse)     m = num + 2 d, which is 0 ... 3 d
// d, M, m and d M are exact in float32. Of at most five roundings (that of 1/6 is one) each changes
// the result by 2^-24 of it at most, together by less than 2^-21.6; e is 2^-20 within a hundredth.
// So what is computed is never below the quotient, and above it by less than 2^-19.5 of it, less
// than 2^-11; a quotient that is no whole number is at least 1/510 below the next. What is cut off
// to whole numbers is therefore exact, on any processor: test_colour.py goes through all colours.
// d = 0 gives S = 0, and the levels as they are.
static void turn_hue(Planes *p, int16_t turn) {
    for (int i = 0; i < p->count; i += LANES) {
        V16 r = v16_load(p->r + i), g = v16_load(p->g + i), b = v16_load(p->b + i);
        V16 value = v16_max(v16_max(r, g), b);
        V16 d = v16_sub(value, v16_min(v16_min(r, g), b));
        V16 of_green = v16_select_equal(g, value, v16_sub(b, r), v16_sub(r, g));
        V16 num = v16_select_equal(r, value, v16_sub(g, b), of_green);
        V16 base = v16_select_equal(g, value, v16_all(0), v16_all(85));  // 85 less, as m has 2 d
        base = v16_select_equal(r, value, v16_all(-85), base);

        F32 fd = f32_of(d), fv = f32_of(value), fm = f32_of(v16_add(num, v16_add(d, d)));
        F32 inverse = f32_div(f32_all(255.00025f), f32_max(f32_mul(fd, fv), f32_all(1.0f)));
        V16 s = f32_whole(f32_mul(fd, f32_mul(fd, inverse)));
        V16 h = f32_whole(f32_mul(f32_mul(fm, f32_all(1.0f / 6.0f)), f32_mul(fv, inverse)));

        h = v16_add(h, base);
        h = v16_min_u(h, v16_add(h, v16_all(255)));  // 255 more where it is negative
        h = v16_and(v16_add(h, v16_all(turn)), v16_all(255));
        h = v16_mul(h, v16_all(6));
        V16 s129 = v16_add(v16_mul(s, v16_all(129)), v16_all(1));
        V16 from_cyan = v16_abs(v16_sub(h, v16_all(765)));
        V16 from_green = v16_abs(v16_sub(h, v16_all(510)));
        V16 from_blue = v16_abs(v16_sub(h, v16_all(1020)));
        v16_store(p->r + i, lowered(value, s129, v16_sub_saturated_u(v16_all(510), from_cyan)));
        v16_store(p->g + i, lowered(value, s129, v16_sub_saturated_u(from_green, v16_all(255))));
        v16_store(p->b + i, lowered(value, s129, v16_sub_saturated_u(from_blue, v16_all(255))));
    }
}

// --- greyscale, invert, solarize, posterize ---

static void make_grey(Planes *p) {
    for (int i = 0; i < p->count; i += LANES) {
        V16 grey = v16_luma(v16_load(p->r + i), v16_load(p->g + i), v16_load(p->b + i));
        v16_store(p->r + i, grey);
        v16_store(p->g + i, grey);
        v16_store(p->b + i, grey);
    }
}

// The negative of levels from ``threshold`` on.
static void solarize(Planes *p, int16_t threshold) {
    int16_t *planes[3] = {p->r, p->g, p->b};
    for (int c = 0; c < 3; c++)
        for (int i = 0; i < p->count; i += LANES) {
            V16 level = v16_load(planes[c] + i), negative = v16_sub(v16_all(255), level);
            level = v16_select_less(level, v16_all(threshold), level, negative);
            v16_store(planes[c] + i, level);
        }
}

static void posterize(Planes *p, int16_t mask) {
    int16_t *planes[3] = {p->r, p->g, p->b};
    for (int c = 0; c < 3; c++)
        for (int i = 0; i < p->count; i += LANES)
            v16_store(planes[c] + i, v16_and(v16_load(planes[c] + i), v16_all(mask)));
}

// --- an image ---

static void change(Planes *p, int32_t operation, int32_t number, int16_t mean) {
    switch (operation) {
        case BRIGHTNESS: blend_with(p, 0, blend_of(number)); break;
        case CONTRAST: blend_with(p, mean, blend_of(number)); break;
        case SATURATION: saturate(p, blend_of(number)); break;
        case HUE: turn_hue(p, (int16_t)(number & 255)); break;
        case GREYSCALE: make_grey(p); break;
        case INVERT: solarize(p, 0); break;
        case SOLARIZE: solarize(p, (int16_t)number); break;
        case POSTERIZE: posterize(p, (int16_t)number); break;
        default: break;
    }
}

static void unpack(Planes *p, const uint8_t *pixels) {
    for (int i = 0; i < p->count; i += LANES) {
        V16 r, g, b;
        rgbx_load(pixels + 4 * i, &r, &g, &b);
        v16_store(p->r + i, r);
        v16_store(p->g + i, g);
        v16_store(p->b + i, b);
    }
}

static void pack(const Planes *p, uint8_t *pixels) {
    for (int i = 0; i < p->count; i += LANES)
        rgbx_store(pixels + 4 * i, v16_load(p->r + i), v16_load(p->g + i), v16_load(p->b + i));
}

static int32_t sum_of_luma(const uint8_t *pixels, int count) {
    Sums sums = sums_zero();
    int i = 0;
    for (; i + LANES <= count; i += LANES) {
        V16 r, g, b;
        rgbx_load(pixels + 4 * i, &r, &g, &b);
        sums = sums_add(sums, v16_luma(r, g, b));
    }
    int32_t total = sums_total(sums);
    for (const uint8_t *p = pixels + 4 * i; i < count; i++, p += 4)
        total += (19595 * p[0] + 38470 * p[1] + 7471 * p[2] + 32768) >> 16;
    return total;
}

// ``count`` pixels, at most BLOCK, through ``n`` operations; the result as in colour().
static void change_block(uint8_t *pixels, int count, const int32_t *ops, int32_t n, int16_t mean,
                         uint8_t *rgb) {
    Planes planes;
    uint8_t copy[4 * BLOCK];  // where whole lanes may be read and written
    int is_whole = count % LANES == 0;
    planes.count = (count + LANES - 1) / LANES * LANES;
    if (!is_whole) {
        memset(copy + 4 * (planes.count - LANES), 0, 4 * LANES);
        memcpy(copy, pixels, 4 * (size_t)count);
    }
    unpack(&planes, is_whole ? pixels : copy);
    for (int32_t k = 0; k < n; k++) change(&planes, ops[2 * k], ops[2 * k + 1], mean);
    uint8_t *to = is_whole && !rgb ? pixels : copy;
    pack(&planes, to);
    if (rgb)
        NAME(packed)(rgb, to, count);
    else if (to != pixels)
        memcpy(pixels, to, 4 * (size_t)count);
}

void NAME(colour)(uint8_t *pixels, int64_t count, const int32_t *ops, int32_t n, uint8_t *rgb) {
    int16_t mean = 0;
    int32_t done = 0;
    if (count <= 0) return;
    // Contrast needs the mean of the whole image as it then is: one pass ends before each.
    for (int32_t next = 0; next < n; next++) {
        if (ops[2 * next] != CONTRAST) continue;
        int64_t sum = 0;
        for (int64_t at = 0; at < count; at += BLOCK) {
            int size = count - at < BLOCK ? (int)(count - at) : BLOCK;
            if (next > done)
                change_block(pixels + 4 * at, size, ops + 2 * done, next - done, mean, NULL);
            sum += sum_of_luma(pixels + 4 * at, size);
        }
        mean = (int16_t)((2 * sum + count) / (2 * count));
        done = next;
    }
    if (done == n) {  // there are none
        if (rgb) NAME(packed)(rgb, pixels, count);
        return;
    }
    for (int64_t at = 0; at < count; at += BLOCK) {
        int size = count - at < BLOCK ? (int)(count - at) : BLOCK;
        uint8_t *to = rgb ? rgb + 3 * at : NULL;
        change_block(pixels + 4 * at, size, ops + 2 * done, n - done, mean, to);
    }
}

void NAME(packed)(uint8_t *rgb, const uint8_t *pixels, int64_t count) {
    int64_t i = 0;
    for (; i + PACKED + SPARE <= count; i += PACKED) rgb_pack(pixels + 4 * i, rgb + 3 * i);
    for (; i < count; i++) memcpy(rgb + 3 * i, pixels + 4 * i, 3);
}
