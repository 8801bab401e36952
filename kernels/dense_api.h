/* The dense layer's functions in the table of kernels.h. */
#ifndef MINIENC_DENSE_API_H
#define MINIENC_DENSE_API_H

#include <stddef.h>

#define DENSE_FUNCTIONS(F)

#endif
