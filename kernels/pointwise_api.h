/* The functions of pointwise.h in the table of kernels.h, and their structs of arguments. */
#ifndef MINIENC_POINTWISE_API_H
#define MINIENC_POINTWISE_API_H

/* F(int, adam_step, (const struct adam_step *)) and so on */
#define POINTWISE_FUNCTIONS(F)

#endif
