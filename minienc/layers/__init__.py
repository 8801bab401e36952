"""Owners of weights: ``base`` has the laws, ``graph`` the graphs, and the layers are thin."""

from minienc.layers.base import Gradients, Layer, Parameter, Parameters
from minienc.layers.dense import Activation, Dense, DenseTranspose
from minienc.layers.graph import Input
from minienc.layers.noise import Dropout, GaussianNoise, MaskingNoise, SaltAndPepperNoise
from minienc.layers.shaping import Add, Concatenate, Flatten, Reshape

__all__ = [
    "Activation",
    "Add",
    "Concatenate",
    "Dense",
    "DenseTranspose",
    "Dropout",
    "Flatten",
    "GaussianNoise",
    "Gradients",
    "Input",
    "Layer",
    "MaskingNoise",
    "Parameter",
    "Parameters",
    "Reshape",
    "SaltAndPepperNoise",
]
