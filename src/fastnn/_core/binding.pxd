# What the engine shares with csrc: the structs of fastnn.h, and the table of the target that was chosen at import.
from libc.stdint cimport int32_t, int64_t, uint8_t, uint64_t

cdef extern from "fastnn.h":
    ctypedef struct fnn_ctx:
        int32_t threads
        int32_t precision
        int32_t exchanges
        void *scratch
        size_t scratch_size

    ctypedef struct fnn_optim:
        double learning_rate
        double weight_decay
        double momentum
        double beta1, beta2
        double epsilon
        double step_min, step_max
        int64_t step
        int32_t nesterov, centered, decoupled

    ctypedef struct fnn_update:
        int32_t method
        fnn_optim h
        void *p
        void *slots[3]

    ctypedef struct fnn_gemm:
        int64_t m, n, k
        int64_t lda, ldb, ldc
        int32_t accumulate
        int32_t activation
        double alpha
        const fnn_update *update

    ctypedef struct fnn_window:
        int64_t rows
        int64_t height, width, channels
        int64_t out_height, out_width
        int64_t kernel_height, kernel_width
        int64_t stride_y, stride_x, top, left, dilation_y, dilation_x

    ctypedef struct fnn_conv:
        fnn_window window
        int64_t filters, groups
        int32_t activation
        int32_t adds_dx, adds_dw
        double alpha
        int64_t pool_height, pool_width

    ctypedef struct fnn_row_norm:
        int64_t rows, cols
        double epsilon
        int32_t centered
        int32_t adds_dx, adds_dw

    ctypedef struct fnn_embed:
        int64_t count, tokens, cols
        int32_t accumulate
        const fnn_update *update

    ctypedef struct fnn_standardize:
        int64_t rows, cols
        int32_t indicators, adds_dx

    ctypedef struct fnn_one_hot:
        int64_t rows, cols, out
        int64_t rest_count, count
        const int64_t *rest
        const int64_t *columns
        const int64_t *counts
        int32_t missing, adds_dx

    ctypedef struct fnn_attention:
        int64_t rows, heads, queries, keys, size
        int64_t ldq, ldk, ldy, next_k
        int64_t first
        int32_t causal
        int32_t adds

    ctypedef struct fnn_batch_norm:
        int64_t rows, cols
        double epsilon
        double alpha
        int32_t activation
        int32_t adds_dx, adds_dw
    cdef enum:
        FNN_RNN_TANH, FNN_RNN_RELU, FNN_GRU, FNN_LSTM

    ctypedef struct fnn_recurrent:
        int64_t rows, steps, inputs, units
        int64_t row_y
        int32_t cell, reverse, sequences
        int32_t adds_dx, adds_dw, adds_dh0, adds_dc0

    ctypedef struct fnn_loss:
        int64_t rows, cols
        double scale
        double param
        const double *levels

    ctypedef struct fnn_key:
        uint64_t seed, stream

    ctypedef struct fnn_kernels_f32:
        pass
    ctypedef struct fnn_kernels_f64:
        pass

    ctypedef struct fnn_target:
        const char *name
        const char *features
        int (*supported)() noexcept nogil
        const fnn_kernels_f32 *f32
        const fnn_kernels_f64 *f64
        size_t (*gemm_scratch_f32)(const fnn_gemm *d, int32_t precision, int32_t threads) noexcept nogil
        size_t (*gemm_scratch_f64)(const fnn_gemm *d, int32_t precision, int32_t threads) noexcept nogil
        int (*tiles)() noexcept nogil

    ctypedef void (*fnn_task)(void *arg, int64_t chunk) noexcept nogil

    ctypedef struct fnn_watch:
        int (*ask)(void *arg) noexcept nogil
        void *arg
        int stopped

ctypedef size_t (*gemm_scratch_function)(const fnn_gemm *d, int32_t precision, int32_t threads) noexcept nogil

# Not extern here: the C library is linked into `binding` alone, so there is one pool and one choice of target.
cdef const fnn_target *target
cdef unsigned flush_denormals() noexcept nogil
cdef void set_fp_mode(unsigned mode) noexcept nogil
cdef int threads_within(int threads) noexcept nogil
cdef int precision_within(int precision) noexcept nogil
cdef void set_watch(fnn_watch *watch) noexcept nogil
cdef bint stopped() noexcept nogil
cdef void run_parallel(int threads, int64_t chunks, fnn_task task, void *arg) noexcept nogil
