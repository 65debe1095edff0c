# The kernels of csrc/kernels.def, a line each. K is set once, when the module is imported.

cdef extern from *:
    # The members of fnn_activation are anonymous here: names and numbers come from the one list in fastnn.h.
    """
    #define ROW(NAME, name, from_output) {#name, FNN_##NAME, from_output},
    static const struct fnn_activation_row { const char *name; int kind, from_output; } fnn_activation_rows[] = {
        FNN_ACTIVATIONS(ROW)
    };
    #undef ROW
    #define ROW(NAME, name, first, second, third) {#name, FNN_##NAME, {first, second, third}},
    typedef struct { const char *name; int kind; const char *slots[3]; } fnn_optimizer_row;
    static const fnn_optimizer_row fnn_optimizer_rows[] = {
        FNN_OPTIMIZERS(ROW)
    };
    #undef ROW
    """
    ctypedef struct fnn_activation_row:
        const char *name
        int kind, from_output
    const fnn_activation_row fnn_activation_rows[]
    const int FNN_ACTIVATION_COUNT
    ctypedef struct fnn_optimizer_row:
        const char *name
        int kind
        const char *slots[3]
    const fnn_optimizer_row fnn_optimizer_rows[]
    const int FNN_OPTIMIZER_COUNT

ctypedef void (*loss_kernel)(const fnn_ctx *, const fnn_loss *, const real *, const real *, const real *, real *, double *) noexcept nogil

