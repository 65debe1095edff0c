/* gemm_pack.h: copies a block of B into panels: TILE_WIDTH vectors of columns side by side, step after step of k, so that
 * a tile reads it as one stream. The last panel is as many vectors wide as it has columns for, with zeros behind the
 * last column: tiles on packed panels load B without masks. */

/* rows x cols of b to a panel of stride `width`; b's rows are the steps of k. */
static void FN(pack_rows)(int64_t steps, int64_t cols, const real *b, int64_t ldb, int64_t width, real *panel)
{
    int64_t whole = cols / VL * VL;
    vmask edge = mask_first(cols - whole);
    for (int64_t p = 0; p < steps; p++, b += ldb, panel += width) {
        for (int64_t j = 0; j < whole; j += VL) v_store(panel + j, v_load(b + j));
        if (whole < cols) v_store(panel + whole, v_load_mask(b + whole, edge));
    }
}

/* The same where b's columns are the steps of k. */
static void FN(pack_columns)(int64_t steps, int64_t cols, const real *b, int64_t ldb, int64_t width, real *panel)
{
    for (int64_t p = 0; p < steps; p++, panel += width) {
        for (int64_t j = 0; j < cols; j++) panel[j] = b[j * ldb + p];
        for (int64_t j = cols; j < width; j++) panel[j] = 0;
    }
}
