/* What C offers to the boundary (_kernels.pyx), and how one of several compilations is chosen.

   The same source is compiled for each instruction set and each type (see kernels.c). What comes
   out are tables of functions, one table for each (instruction set, type); the best that this
   machine has are chosen when the module is loaded. */
#ifndef MINIENC_KERNELS_H
#define MINIENC_KERNELS_H

#include <stddef.h>
#include <stdint.h>

/* The activations of minienc/functions/activations.py. alpha is leaky_relu's negative_slope and
   elu's alpha; the others ignore it. */
enum activation {
    ACT_IDENTITY,
    ACT_RELU,
    ACT_LEAKY_RELU,
    ACT_ELU,
    ACT_SIGMOID,
    ACT_TANH,
    ACT_SOFTPLUS,
    ACT_GELU
};

#include "dense_api.h"     /* the structs of arguments of dense.h, and DENSE_FUNCTIONS */
#include "pointwise_api.h" /* those of sweep.h and rows.h, and POINTWISE_FUNCTIONS */
#include "attention_api.h" /* that of attention.h, and ATTENTION_FUNCTIONS */
#include "norms_api.h"     /* those of norms.h, and NORMS_FUNCTIONS */
#include "patches_api.h"   /* that of patches.h, and PATCHES_FUNCTIONS */
#include "pools_api.h"     /* that of pools.h, and POOLS_FUNCTIONS */
#include "columns_api.h"   /* those of columns.h, and COLUMNS_FUNCTIONS */
#include "variational_api.h" /* that of variational.h, and VARIATIONAL_FUNCTIONS */
#include "recurrent_api.h" /* that of recurrent.h, and RECURRENT_FUNCTIONS */
#include "positions_api.h" /* that of positions.h, and POSITIONS_FUNCTIONS */
#include "quantization_api.h" /* that of quantization.h, and QUANTIZATION_FUNCTIONS */
#include "sequences_api.h" /* that of sequences.h, and SEQUENCES_FUNCTIONS */
#include "penalties_api.h" /* those of penalties.h, and PENALTIES_FUNCTIONS */
#include "between_api.h"   /* those of between.h, and BETWEEN_FUNCTIONS */

/* Each function takes one struct of arguments, and returns 0, or -1 where there was no memory for
   its scratch: F(name, the struct's name). Arrays come as void *, numbers as double, so one kind of
   table serves both types. The list is a macro, so that a function is named once: it becomes a field
   of the table and in kernels.c the field's value, and in plan.h a number. */
#define KERNEL_FUNCTIONS(F)                       \
    DENSE_FUNCTIONS(F)                            \
    POINTWISE_FUNCTIONS(F)                        \
    NORMS_FUNCTIONS(F)                            \
    PATCHES_FUNCTIONS(F)                          \
    POOLS_FUNCTIONS(F)                            \
    COLUMNS_FUNCTIONS(F)                          \
    VARIATIONAL_FUNCTIONS(F)                      \
    RECURRENT_FUNCTIONS(F)                        \
    ATTENTION_FUNCTIONS(F)                        \
    POSITIONS_FUNCTIONS(F)                        \
    QUANTIZATION_FUNCTIONS(F)                     \
    SEQUENCES_FUNCTIONS(F)                        \
    PENALTIES_FUNCTIONS(F)                        \
    BETWEEN_FUNCTIONS(F)

struct kernels {
    const char *isa;
    int (*lanes)(void); /* numbers of a vector */
    void (*staircase)(int step, const struct product *);
#define F(name, arguments) int (*name)(const struct arguments *);
    KERNEL_FUNCTIONS(F)
#undef F
};

/* The tables in use; never NULL once kernels_use(NULL) was called. */
extern const struct kernels *kernels_f32, *kernels_f64;

/* Use the named instruction set, or the best one for NULL.
   0: done; -1: there is none of that name; -2: this machine lacks it. */
int kernels_use(const char *isa);

/* The i-th instruction set that this machine has, from the plainest; NULL when there are no more. */
const char *kernels_available(int i);

#endif
