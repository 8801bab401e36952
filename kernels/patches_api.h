/* Patches of images in the table of kernels.h, and their struct of arguments. */
#ifndef MINIENC_PATCHES_API_H
#define MINIENC_PATCHES_API_H

#include <stddef.h>

/* Windows of KH x KW pixels, SH and SW pixels apart, OH x OW of them on each image; `top` rows and
   `left` columns of the first lie outside of it, where there is 0. x is (N, H, W, C), y (N, OH, OW,
   KH KW C), both contiguous. */
struct patches {
    ptrdiff_t N, H, W, C, KH, KW, SH, SW, OH, OW, top, left;
    void *x, *y;
};

#define PATCHES_FUNCTIONS(F) \
    F(cut_patches, patches) \
    F(lay_patches_back, patches)

#endif
