// The layer of simd.h in plain C; on every processor.

static inline void prefetch(const void *address) { (void)address; }

enum { BYTES = 16 };

typedef struct {
    uint8_t of[BYTES];
} Bytes;

typedef struct {
    int32_t of[BYTES];
} Sums;

static inline Bytes load_bytes(const uint8_t *from) {
    Bytes bytes;
    memcpy(bytes.of, from, BYTES);
    return bytes;
}

static inline void store_bytes(uint8_t *to, Bytes bytes) { memcpy(to, bytes.of, BYTES); }

static inline Sums sums_of(int32_t value) {
    Sums sums;
    for (int i = 0; i < BYTES; i++) sums.of[i] = value;
    return sums;
}

// sums + weights[0] · p + weights[1] · q
static inline Sums sums_add(Sums sums, Bytes p, Bytes q, const int16_t *weights) {
    const int16_t first = weights[0], second = weights[1];
    for (int i = 0; i < BYTES; i++)
        sums.of[i] += (int16_t)p.of[i] * first + (int16_t)q.of[i] * second;
    return sums;
}

// sums >> 14, clipped to 0 … 255
static inline Bytes sums_bytes(Sums sums) {
    Bytes bytes;
    for (int i = 0; i < BYTES; i++) bytes.of[i] = clip8(sums.of[i] >> 14);
    return bytes;
}

// How many bytes a read of four pixels reads, of 3 and of 4 bytes each.
enum { READS_3 = 12, READS_4 = 16 };

typedef struct {
    int32_t of[4];
} Pixel;

static inline Pixel pixel_of(int32_t value) { return (Pixel){{value, value, value, value}}; }

// sum + weights[0] · pixel 0 + … + weights[3] · pixel 3; a pixel has ``bpp`` bytes.
static inline Pixel pixel_add(Pixel sum, const uint8_t *from, const int16_t *weights, int bpp) {
    for (int tap = 0; tap < 4; tap++)
        for (int c = 0; c < 3; c++) sum.of[c] += weights[tap] * from[bpp * tap + c];
    return sum;
}

// Four pixels, each sum >> 14 and clipped, as RGBX
static inline void pixels_store(uint8_t *to, Pixel a, Pixel b, Pixel c, Pixel d) {
    const Pixel all[4] = {a, b, c, d};
    for (int i = 0; i < 4; i++)
        for (int k = 0; k < 4; k++) to[4 * i + k] = clip8(all[i].of[k] >> 14);
}
