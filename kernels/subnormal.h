/* Numbers below 1e-38 (float; 1e-308 for double) have fewer digits, and an x86 processor takes a
   hundred times as long to multiply one. In training they come up where Adam averages the gradient
   of a unit that has died: the average shrinks to such a number, and stays one.

   So while an optimiser's step runs, they are taken for 0, where that cannot be told from rounding:
   the boundary allows it if the gradient is scaled by 1 at most, the learning rate is 1 at most, and
   what a step divides by has an epsilon of 1e-12 at least. A weight is then off by 1e-38 times the
   learning rate divided by epsilon. The mode is the thread's own, and ends with the task. (An arm64
   processor is as fast with them, and needs no mode.) */
#ifndef MINIENC_SUBNORMAL_H
#define MINIENC_SUBNORMAL_H

#if defined(__SSE2__)
#include <xmmintrin.h>
static inline unsigned without_subnormals(void)
{
    const unsigned mode = _mm_getcsr();
    _mm_setcsr(mode | 0x8040); /* flush to zero: results; denormals are zeros: arguments */
    return mode;
}
static inline void with_subnormals(unsigned mode) { _mm_setcsr(mode); }
#else
static inline unsigned without_subnormals(void) { return 0; }
static inline void with_subnormals(unsigned mode) { (void)mode; }
#endif

#endif
