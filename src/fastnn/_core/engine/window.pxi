# Windows over images (rows, height, width, channels) and sequences (rows, time, channels), which are images of height 1.

cdef fnn_window window_of(tuple x, tuple y, attrs) except *:
    """What an op's record says of its windows: `kernel`, `stride`, `before` (padding at the top and left) and `dilation`, each
    a pair. x, y: shapes."""
    cdef fnn_window w
    w.rows, w.height, w.width, w.channels = _as_images(x)
    _, w.out_height, w.out_width, _ = _as_images(y)
    w.kernel_height, w.kernel_width = attrs["kernel"]
    w.stride_y, w.stride_x = attrs["stride"]
    w.top, w.left = attrs["before"]
    w.dilation_y, w.dilation_x = attrs["dilation"]
    return w


def _as_images(shape):
    rows, *sizes, channels = shape
    return (rows, *sizes, channels) if len(sizes) == 2 else (rows, 1, *sizes, channels)
