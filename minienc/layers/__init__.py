"""Owners of weights: ``base`` has the laws, ``graph`` the graphs, and the layers are thin."""

from minienc.layers.base import Layer
from minienc.layers.centroids import Centroids
from minienc.layers.convolution import Conv2D, Conv2DTranspose, Patches
from minienc.layers.dense import Activation, Dense, DenseTranspose
from minienc.layers.noise import Dropout, GaussianNoise, MaskingNoise, SaltAndPepperNoise
from minienc.layers.normalization import (
    BatchNormalization,
    LayerNormalization,
    SpectralNormalization,
)
from minienc.layers.parameters import Gradients, Parameter, Parameters
from minienc.layers.pooling import (
    AveragePooling2D,
    GlobalAveragePooling2D,
    MaxPool2D,
    UpSampling2D,
)
from minienc.layers.quantization import VectorQuantizer
from minienc.layers.shaping import Add, Concatenate, Flatten, Reshape
from minienc.layers.sparsity import KSparse
from minienc.layers.symbolic import Input

__all__ = [
    "Activation",
    "Add",
    "AveragePooling2D",
    "BatchNormalization",
    "Centroids",
    "Concatenate",
    "Conv2D",
    "Conv2DTranspose",
    "Dense",
    "DenseTranspose",
    "Dropout",
    "Flatten",
    "GaussianNoise",
    "GlobalAveragePooling2D",
    "Gradients",
    "Input",
    "KSparse",
    "Layer",
    "LayerNormalization",
    "MaskingNoise",
    "MaxPool2D",
    "Parameter",
    "Parameters",
    "Patches",
    "Reshape",
    "SaltAndPepperNoise",
    "SpectralNormalization",
    "UpSampling2D",
    "VectorQuantizer",
]
