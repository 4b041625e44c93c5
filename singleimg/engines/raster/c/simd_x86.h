// The layer of simd.h for AVX2, and for AVX-512 where vectors of 64 bytes gain something.

#include <immintrin.h>

static inline void prefetch(const void *address) {
    _mm_prefetch((const char *)address, _MM_HINT_T0);
}

static inline int32_t pair_of(const int16_t *weights) {
    int32_t pair;
    memcpy(&pair, weights, sizeof pair);
    return pair;
}

static inline int64_t four_of(const void *from) {
    int64_t four;
    memcpy(&four, from, sizeof four);
    return four;
}

#if ISA_AVX512

enum { BYTES = 64 };
typedef __m512i Bytes;
typedef struct {
    __m512i a, b, c, d;
} Sums;

static inline Bytes load_bytes(const uint8_t *from) { return _mm512_loadu_si512(from); }
static inline void store_bytes(uint8_t *to, Bytes bytes) { _mm512_storeu_si512(to, bytes); }

static inline Sums sums_of(int32_t value) {
    const __m512i all = _mm512_set1_epi32(value);
    return (Sums){all, all, all, all};
}

static inline Sums sums_add(Sums sums, Bytes p, Bytes q, const int16_t *weights) {
    const __m512i pair = _mm512_set1_epi32(pair_of(weights)), zero = _mm512_setzero_si512();
    const __m512i low = _mm512_unpacklo_epi8(p, q), high = _mm512_unpackhi_epi8(p, q);
#define ADD(sum, words) _mm512_add_epi32(sum, _mm512_madd_epi16(words, pair))
    return (Sums){ADD(sums.a, _mm512_unpacklo_epi8(low, zero)),
                  ADD(sums.b, _mm512_unpackhi_epi8(low, zero)),
                  ADD(sums.c, _mm512_unpacklo_epi8(high, zero)),
                  ADD(sums.d, _mm512_unpackhi_epi8(high, zero))};
#undef ADD
}

static inline Bytes sums_bytes(Sums sums) {
    const __m512i a = _mm512_srai_epi32(sums.a, 14), b = _mm512_srai_epi32(sums.b, 14);
    const __m512i c = _mm512_srai_epi32(sums.c, 14), d = _mm512_srai_epi32(sums.d, 14);
    return _mm512_packus_epi16(_mm512_packs_epi32(a, b), _mm512_packs_epi32(c, d));
}

#else

enum { BYTES = 32 };
typedef __m256i Bytes;
typedef struct {
    __m256i a, b, c, d;
} Sums;

static inline Bytes load_bytes(const uint8_t *from) {
    return _mm256_loadu_si256((const __m256i *)(const void *)from);
}
static inline void store_bytes(uint8_t *to, Bytes bytes) {
    _mm256_storeu_si256((__m256i *)(void *)to, bytes);
}

static inline Sums sums_of(int32_t value) {
    const __m256i all = _mm256_set1_epi32(value);
    return (Sums){all, all, all, all};
}

static inline Sums sums_add(Sums sums, Bytes p, Bytes q, const int16_t *weights) {
    const __m256i pair = _mm256_set1_epi32(pair_of(weights)), zero = _mm256_setzero_si256();
    const __m256i low = _mm256_unpacklo_epi8(p, q), high = _mm256_unpackhi_epi8(p, q);
#define ADD(sum, words) _mm256_add_epi32(sum, _mm256_madd_epi16(words, pair))
    return (Sums){ADD(sums.a, _mm256_unpacklo_epi8(low, zero)),
                  ADD(sums.b, _mm256_unpackhi_epi8(low, zero)),
                  ADD(sums.c, _mm256_unpacklo_epi8(high, zero)),
                  ADD(sums.d, _mm256_unpackhi_epi8(high, zero))};
#undef ADD
}

static inline Bytes sums_bytes(Sums sums) {
    const __m256i a = _mm256_srai_epi32(sums.a, 14), b = _mm256_srai_epi32(sums.b, 14);
    const __m256i c = _mm256_srai_epi32(sums.c, 14), d = _mm256_srai_epi32(sums.d, 14);
    return _mm256_packus_epi16(_mm256_packs_epi32(a, b), _mm256_packs_epi32(c, d));
}

#endif

// --- four taps of one pixel: the lower lane sums taps 0 and 1, the upper one taps 2 and 3 ---

enum { READS_3 = 16, READS_4 = 16 };
typedef __m256i Pixel;

static inline Pixel pixel_of(int32_t value) {
    return _mm256_inserti128_si256(_mm256_setzero_si256(), _mm_set1_epi32(value), 0);
}

static inline Pixel pixel_add(Pixel sum, const uint8_t *from, const int16_t *weights, int bpp) {
    // Bytes of two pixels side by side for each channel, widened to words.
    const __m256i words =
        bpp == 3 ? _mm256_setr_epi8(0, -1, 3, -1, 1, -1, 4, -1, 2, -1, 5, -1, -1, -1, -1, -1,
                                    6, -1, 9, -1, 7, -1, 10, -1, 8, -1, 11, -1, -1, -1, -1, -1)
                 : _mm256_setr_epi8(0, -1, 4, -1, 1, -1, 5, -1, 2, -1, 6, -1, -1, -1, -1, -1,
                                    8, -1, 12, -1, 9, -1, 13, -1, 10, -1, 14, -1, -1, -1, -1, -1);
    const __m256i pairs = _mm256_setr_epi8(0, 1, 2, 3, 0, 1, 2, 3, 0, 1, 2, 3, 0, 1, 2, 3,
                                           4, 5, 6, 7, 4, 5, 6, 7, 4, 5, 6, 7, 4, 5, 6, 7);
    const __m256i four = _mm256_broadcastsi128_si256(_mm_loadu_si128((const void *)from));
    const __m256i taps = _mm256_set1_epi64x(four_of(weights));
    return _mm256_add_epi32(sum, _mm256_madd_epi16(_mm256_shuffle_epi8(four, words),
                                                   _mm256_shuffle_epi8(taps, pairs)));
}

static inline __m256i both_lanes(Pixel a, Pixel b) {
    const __m256i sum = _mm256_add_epi32(_mm256_permute2x128_si256(a, b, 0x20),
                                         _mm256_permute2x128_si256(a, b, 0x31));
    return _mm256_srai_epi32(sum, 14);
}

static inline void pixels_store(uint8_t *to, Pixel a, Pixel b, Pixel c, Pixel d) {
    const __m256i words = _mm256_packs_epi32(both_lanes(a, b), both_lanes(c, d));
    const __m128i bytes = _mm_packus_epi16(_mm256_castsi256_si128(words),
                                           _mm256_extracti128_si256(words, 1));
    // The lanes hold pixels 0 and 2, 1 and 3.
    _mm_storeu_si128((__m128i *)(void *)to, _mm_shuffle_epi32(bytes, 0xd8));
}
