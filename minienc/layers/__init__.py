"""Owners of weights: ``base`` has the laws, ``graph`` the graphs, and the layers are thin.

Each file says what of it is public; here stand the files.
"""

from minienc.layers.attention import *
from minienc.layers.augmentation import *
from minienc.layers.base import *
from minienc.layers.centroids import *
from minienc.layers.convolution import *
from minienc.layers.dense import *
from minienc.layers.embedding import *
from minienc.layers.masking import *
from minienc.layers.noise import *
from minienc.layers.normalization import *
from minienc.layers.parameters import *
from minienc.layers.pooling import *
from minienc.layers.quantization import *
from minienc.layers.recurrent import *
from minienc.layers.sequences import *
from minienc.layers.shaping import *
from minienc.layers.sparsity import *
from minienc.layers.spectral_normalization import *
from minienc.layers.symbolic import *
from minienc.layers.uncertainty import *

__all__ = [name for name in dir() if name[0].isupper()]