cdef extern from "precision.h":
    ctypedef struct fnn_kernels:
        void (*gemm_nn)(const fnn_ctx *, const fnn_gemm *, const real *a, const real *b, const real *bias, real *c) noexcept nogil
        void (*gemm_nt)(const fnn_ctx *, const fnn_gemm *, const real *a, const real *b, const real *bias, real *c) noexcept nogil
        void (*gemm_tn)(const fnn_ctx *, const fnn_gemm *, const real *a, const real *b, const real *bias, real *c) noexcept nogil
        void (*conv_scratch)(const fnn_ctx *, const fnn_conv *, size_t *bytes) noexcept nogil
        void (*conv_pools)(const fnn_conv *, int32_t *pays) noexcept nogil
        void (*conv_forward)(const fnn_ctx *, const fnn_conv *, const real *x, const real *w, const real *bias, real *y) noexcept nogil
        void (*conv_backward)(const fnn_ctx *, const fnn_conv *, const real *x, const real *w, const real *y, real *dy, real *dx, real *dw, real *dbias) noexcept nogil
        void (*max_pool_forward)(const fnn_ctx *, const fnn_window *, int32_t rectify, const real *x, real *y) noexcept nogil
        void (*max_pool_backward)(const fnn_ctx *, const fnn_window *, int32_t rectify, const real *x, const real *y, const real *dy, real *dx, int32_t accumulate) noexcept nogil
        void (*mean_pool_forward)(const fnn_ctx *, const fnn_window *, const real *x, real *y) noexcept nogil
        void (*mean_pool_backward)(const fnn_ctx *, const fnn_window *, const real *dy, real *dx, int32_t accumulate) noexcept nogil
        void (*batch_norm_scratch)(const fnn_ctx *, const fnn_batch_norm *, size_t *bytes) noexcept nogil
        void (*batch_norm_forward)(const fnn_ctx *, const fnn_batch_norm *, const real *x, const real *weight, const real *bias, real *y, real *mean, real *variance) noexcept nogil
        void (*batch_norm_backward)(const fnn_ctx *, const fnn_batch_norm *, const real *x, const real *weight, const real *mean, const real *variance, const real *y, real *dy, real *dx, real *dweight, real *dbias) noexcept nogil
        void (*batch_norm_affine)(const fnn_ctx *, const fnn_batch_norm *, const real *weight, const real *bias, const real *mean, const real *variance, real *scale, real *shift) noexcept nogil
        void (*scale_shift)(const fnn_ctx *, const fnn_batch_norm *, const real *x, const real *scale, const real *shift, real *y) noexcept nogil
        void (*recurrent_scratch)(const fnn_ctx *, const fnn_recurrent *, size_t *bytes, int64_t *tape) noexcept nogil
        void (*recurrent_forward)(const fnn_ctx *, const fnn_recurrent *, const real *x, const real *w, const real *u, const real *bias, const real *rbias, const real *h0, const real *c0, const real *mask, real *y, real *c_last, real *tape) noexcept nogil
        void (*recurrent_backward)(const fnn_ctx *, const fnn_recurrent *, const real *x, const real *w, const real *u, const real *mask, real *tape, const real *dy, const real *dc_last, real *dx, real *dw, real *du, real *dbias, real *drbias, real *dh0, real *dc0) noexcept nogil
        void (*activation_forward)(const fnn_ctx *, int32_t kind, double alpha, int64_t n, const real *x, real *y) noexcept nogil
        void (*activation_slope)(const fnn_ctx *, int32_t kind, double alpha, int64_t n, const real *x, real *y, real *slope) noexcept nogil
        void (*activation_backward)(const fnn_ctx *, int32_t kind, double alpha, int64_t n, const real *saved, const real *dy, real *dx, int32_t accumulate) noexcept nogil
        void (*softmax_forward)(const fnn_ctx *, int64_t rows, int64_t cols, const real *x, real *y) noexcept nogil
        void (*softmax_backward)(const fnn_ctx *, int64_t rows, int64_t cols, const real *y, const real *dy, real *dx, int32_t accumulate) noexcept nogil
        void (*ascending_forward)(const fnn_ctx *, int64_t rows, int64_t cols, const real *x, real *y) noexcept nogil
        void (*ascending_backward)(const fnn_ctx *, int64_t rows, int64_t cols, const real *x, const real *dy, real *dx, int32_t accumulate) noexcept nogil
        void (*row_norm_scratch)(const fnn_ctx *, const fnn_row_norm *, size_t *bytes) noexcept nogil
        void (*row_norm_forward)(const fnn_ctx *, const fnn_row_norm *, const real *x, const real *weight, const real *bias, real *y, real *stats) noexcept nogil
        void (*row_norm_backward)(const fnn_ctx *, const fnn_row_norm *, const real *x, const real *stats, const real *weight, const real *dy, real *dx, real *dweight, real *dbias) noexcept nogil
        void (*embed_forward)(const fnn_ctx *, const fnn_embed *, const int32_t *ids, const real *table, real *y) noexcept nogil
        void (*embed_scratch)(const fnn_ctx *, const fnn_embed *, size_t *bytes) noexcept nogil
        void (*embed_backward)(const fnn_ctx *, const fnn_embed *, const int32_t *ids, const real *dy, real *dtable) noexcept nogil
        void (*add_row)(const fnn_ctx *, int64_t rows, int64_t cols, const real *x, const real *row, real *y) noexcept nogil
        void (*standardize_tables)(const fnn_ctx *, int64_t cols, int64_t copies, const real *mean, const real *deviation, real *tables) noexcept nogil
        void (*standardize_forward)(const fnn_ctx *, const fnn_standardize *, const real *x, const real *tables, const real *fill, real *y) noexcept nogil
        void (*standardize_backward)(const fnn_ctx *, const fnn_standardize *, const real *x, const real *tables, const real *dy, real *dx) noexcept nogil
        void (*one_hot_forward)(const fnn_ctx *, const fnn_one_hot *, const real *x, const real *const *categories, real *y) noexcept nogil
        void (*one_hot_backward)(const fnn_ctx *, const fnn_one_hot *, const real *dy, real *dx) noexcept nogil
        void (*attention_scratch)(const fnn_ctx *, const fnn_attention *, size_t *bytes) noexcept nogil
        void (*attention_forward)(const fnn_ctx *, const fnn_attention *, const real *q, const real *k, const real *v, const real *mask, real *y, real *stats) noexcept nogil
        void (*attention_backward)(const fnn_ctx *, const fnn_attention *, const real *q, const real *k, const real *v, const real *mask, const real *y, const real *stats, const real *dy, real *dq, real *dk, real *dv) noexcept nogil
        void (*vexp)(const fnn_ctx *, int64_t n, const real *x, real *y) noexcept nogil
        void (*vlog)(const fnn_ctx *, int64_t n, const real *x, real *y) noexcept nogil
        void (*vtanh)(const fnn_ctx *, int64_t n, const real *x, real *y) noexcept nogil
        void (*vsigmoid)(const fnn_ctx *, int64_t n, const real *x, real *y) noexcept nogil
        void (*verf)(const fnn_ctx *, int64_t n, const real *x, real *y) noexcept nogil
        void (*fill)(const fnn_ctx *, int64_t n, double value, real *y) noexcept nogil
        void (*copy)(const fnn_ctx *, int64_t n, const real *x, real *y) noexcept nogil
        void (*scale)(const fnn_ctx *, int64_t n, double factor, real *x) noexcept nogil
        void (*add)(const fnn_ctx *, int64_t n, const real *a, const real *b, real *y) noexcept nogil
        void (*mul)(const fnn_ctx *, int64_t n, const real *a, const real *b, real *y, int32_t accumulate) noexcept nogil
        void (*axpy)(const fnn_ctx *, int64_t n, double factor, const real *x, real *y) noexcept nogil
        void (*combine)(const fnn_ctx *, int64_t n, int64_t count, const double *factors, const real *const *x, real *y) noexcept nogil
        void (*clip)(const fnn_ctx *, int64_t n, double limit, real *x) noexcept nogil
        void (*copy_2d)(const fnn_ctx *, int64_t rows, int64_t cols, const real *src, int64_t lds, real *dst, int64_t ldd, int32_t accumulate) noexcept nogil
        void (*gather_rows)(const fnn_ctx *, int64_t rows, int64_t cols, const int64_t *index, const real *src, real *dst) noexcept nogil
        void (*scatter_rows)(const fnn_ctx *, int64_t rows, int64_t cols, const int64_t *index, const real *src, real *dst) noexcept nogil
        void (*sum)(const fnn_ctx *, int64_t n, const real *x, double *out) noexcept nogil
        void (*sum_squares)(const fnn_ctx *, int64_t n, const real *x, double *out) noexcept nogil
        void (*sum_abs)(const fnn_ctx *, int64_t n, const real *x, double *out) noexcept nogil
        void (*dot)(const fnn_ctx *, int64_t n, const real *x, const real *y, double *out) noexcept nogil
        void (*first_nonfinite)(const fnn_ctx *, int64_t n, const real *x, int64_t *out) noexcept nogil
        void (*first_refused)(const fnn_ctx *, int64_t rows, int64_t cols, const real *takes, const real *x, int64_t *out) noexcept nogil
        void (*column_sum)(const fnn_ctx *, int64_t rows, int64_t cols, const real *x, real *out, int32_t accumulate) noexcept nogil
        loss_kernel loss_mse
        loss_kernel loss_mae
        loss_kernel loss_huber
        loss_kernel loss_binary_cross_entropy
        loss_kernel loss_poisson
        loss_kernel loss_poisson_rate
        loss_kernel loss_hinge
        loss_kernel loss_quantile
        loss_kernel loss_gaussian_nll
        void (*loss_cross_entropy)(const fnn_ctx *, const fnn_loss *, const real *p, const int32_t *labels, const real *w, real *dp, double *loss) noexcept nogil
        loss_kernel loss_cross_entropy_dense
        void (*optimize)(const fnn_ctx *, int64_t n, const fnn_update *u, const real *g) noexcept nogil
        void (*regularize)(const fnn_ctx *, int64_t n, double l1, double l2, const real *p, real *g, double *penalty) noexcept nogil
        void (*max_norm)(const fnn_ctx *, int64_t rows, int64_t cols, double limit, real *w) noexcept nogil
        void (*random_uniform)(const fnn_ctx *, const fnn_key *, int64_t n, double low, double high, real *y) noexcept nogil
        void (*permutation)(const fnn_key *, int64_t n, int64_t *order) noexcept nogil
        void (*random_normal)(const fnn_ctx *, const fnn_key *, int64_t n, double mean, double deviation, real *y) noexcept nogil
        void (*dropout)(const fnn_ctx *, const fnn_key *, int64_t n, double rate, const real *x, real *y, int32_t accumulate) noexcept nogil

cdef const fnn_kernels *K
cdef gemm_scratch_function gemm_scratch

# name -> (number in fnn_activation, whether the derivative is a function of the output)
ACTIVATIONS = {
    fnn_activation_rows[i].name.decode(): (fnn_activation_rows[i].kind, bool(fnn_activation_rows[i].from_output))
    for i in range(FNN_ACTIVATION_COUNT)
}

cdef optimizer_row(fnn_optimizer_row row):
    return row.kind, tuple([row.slots[k].decode() for k in range(3) if row.slots[k] is not NULL])

# name -> (number in fnn_optimizer, names of its slots)
OPTIMIZERS = {fnn_optimizer_rows[i].name.decode(): optimizer_row(fnn_optimizer_rows[i]) for i in range(FNN_OPTIMIZER_COUNT)}
