/* Everything that is compiled once for each instruction set, for float and for double.
   kernels.c defines ISA (baseline, avx2, avx512) and BYTES, and includes this. */

#define PASTE3(a, b, c) a##_##b##_##c
#define EXPAND3(a, b, c) PASTE3(a, b, c)
#define NAME(f) EXPAND3(f, TYPE, ISA)

#define REAL float
#define TYPE f32
#define IS_F32 1
#define MASK_INT int32_t
#include "body.h"
#undef REAL
#undef TYPE
#undef IS_F32
#undef MASK_INT

#define REAL double
#define TYPE f64
#define IS_F32 0
#define MASK_INT int64_t
#include "body.h"
#undef REAL
#undef TYPE
#undef IS_F32
#undef MASK_INT

#undef NAME
#undef EXPAND3
#undef PASTE3
