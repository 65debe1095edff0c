/* winograd_sizes.h: the magnitudes of the sums that Winograd's minimal filtering takes (kernels/conv_winograd.h).
 *
 * These are not the sums of the convolution itself: an element is formed of its whole tile's pixels, and those that it
 * does not see cancel. What they leave is rounding, however small the element is. So its error is bounded by the same
 * formulas with the magnitudes of pixels, weights and of the matrices in them. */
#ifndef FNN_WINOGRAD_SIZES_H
#define FNN_WINOGRAD_SIZES_H

#include "harness.h"

enum { PLACES = 16 };
static const long double input_matrix[] = {1, 0, 1, 0, 0, 1, 1, 0, 0, 1, 1, 0, 0, 1, 0, 1};           /* B^T, 4 x 4 */
static const long double weights_matrix[] = {1, 0, 0, 0.5L, 0.5L, 0.5L, 0.5L, 0.5L, 0.5L, 0, 0, 1};    /* G, 4 x 3 */
static const long double weights_transposed[] = {1, 0.5L, 0.5L, 0, 0, 0.5L, 0.5L, 0, 0, 0.5L, 0.5L, 1}; /* G^T */
static const long double output_matrix[] = {1, 1, 1, 0, 0, 1, 1, 1};                                   /* A^T, 2 x 4 */
static const long double spread_matrix[] = {1, 0, 1, 1, 1, 1, 0, 1};                                   /* A */

/* out (to x to) = M in M^T, M (to x from) */
static void both_sides(const long double *matrix, int to, int from, const long double *in, long double *out)
{
    memset(out, 0, sizeof *out * (size_t)(to * to));
    for (int i = 0; i < to; i++)
        for (int j = 0; j < to; j++)
            for (int k = 0; k < from; k++)
                for (int l = 0; l < from; l++)
                    out[i * to + j] += matrix[i * from + k] * in[k * from + l] * matrix[j * from + l];
}

/* Images of `height` x `width` pixels, and where in them a tile begins. */
typedef struct {
    int64_t height, width, channels, image, row, column;
} tile_view;

/* The element of pixel i, j of the tile; -1 outside of the image. */
static int64_t element_of(const tile_view *v, int64_t i, int64_t j, int64_t channel)
{
    const int64_t row = v->row + i, column = v->column + j;
    if (row < 0 || row >= v->height || column < 0 || column >= v->width) return -1;
    return ((v->image * v->height + row) * v->width + column) * v->channels + channel;
}

/* The magnitudes of a tile's `size` x `size` pixels of a channel, transformed. */
static void places_of(const tile_view *v, int size, const long double *matrix, const real *x, int64_t channel,
                      long double *out)
{
    long double pixels[PLACES];
    for (int i = 0; i < size * size; i++) {
        int64_t at = element_of(v, i / size, i % size, channel);
        pixels[i] = at < 0 ? 0 : fabsl((long double)x[at]);
    }
    both_sides(matrix, 4, size, pixels, out);
}

static tile_view input_tile(const fnn_window *w, int64_t tile)
{
    const int64_t across = (w->out_width + 1) / 2, tiles = (w->out_height + 1) / 2 * across;
    return (tile_view){w->height, w->width, w->channels, tile / tiles, tile % tiles / across * 2 - w->top,
                       tile % across * 2 - w->left};
}
static tile_view output_tile(const fnn_window *w, int64_t filters, int64_t tile)
{
    tile_view in = input_tile(w, tile);
    return (tile_view){w->out_height, w->out_width, filters, in.image, in.row + w->top, in.column + w->left};
}
static int64_t tiles_of(const fnn_window *w) { return w->rows * ((w->out_height + 1) / 2) * ((w->out_width + 1) / 2); }

/* Adds the sizes of y's elements: those of A^T [(G g G^T) * (B^T d B)] A. */
static void winograd_sizes(const fnn_window *w, int64_t filters, const real *x, const real *weights, long double *sizes)
{
    const int64_t pairs = w->channels * filters;
    long double *u = malloc((size_t)(PLACES * pairs) * sizeof *u), *m = malloc((size_t)(PLACES * filters) * sizeof *m);
    for (int64_t pair = 0; pair < pairs; pair++) {
        long double taps[9];
        for (int tap = 0; tap < 9; tap++) taps[tap] = fabsl((long double)weights[tap * pairs + pair]);
        both_sides(weights_matrix, 4, 3, taps, u + PLACES * pair);
    }
    for (int64_t tile = 0; tile < tiles_of(w); tile++) {
        const tile_view in = input_tile(w, tile), out = output_tile(w, filters, tile);
        memset(m, 0, (size_t)(PLACES * filters) * sizeof *m);
        for (int64_t c = 0; c < w->channels; c++) {
            long double places[PLACES];
            places_of(&in, 4, input_matrix, x, c, places);
            for (int64_t i = 0; i < PLACES * filters; i++) m[i] += places[i % PLACES] * u[PLACES * filters * c + i];
        }
        for (int64_t f = 0; f < filters; f++) {
            long double y[4];
            both_sides(output_matrix, 2, 4, m + PLACES * f, y);
            for (int i = 0; i < 4; i++) {
                int64_t at = element_of(&out, i / 2, i % 2, f);
                if (at >= 0) sizes[at] += y[i];
            }
        }
    }
    free(u), free(m);
}

/* Adds the sizes of dw's elements: those of G^T [sum of (B^T d B) * (A dY A^T)] G. */
static void winograd_weight_sizes(const fnn_window *w, int64_t filters, const real *x, const real *dy,
                                  long double *sizes)
{
    const int64_t pairs = w->channels * filters;
    long double *du = calloc((size_t)(PLACES * pairs), sizeof *du);
    long double *spread = malloc((size_t)(PLACES * filters) * sizeof *spread);
    for (int64_t tile = 0; tile < tiles_of(w); tile++) {
        const tile_view in = input_tile(w, tile), out = output_tile(w, filters, tile);
        for (int64_t f = 0; f < filters; f++) places_of(&out, 2, spread_matrix, dy, f, spread + PLACES * f);
        for (int64_t c = 0; c < w->channels; c++) {
            long double places[PLACES];
            places_of(&in, 4, input_matrix, x, c, places);
            long double *sums = du + PLACES * filters * c;
            for (int64_t i = 0; i < PLACES * filters; i++) sums[i] += places[i % PLACES] * spread[i];
        }
    }
    for (int64_t pair = 0; pair < pairs; pair++) {
        long double taps[9];
        both_sides(weights_transposed, 3, 4, du + PLACES * pair, taps);
        for (int tap = 0; tap < 9; tap++) sizes[tap * pairs + pair] += taps[tap];
    }
    free(du), free(spread);
}

#endif
