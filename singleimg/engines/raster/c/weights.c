// Weights along one axis: float64 with a stated order of operations, rounded once to 1/2^14.

#include "internal.h"

enum { MOST_WEIGHTS = 1 << 26 };
static const int32_t SUPPORT[] = {1, 2, 3};  // of bilinear, bicubic, lanczos

// sin(π·v) for 0 ≤ v ≤ ½, by its Taylor series to x^17; the error is below 10^-13.
static inline double sine(double v) {
    const double x = 3.14159265358979323846 * v, y = x * x;
    double sum = 1.0 / 355687428096000.0;
    sum = sum * y - 1.0 / 1307674368000.0;
    sum = sum * y + 1.0 / 6227020800.0;
    sum = sum * y - 1.0 / 39916800.0;
    sum = sum * y + 1.0 / 362880.0;
    sum = sum * y - 1.0 / 5040.0;
    sum = sum * y + 1.0 / 120.0;
    sum = sum * y - 1.0 / 6.0;
    sum = sum * y + 1.0;
    return sum * x;
}

static inline double bilinear_at(double u) { return u < 1.0 ? 1.0 - u : 0.0; }

static inline double bicubic_at(double u) {  // a = -½
    const double near = (1.5 * u - 2.5) * u * u + 1.0;
    const double far = ((-0.5 * u + 2.5) * u - 4.0) * u + 2.0;
    return u < 1.0 ? near : u < 2.0 ? far : 0.0;
}

static inline double lanczos_at(double u) {  // 3·sin(πu)·sin(πu/3) / (πu)²
    const double v = u / 3.0, turned = 1.0 - v, folded = v < turned ? v : turned;
    const double s = sine(folded > 0.0 ? folded : 0.0);
    const double thrice = (3.0 - 4.0 * s * s) * s;  // sin(πu), since sin 3x = 3·sin x - 4·sin³ x
    const double angle = 3.14159265358979323846 * (u > 1e-6 ? u : 1.0);
    const double value = 3.0 * thrice * s / (angle * angle);
    return u < 3.0 ? (u > 1e-6 ? value : 1.0) : 0.0;
}

// values[t][i]: the filter for tap t of position i; totals[i]: their sum.
static void filter_values(const Grid *grid, int32_t begin, int32_t count, int32_t taps,
                          int32_t *restrict first, double *restrict offsets,
                          double *restrict totals, double *restrict values) {
    const double scale = grid->step > 1.0 ? grid->step : 1.0, inverse = 1.0 / scale;
    const double radius = SUPPORT[grid->filter] * scale;
    const int32_t low = grid->low, high = grid->high;
    for (int32_t i = 0; i < count; i++) {
        const double centre = grid->start + (begin + i + 0.5) * grid->step;
        first[i] = floor_of(centre - radius - 0.5) + 1;
        offsets[i] = first[i] + 0.5 - centre;
        totals[i] = 0.0;
    }
    for (int32_t t = 0; t < taps; t++) {
        double *restrict row = values + (int64_t)t * count;
#define FILTERED(kernel)                                                  \
    for (int32_t i = 0; i < count; i++) {                                 \
        const double distance = offsets[i] + t;                           \
        const double u = (distance < 0.0 ? -distance : distance) * inverse; \
        row[i] = kernel(u);                                               \
    }
        if (grid->filter == FILTER_BILINEAR) {
            FILTERED(bilinear_at)
        } else if (grid->filter == FILTER_BICUBIC) {
            FILTERED(bicubic_at)
        } else {
            FILTERED(lanczos_at)
        }
#undef FILTERED
        for (int32_t i = 0; i < count; i++) {
            const int32_t pixel = first[i] + t;
            row[i] = ((pixel >= low) & (pixel < high)) ? row[i] : 0.0;
            totals[i] += row[i];
        }
    }
}

// The running sums are rounded, not the weights: so these sum to 2^14 whatever their number.
static void rounded(const double *restrict values, const double *restrict totals, int32_t count,
                    int32_t taps, int32_t padded, double *restrict sums, double *restrict scales,
                    int32_t *restrict before, int16_t *restrict weights) {
    for (int32_t i = 0; i < count; i++) {
        scales[i] = 16384.0 / totals[i];
        sums[i] = 0.0;
        before[i] = 0;
    }
    memset(weights, 0, sizeof *weights * (size_t)count * (size_t)padded);
    for (int32_t t = 0; t < taps; t++) {
        const double *restrict row = values + (int64_t)t * count;
        for (int32_t i = 0; i < count; i++) {
            sums[i] += row[i];
            const int32_t sum = (int32_t)(sums[i] * scales[i] + 32768.5) - 32768;
            weights[(int64_t)i * padded + t] = (int16_t)(sum - before[i]);
            before[i] = sum;
        }
    }
}

static int32_t position_at(const Grid *grid, int32_t i) {
    if (grid->edge == EDGE_REFLECT) return mirrored(i, grid->positions);
    if (grid->edge == EDGE_CLAMP) return at_least(at_most(i, grid->positions - 1), 0);
    return i;
}

int32_t NAME(axis_make)(Work *work, const Grid *grid, int32_t begin, int32_t count,
                        int32_t multiple, Axis *axis) {
    const double scale = grid->step > 1.0 ? grid->step : 1.0;
    const double reach = 2.0 * SUPPORT[grid->filter] * scale;
    if (!(reach < MOST_WEIGHTS) || count < 1) return RASTER_SIZE;
    const int32_t whole = floor_of(reach), taps = whole + (whole < reach);
    const int32_t padded = (taps + multiple - 1) / multiple * multiple;
    // The positions that are inside the grid, of which those beyond its edges are copies.
    int32_t low = position_at(grid, begin), high = low;
    for (int32_t i = 1; i < count; i++) {
        const int32_t position = position_at(grid, begin + i);
        low = at_most(low, position), high = at_least(high, position);
    }
    const int32_t inner = high - low + 1;
    if ((int64_t)inner * padded > MOST_WEIGHTS || (int64_t)count * padded > MOST_WEIGHTS)
        return RASTER_SIZE;
    *axis = (Axis){count, padded, grid->edge == EDGE_REFLECT, work_take(work, 4 * (int64_t)count),
                   work_take(work, 2 * (int64_t)count * padded)};
    const int64_t mark = work->used;
    int32_t *first = work_take(work, 4 * (int64_t)inner);
    int16_t *weights = work_take(work, 2 * (int64_t)inner * padded);
    double *columns[4];
    for (int k = 0; k < 4; k++) columns[k] = work_take(work, 8 * (int64_t)inner);
    int32_t *before = work_take(work, 4 * (int64_t)inner);
    double *values = work_take(work, 8 * (int64_t)inner * taps);
    if (!axis->first || !axis->weights || !first || !weights || !columns[3] || !before || !values)
        return RASTER_WORKSPACE;
    filter_values(grid, low, inner, taps, first, columns[0], columns[1], values);
    rounded(values, columns[1], inner, taps, padded, columns[2], columns[3], before, weights);
    for (int32_t i = 0; i < count; i++) {
        const int32_t position = position_at(grid, begin + i) - low;
        axis->first[i] = first[position];
        memcpy(axis->weights + (int64_t)i * padded, weights + (int64_t)position * padded,
               2 * (size_t)padded);
    }
    work->used = mark;
    return RASTER_OK;
}
