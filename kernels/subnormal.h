/* Numbers below 1e-38 (float; 1e-308 for double) have fewer digits, and an x86 processor takes a
   hundred times as long for an operation on one. They come up where a network has learned something
   by heart: the gradient of a pixel that is right shrinks towards 0 and past them, and so do Adam's
   averages of a unit that has died.

   They are taken for 0 in the losses and their gradients, in the dense layer's backward, and in the
   optimisers' steps. The error of that is 1e-38 at most. The mode is the thread's own, and ends with
   the task. (An arm64 processor is as fast with them, and needs no mode.) */
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
