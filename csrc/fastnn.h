/* fastnn.h: the contract between the engine and the C kernels.
 *
 * Self-contained C11 without Python. A kernel returns void and cannot fail: it allocates nothing, prints nothing,
 * keeps no state and touches only the buffers that it is given. Sizes and pointers were checked by the caller.
 * kernels.def lists every kernel once; the two tables below (float and double) and the tests are made from it.
 */
#ifndef FASTNN_H
#define FASTNN_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- what a kernel call may use ------------------------------------------------------------------------------ */

typedef enum { FNN_HIGHEST = 0, FNN_HIGH = 1, FNN_MEDIUM = 2 } fnn_precision;

typedef struct fnn_ctx {
    int32_t threads;    /* the most threads that a kernel may take; 1 keeps it on the caller's */
    int32_t precision;  /* of matrix products: an fnn_precision; others than FNN_HIGHEST where the target's tiles() say so */
    int32_t exchanges;  /* 1 where operands come out of other cores' caches, as in a training step; 0 else */
    void *scratch;      /* 64-byte aligned, private to this context; at least what the _scratch functions asked for */
    size_t scratch_size;
} fnn_ctx;

/* ---- dimensions ---------------------------------------------------------------------------------------------- */

/* Activations by name: FNN_RELU and so on. FROM_OUTPUT says that the derivative is a function of the output alone,
 * so that the input need not be kept; the others keep the input. */
#define FNN_ACTIVATIONS(ROW)                                                                                         \
    ROW(LINEAR, linear, 1)         /* x */                                                                           \
    ROW(RELU, relu, 1)             /* max(x, 0); derivative 0 at 0 */                                                \
    ROW(LEAKY_RELU, leaky_relu, 1) /* x for x > 0, else alpha x; alpha > 0 */                                        \
    ROW(ELU, elu, 1)               /* x for x > 0, else alpha (exp(x) - 1); alpha > 0 */                             \
    ROW(SELU, selu, 1)             /* lambda x for x > 0, else lambda a (exp(x) - 1); Klambauer et al. 2017 */       \
    ROW(SIGMOID, sigmoid, 1)       /* 1 / (1 + exp(-x)) */                                                           \
    ROW(TANH, tanh, 1)                                                                                               \
    ROW(SOFTPLUS, softplus, 1)     /* log(1 + exp(x)), without overflow; derivative 1 - exp(-y) */                   \
    ROW(EXPONENTIAL, exponential, 1) /* exp(x) */                                                                    \
    ROW(SILU, silu, 0)             /* x sigmoid(x) */                                                                \
    ROW(GELU, gelu, 0)             /* x Phi(x), exact with erf; Hendrycks and Gimpel 2016 */

typedef enum {
#define ROW(NAME, name, from_output) FNN_##NAME,
    FNN_ACTIVATIONS(ROW)
#undef ROW
    FNN_ACTIVATION_COUNT
} fnn_activation;

/* C (m x n) = or += op(A) op(B), the sum over k; row strides in elements.
 *   gemm_nn: A is m x k, B is k x n      (forward:            y  = x W)
 *   gemm_nt: A is m x k, B is n x k      (gradient of inputs:  dx = dy W^T)
 *   gemm_tn: A is k x m, B is k x n      (gradient of weights: dW = x^T dy)
 * Without accumulate, bias (n values, or NULL) is added and the activation applied before C is stored.
 * With accumulate the product is added to C; bias is NULL and activation FNN_LINEAR then.
 * The order in which an element is summed over k depends on the dims alone, so the result is bitwise the same for any
 * number of threads. */
typedef struct fnn_gemm {
    int64_t m, n, k;
    int64_t lda, ldb, ldc;
    int32_t accumulate;
    int32_t activation; /* an fnn_activation */
    double alpha;       /* of leaky_relu and elu */
    const struct fnn_update *update; /* gemm_tn, without accumulate, bias and activation: the rule is applied to its
                                        vectors, of C's layout, with C as the gradient; what C holds then is
                                        unspecified. NULL: no rule */
} fnn_gemm;

/* Windows over an image (height x width x channels; a sequence has height 1): output position (i, j) of each image sees
 * the inputs (i stride_y - top + ky dilation_y, j stride_x - left + kx dilation_x), ky < kernel_height, kx < kernel_width.
 * What lies outside of the image is 0 to a convolution and absent to pooling, whose windows all meet their image. */
