/* The kernel table of the precision that an engine module is built for. */
#ifndef FASTNN_PRECISION_H
#define FASTNN_PRECISION_H
#include "fastnn.h"
#ifdef FNN_F64
typedef fnn_kernels_f64 fnn_kernels;
#else
typedef fnn_kernels_f32 fnn_kernels;
#endif
#endif
