/* instance.h: the vocabulary and every kernel body, for the current precision and target. A body may use what is
 * included above it. */
#include SIMD
#include "../simd/math.h"
#include "../kernels/loop.h"
#include "../kernels/eltwise.h"
#include "../kernels/activation.h"
#include "../kernels/copy.h"
#include "../kernels/reduce.h"
#include "../kernels/softmax.h"
#include "../kernels/loss.h"
#include "../kernels/cross_entropy.h"
#include "../kernels/optim.h"
#include "../kernels/penalty.h"
#include "../kernels/random.h"
#include "../kernels/gemm.h"
#include "../kernels/window.h"
#include "../kernels/conv.h"
#include "../kernels/pooling.h"