typedef struct fnn_window {
    int64_t rows; /* images */
    int64_t height, width, channels;
    int64_t out_height, out_width;
    int64_t kernel_height, kernel_width;
    int64_t stride_y, stride_x, top, left, dilation_y, dilation_x;
} fnn_window;

/* A convolution: y[n, i, j, f] = activation(bias[f] + sum over ky, kx, c of x[n, ., ., c] w[ky, kx, c, f]), where filter f
 * of group g = f / (filters / groups) sees the channels of that group alone.
 * The order in which an element is summed depends on the dims alone, so the result is bitwise the same for any number of
 * threads. */
typedef struct fnn_conv {
    fnn_window window;
    int64_t filters, groups;  /* groups divide channels and filters */
    int32_t activation;       /* an fnn_activation whose derivative comes from the output, where backward is called */
    int32_t adds_dx, adds_dw; /* backward adds to dx; to dw and dbias */
    double alpha;             /* of leaky_relu and elu */
    int64_t pool_height, pool_width; /* forward stores the largest value of each such window of outputs alone; the windows
                                        touch, and outputs that fill none are left out. conv_pools says for which dims
                                        it can; the activation is linear or relu. 0 0: no pooling; backward wants that */
} fnn_conv;

/* A normalization of rows: layer norm, or where not centered RMSNorm, which has neither mean nor bias. */
typedef struct fnn_row_norm {
    int64_t rows, cols;
    double epsilon; /* added to the variance, or to the mean of the squares */
    int32_t centered;
    int32_t adds_dx, adds_dw; /* backward adds to dx; to dweight and dbias */
} fnn_row_norm;

/* Rows of a table (tokens x cols) by `count` ids. */
typedef struct fnn_embed {
    int64_t count, tokens, cols;
    int32_t accumulate;              /* backward adds to the table's gradient */
    const struct fnn_update *update; /* backward, without accumulate: the rule is applied to its vectors in place of
                                        storing the gradient. NULL: no rule */
} fnn_embed;

/* The columns of a matrix by what was learned of them:
 *   y[i, j] = (v - mean[j]) / deviation[j],   v = x[i, j], or where that is NaN fill[j];
 * with indicators y has 2 cols columns, and y[i, cols + j] = 1 where x[i, j] is NaN, else 0. */
typedef struct fnn_standardize {
    int64_t rows, cols;
    int32_t indicators;
    int32_t adds_dx; /* backward adds to dx; its gradient is 0 where x is NaN */
} fnn_standardize;

/* Columns of a matrix as indicators of their categories. Of a row of x, y has first the columns `rest`, then for each of
 * `columns` a block of counts[c] values: 1 for the category that x equals, 0 for the others, and so all 0 where it equals
 * none; with `missing` one more, 1 where x is NaN. */
typedef struct fnn_one_hot {
    int64_t rows, cols, out; /* out: columns of y */
    int64_t rest_count, count;
    const int64_t *rest, *columns, *counts; /* together, rest and columns name every column of x once */
    int32_t missing;
    int32_t adds_dx; /* backward adds to dx; the gradient of encoded columns is 0 */
} fnn_one_hot;

/* Scaled dot product attention (Vaswani et al. 2017): for each row and head
 *   y_i = sum over j of softmax over j (q_i . k_j / sqrt(size)) v_j,
 * over the keys j that the mask allows and, if causal, j <= i + first. A query without any such key gives 0.
 * Of a row, query i of head h is size elements at q + (row queries + i) ldq + h size; key j of it at
 * k + row next_k + j ldk + h size, its value alike at v; y like q with ldy. */
typedef struct fnn_attention {
    int64_t rows, heads, queries, keys, size;
    int64_t ldq, ldk, ldy, next_k;
    int64_t first; /* keys before the first query's own, where causal; backward wants 0, and as many keys as queries */
    int32_t causal;
    int32_t adds; /* backward adds to dq, dk and dv */
} fnn_attention;
/* Batch normalization of the columns of a matrix (Ioffe and Szegedy 2015):
 *   y[i, j] = activation(weight[j] (x[i, j] - mean[j]) / sqrt(variance[j] + epsilon) + bias[j])
 * with the mean and the variance (of all rows, divided by their number) of each column. */
