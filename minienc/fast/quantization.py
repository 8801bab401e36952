"""The nearest code of a codebook, on the compiled kernel: distances, choice and sums by code."""

from __future__ import annotations

import numpy as np

from minienc import _kernels
from minienc.functions.quantization import NearestCodeCache, QuantizationErrorCache
from minienc.primitive import register_fast
from minienc.shapes import Form


@register_fast
def quantization_error_forward(z, C):
    result = _kernels.quantization_forward(z, C)
    if result is None:
        return NotImplemented
    e, index, q = result
    return e, QuantizationErrorCache(z, index, q, Form(e.shape, e.dtype), len(C))


@register_fast
def quantization_error_backward(de, cache: QuantizationErrorCache):
    z, index, q, e, n_codes = cache
    if type(de) is not np.ndarray or e != (de.shape, de.dtype):
        return NotImplemented
    result = _kernels.quantization_backward(de, z, index, q, n_codes)
    return NotImplemented if result is None else result


@register_fast
def nearest_code_forward(z, C):
    result = _kernels.quantization_forward(z, C)
    if result is None:
        return NotImplemented
    _, index, y = result
    return y, NearestCodeCache(index, Form(y.shape, y.dtype), len(C))
