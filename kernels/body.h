/* The body: what one instruction set does with one type. No include guards: see isa.h. */
#include "simd.h"
#include "vmath.h"     /* exp, tanh, sigmoid, log ... of a vector, and each activation with its slope */
#include "sums.h"      /* the vectors of a row, and their sum */
#include "sweep.h"     /* number by number: activations, optimisers' steps */
#include "rows.h"      /* row by row: softmax, losses with their gradients */
#include "staircase.h" /* the matrix product in two plain steps */
#include "slope.h"     /* the slope of a dense layer's activation, as the product packs it */
#include "tile.h"      /* the third step: the micro-kernel, */
#include "packing.h"   /* what is copied for it, */
#include "gemm.h"      /* the loops around it, with bias and activation in the last of them, */
#include "grid.h"      /* and the threads that share them */
#include "dense.h"     /* the dense layer: its products, and the slope */
#include "wide.h"      /* tiles that end with something between their vectors */
#include "cells.h"     /* the cells of recurrent networks: LSTM, GRU, RNN */
#include "recurrent.h" /* a whole sequence of them, forward */
#include "recurrent_backward.h" /* and backward */
#include "norms.h"     /* layer and root mean square normalisation, an embedding's gradient */
#include "patches.h"   /* of images, cut out and laid back */
#include "pools.h"     /* the largest of a window's pixels, or their sum */
#include "columns.h"   /* column by column: sums, a bias, batch normalisation */
#include "variational.h" /* a draw that gradients pass, and its divergence */
#include "attention.h" /* each head's products, with the softmax between them */
#include "positions.h" /* rotary positions */
#include "quantization.h" /* the nearest code of a codebook */
#include "between.h"   /* what stands between the large ones: a fill, a sum */

/* The names that these files leave behind would mean something else for the next type. */
/* simd.h */
#undef LANES
#undef VEC
#undef VEC_U
#undef MASK
#undef LOAD
#undef STORE
#undef SPLAT
#undef SELECT
/* vmath.h */
#undef EITHER
#undef BITS_INT
#undef BITS
#undef MANTISSA
#undef BIAS
#undef SIGN_BIT
#undef HALF_ROOT_BITS
#undef MAGIC
#undef MAGIC_BITS
#undef LN2_HIGH
#undef LN2_LOW
#undef EXP_HIGHEST
#undef EXP_LOWEST
#undef NOTHING_BESIDE_1
#undef INTRINSIC
#undef POLYNOMIAL
/* sums.h */
#undef EACH_VECTOR
#undef PART
#undef PUT
#undef HALVES
/* rows.h */
#undef LEAST
#undef LOG_LEAST
#undef P_LOW
#undef P_HIGH
/* slope.h */
#undef STRIPE
/* tile.h */
#undef ROWS
#undef PANEL
#undef TILE
/* packing.h */
#undef SHUFFLE
/* gemm.h */
#undef DEPTH
#undef WIDTH
#undef GROUP
#undef A_WIDTH
#undef SKEW
/* wide.h */
#undef ROWS_OF_4
#undef ROWS_OF_3
/* cells.h */
#undef MOST_SLOTS
/* norms.h */
#undef NORM_BLOCK
/* columns.h */
#undef COLUMN_BLOCK
/* attention.h */
#undef QUERIES
#include "sequences.h" /* of which so many steps count: turned round, and their mean */
#include "penalties.h" /* on what a layer returns: signs, and the mean activity of each unit */