typedef struct fnn_batch_norm {
    int64_t rows, cols;
    double epsilon;
    double alpha;             /* of leaky_relu and elu */
    int32_t activation;       /* an fnn_activation whose derivative comes from the output, where backward is called */
    int32_t adds_dx, adds_dw; /* backward adds to dx; to dweight and dbias */
} fnn_batch_norm;
/* The cells of recurrent networks, with the sums that each step has in its gates: s = x W + b + h U, in columns of gates x
 * units, a gate's side by side. In the order of the columns:
 *   RNN_TANH, RNN_RELU   h' = tanh(s), max(s, 0)
 *   GRU    r, z, n       r, z = sigmoid(s); n = tanh(x W + b + r (h U + rb)); h' = (1 - z) n + z h
 *   LSTM   i, f, g, o    i, f, o = sigmoid(s); g = tanh(s); c' = f c + i g; h' = o tanh(c') */
typedef enum { FNN_RNN_TANH, FNN_RNN_RELU, FNN_GRU, FNN_LSTM } fnn_cell;

/* A recurrent network over sequences x (rows, steps, inputs). Where the mask (rows, steps) is 0 the state goes on unchanged.
 * The order in which an element is summed depends on the dims alone, so the result is bitwise the same for any number of
 * threads. */
typedef struct fnn_recurrent {
    int64_t rows, steps, inputs, units;
    int64_t row_y;     /* elements from one row of y to the next, and of c_last */
    int32_t cell;      /* an fnn_cell */
    int32_t reverse;   /* from the last step to the first; y has a step's output at its own place all the same */
    int32_t sequences; /* y holds h after every step, (steps, units) of each row; else after the last, (units) */
    int32_t adds_dx, adds_dw, adds_dh0, adds_dc0; /* backward adds to dx; to the parameters' gradients; to dh0; to dc0 */
} fnn_recurrent;

/* A loss over rows x cols. Row i has weight w[i] (1 where w is NULL). The kernel adds to *loss, in double,
 *   sum over i of w[i] * l_i,   and stores   dp[i, j] = scale * w[i] * dl_i / dp[i, j]   where dp is not NULL.
 * scale is 1 / (sum of the weights), so dp is the gradient of the weighted mean. */
typedef struct fnn_loss {
    int64_t rows, cols;
    double scale;
    double param; /* huber: delta; cross entropy and binary cross entropy: label smoothing; gaussian_nll:
                     the least log variance; others unused */
    const double *levels; /* quantile: the level of each column; NULL otherwise */
} fnn_loss;

/* Optimizers by name, with the slots that each keeps: vectors of the parameters' layout. */
#define FNN_OPTIMIZERS(ROW)                                                                                          \
    ROW(SGD, sgd, "velocity", NULL, NULL)        /* the slot is left alone without momentum */                       \
    ROW(RMSPROP, rmsprop, "square", "velocity", "mean") /* the second without momentum, the third if not centered */ \
    ROW(ADAGRAD, adagrad, "square", NULL, NULL)                                                                      \
    ROW(ADAM, adam, "m", "v", NULL)                                                                                  \
    ROW(RPROP, rprop, "previous", "size", NULL)

typedef enum {
#define ROW(NAME, name, first, second, third) FNN_##NAME,
    FNN_OPTIMIZERS(ROW)
#undef ROW
    FNN_OPTIMIZER_COUNT
} fnn_optimizer;

/* The numbers of an optimizer. Fields that a method does not name are unused by it. */
typedef struct fnn_optim {
    double learning_rate;
    double weight_decay;
    double momentum;          /* sgd, rmsprop */
    double beta1, beta2;      /* adam; rmsprop: beta2 is its smoothing constant; rprop: eta minus, eta plus */
    double epsilon;
    double step_min, step_max; /* rprop */
    int64_t step;             /* 1 for the first step */
    int32_t nesterov;         /* sgd */
    int32_t centered;         /* rmsprop */
    int32_t decoupled;        /* adam: weight decay as in AdamW */
} fnn_optim;

/* One optimizer step over a stretch of the flat vectors. */
typedef struct fnn_update {
    int32_t method; /* an fnn_optimizer */
    fnn_optim h;
    void *p, *slots[3]; /* real *: the parameters and the method's slots */
} fnn_update;

/* A stream of random numbers: value i is a function of (seed, stream, i) alone (Philox4x32-10, Salmon et al. 2011). */
typedef struct fnn_key {
    uint64_t seed, stream;
} fnn_key;

