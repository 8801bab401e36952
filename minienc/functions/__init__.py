"""The mathematics: pairs ``X_forward`` / ``X_backward``, one idea a file, by hand.

    y, cache = dense_forward(x, W, b, activation="relu")  # pure; changes nothing
    dx, dW, db = dense_backward(dy, cache)  # one gradient for each array argument, in its order

The numbers ``# (1)`` on a forward's lines are quoted by the lines of the backward that undo them.
Here stand the files; public is every primitive in them.
"""

from minienc.functions.activations import *
from minienc.functions.attention import *
from minienc.functions.augmentation import *
from minienc.functions.clustering import *
from minienc.functions.contraction import *
from minienc.functions.conv1d import *
from minienc.functions.convolution import *
from minienc.functions.copying import *
from minienc.functions.dense import *
from minienc.functions.embedding import *
from minienc.functions.energy import *
from minienc.functions.gated import *
from minienc.functions.gru import *
from minienc.functions.joint_normalization import *
from minienc.functions.joint_sparsity import *
from minienc.functions.losses import *
from minienc.functions.lstm import *
from minienc.functions.masking import *
from minienc.functions.merging import *
from minienc.functions.multi_head_attention import *
from minienc.functions.negative_sampling import *
from minienc.functions.noise import *
from minienc.functions.normalization import *
from minienc.functions.optimizers import *
from minienc.functions.penalties import *
from minienc.functions.pooling import *
from minienc.functions.pooling1d import *
from minienc.functions.positions import *
from minienc.functions.quantization import *
from minienc.functions.recurrent import *
from minienc.functions.reversing import *
from minienc.functions.rms_normalization import *
from minienc.functions.slopes import *
from minienc.functions.sparsity import *
from minienc.functions.uncertainty import *
from minienc.functions.variational import *
from minienc.primitive import Primitive

__all__ = [name for name, value in globals().items() if isinstance(value, Primitive)]
__all__ += ["ACTIVATIONS", "get_activation", "power_iteration", "sinusoidal_positions"]
