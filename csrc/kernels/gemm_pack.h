/* gemm_pack.h: copies that bring an operand into the order in which the tiles read it.
 *
 * B goes into panels: TILE_WIDTH vectors of columns side by side, step after step of k, so that a tile reads one stream.
 * The last panel is only as many vectors wide as it has columns for. */

/* Rows of B, `columns` long, into panels. Row by row over all panels: the rows of a wide B lie pages apart, and only
 * within a row does the CPU read ahead. */
static void FN(pack_rows)(int64_t steps, int64_t columns, const real *b, int64_t ldb, int64_t panel_size,
                          real *panels)
{
    const int64_t panel = TILE_WIDTH * VL, whole = columns / panel, rest = columns % panel;
    const int64_t rest_whole = rest / VL * VL, rest_width = (rest + VL - 1) / VL * VL;
    const vmask edge = mask_first(rest - rest_whole);
    for (int64_t p = 0; p < steps; p++) {
        const real *from = b + p * ldb;
        real *to = panels + p * panel;
        for (int64_t i = 0; i < whole; i++, from += panel, to += panel_size)
            for (int j = 0; j < panel; j += VL) v_store(to + j, v_load(from + j));
        to = panels + whole * panel_size + p * rest_width;
        for (int64_t j = 0; j < rest_whole; j += VL) v_store(to + j, v_load(from + j));
        if (rest_whole < rest) v_store(to + rest_whole, v_load_mask(from + rest_whole, edge));
    }
}

/* A strip of A, `height` columns of it side by side, step after step. Whole vectors are stored, each over the surplus of
 * the one before: `strip` has room for a vector more. */
static void FN(pack_strip)(int64_t steps, int64_t height, const real *a, int64_t step_a, real *strip)
{
    const int64_t whole = (height - 1) / VL * VL;
    const vmask rest = mask_first(height - whole);
    for (int64_t p = 0; p < steps; p++, a += step_a, strip += height) {
        for (int64_t i = 0; i < whole; i += VL) v_store(strip + i, v_load(a + i));
        v_store(strip + whole, v_load_mask(a + whole, rest));
    }
}