/* ---- the kernel tables --------------------------------------------------------------------------------------- */

#define real float
typedef struct fnn_kernels_f32 {
#define KERNEL(name, args) void(*name) args;
#include "kernels.def"
#undef KERNEL
} fnn_kernels_f32;
#undef real

#define real double
typedef struct fnn_kernels_f64 {
#define KERNEL(name, args) void(*name) args;
#include "kernels.def"
#undef KERNEL
} fnn_kernels_f64;
#undef real

/* One target: a table for each precision, and the scratch that gemm wants (bytes, for these dims and threads). */
typedef struct fnn_target {
    const char *name;     /* "baseline", "avx2", "avx512", ... */
    const char *features; /* what it was compiled for, for people */
    int (*supported)(void);
    const fnn_kernels_f32 *f32;
    const fnn_kernels_f64 *f64;
    size_t (*gemm_scratch_f32)(const fnn_gemm *d, int32_t precision, int32_t threads);
    size_t (*gemm_scratch_f64)(const fnn_gemm *d, int32_t precision, int32_t threads);
    int (*tiles)(void); /* whether this process may ask for FNN_HIGH and FNN_MEDIUM, which take tiles of bfloat16 */
} fnn_target;

/* The targets that were compiled in, best first; returns their number. Not all of them need run on this CPU. */
int fnn_targets(const fnn_target *const **list);
/* The target called name, or the best supported one where name is NULL; NULL where unknown or not supported. */
const fnn_target *fnn_find_target(const char *name);

/* ---- what holds for both precisions -------------------------------------------------------------------------- */

/* The calling thread's floating-point mode (MXCSR, FPCR): rounding, the treatment of denormals, sticky flags. fnn_parallel
 * hands it on to its workers. */
unsigned fnn_fp_mode(void);
void fnn_set_fp_mode(unsigned mode);
/* Makes this thread take denormals as zero; returns the mode before, for fnn_set_fp_mode to restore. */
unsigned fnn_flush_denormals(void);

/* CPUs that this process may use: affinity and cgroup limits counted in. At least 1. */
int fnn_cpu_count(void);
/* Cache sizes in bytes; a sensible guess where the system does not tell. */
size_t fnn_cache_size(int level);
/* For tests, which bring an emulator of AMX's instructions: 1 takes tiles for there, 0 forgets what is known of them. */
void fnn_assume_tiles(int there);

/* How many threads a call takes that does not say; 0 while nobody has set it, and setting 0 is to forget. Kernels and the
 * pool go by fnn_ctx alone. By these names, which are the only ones that the extension module exports, tools that limit
 * all threads of a process find it (threadpoolctl). */
#define FNN_EXPORTED __attribute__((visibility("default")))
FNN_EXPORTED int fastnn_get_num_threads(void);
FNN_EXPORTED void fastnn_set_num_threads(int threads);

/* While a thread has a watch, its kernels ask from time to time whether to go on, where they take long. After a no they
 * skip what is left, on the threads that help them too: they return within milliseconds, what they have written is
 * unspecified, and whoever set the watch drops it. Setting it begins anew; NULL ends it. */
typedef struct fnn_watch {
    int (*ask)(void *arg); /* not 0: stop. Called on the thread whose watch it is */
    void *arg;
    double next; /* when to ask, in seconds of CLOCK_MONOTONIC */
    int stopped; /* whether the answer was to stop */
} fnn_watch;
void fnn_set_watch(fnn_watch *watch);
/* Whether the work under way is to be given up. For loops whose turns take microseconds: asking the clock takes 25 ns. */
int fnn_stopped(void);

/* Calls task(arg, i) for every i in 0 .. chunks-1, on at most `threads` threads, the caller's among them; returns when
 * all are done, or a watch was stopped. What the chunks are must not depend on `threads`. Runs serially when the pool is
 * busy with another caller's work, when called from inside a task, and in the child of a fork until its first own use. */
typedef void (*fnn_task)(void *arg, int64_t chunk);
void fnn_parallel(int threads, int64_t chunks, fnn_task task, void *arg);
/* Threads now alive in the pool, the caller's not counted. */
int fnn_pool_size(void);
/* Ends the pool's threads; the next fnn_parallel makes new ones. */
void fnn_pool_shutdown(void);

#ifdef __cplusplus
}
#endif
#endif
