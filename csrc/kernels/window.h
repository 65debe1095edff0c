/* window.h: which part of a window (fnn_window) lies within its image. What convolutions and pooling share. */

/* Taps [from, end) of a window along one axis. */
typedef struct {
    int64_t from, end;
} FN(taps);

/* The taps that lie within 0 .. size-1, of `count` taps from `start` on, `dilation` apart. */
ALWAYS_INLINE FN(taps) FN(taps_inside)(int64_t start, int64_t dilation, int64_t count, int64_t size)
{
    FN(taps) t = {0, count};
    if (start < 0) t.from = FN(least)((dilation - 1 - start) / dilation, count);
    if (start + (count - 1) * dilation >= size) {
        t.end = start < size ? (size - 1 - start) / dilation + 1 : 0;
        if (t.end < t.from) t.end = t.from;
    }
    return t;
}

/* An output position: image, row and column; and where its window begins. */
typedef struct {
    int64_t image, row, column;
    int64_t y, x;
} FN(place);

ALWAYS_INLINE FN(place) FN(place_of)(const fnn_window *d, int64_t position)
{
    FN(place) p = {.row = position / d->out_width, .column = position % d->out_width};
    p.image = p.row / d->out_height;
    p.row %= d->out_height;
    p.y = p.row * d->stride_y - d->top;
    p.x = p.column * d->stride_x - d->left;
    return p;
}

/* Where the window at `place` begins in x; it may lie before the image. */
ALWAYS_INLINE int64_t FN(corner)(const fnn_window *w, const FN(place) *p)
{
    return ((p->image * w->height + p->y) * w->width + p->x) * w->channels;
}

/* The next position. */
ALWAYS_INLINE void FN(advance)(const fnn_window *d, FN(place) *p)
{
    p->x += d->stride_x;
    if (++p->column < d->out_width) return;
    p->column = 0;
    p->x = -d->left;
    p->y += d->stride_y;
    if (++p->row < d->out_height) return;
    p->row = 0;
    p->y = -d->top;
    p->image++;
}

/* The elements of an image, and of its output without the channels. */
ALWAYS_INLINE int64_t FN(image_size)(const fnn_window *d) { return d->height * d->width * d->channels; }
ALWAYS_INLINE int64_t FN(positions_of)(const fnn_window *d) { return d->out_height * d->out_width; }
