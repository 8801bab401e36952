/* The body: what one instruction set does with one type. No include guards: see isa.h. */
#include "simd.h"
#include "vmath.h"  /* exp, tanh, sigmoid, erf ... of a vector, and each activation with its slope */
#include "pointwise.h" /* losses with their gradients, optimiser steps, plain activations */
#include "staircase.h" /* the matrix product in two plain steps */
#include "slope.h"  /* the slope of a dense layer's activation, as the product packs it */
#include "gemm.h"   /* the matrix product with bias and activation in its last step */
#include "dense.h"  /* the dense layer: its products, and the slope */

#undef LANES
#undef VEC
#undef VEC_U
#undef MASK
#undef LOAD
#undef STORE
#undef SPLAT
#undef SELECT
