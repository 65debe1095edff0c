/* transpose.h: matrices turned by blocks that fit the registers. */

/* Transposes VL x VL numbers in registers: log2(VL) rounds, each of which interleaves row i with row i + VL / 2. */
ALWAYS_INLINE void FN(transpose)(vec *rows)
{
    vec next[VL];
    for (int round = 1; round < VL; round *= 2) {
        for (int i = 0; i < VL / 2; i++) {
            next[2 * i] = v_zip_low(rows[i], rows[i + VL / 2]);
            next[2 * i + 1] = v_zip_high(rows[i], rows[i + VL / 2]);
        }
        for (int i = 0; i < VL; i++) rows[i] = next[i];
    }
}

/* to[j * to_stride + i] (+)= from[i * from_stride + j] for rows x columns numbers, at most VL of each; `whole` says that
 * there are VL of each. */
ALWAYS_INLINE void FN(transpose_block)(int whole, int64_t rows, int64_t columns, const real *from, int64_t from_stride,
                                       real *to, int64_t to_stride, int accumulate)
{
    vec block[VL];
    vmask in = mask_first(columns), out = mask_first(rows);
    for (int i = 0; i < VL; i++) {
        const real *row = from + i * from_stride;
        if (whole) block[i] = v_load(row);
        else block[i] = i < rows ? v_load_mask(row, in) : v_zero();
    }
    FN(transpose)(block);
    for (int j = 0; j < VL; j++) {
        real *row = to + j * to_stride;
        if (whole) v_store(row, accumulate ? v_add(v_load(row), block[j]) : block[j]);
        else if (j < columns) v_store_mask(row, out, accumulate ? v_add(v_load_mask(row, out), block[j]) : block[j]);
    }
}

/* The same for any size. */
static void FN(transpose_matrix)(int64_t rows, int64_t columns, const real *from, int64_t from_stride, real *to,
                                 int64_t to_stride, int accumulate)
{
    for (int64_t i = 0; i < rows; i += VL)
        for (int64_t j = 0; j < columns; j += VL) {
            const real *block = from + i * from_stride + j;
            real *place = to + j * to_stride + i;
            if (rows - i >= VL && columns - j >= VL)
                FN(transpose_block)(1, VL, VL, block, from_stride, place, to_stride, accumulate);
            else
                FN(transpose_block)(0, rows - i < VL ? rows - i : VL, columns - j < VL ? columns - j : VL, block,
                                    from_stride, place, to_stride, accumulate);
        }
}
