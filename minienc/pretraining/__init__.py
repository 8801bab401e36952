"""What you train: one file for each method, one protocol (``base``) for all."""

from minienc.pretraining.autoencoder import Autoencoder
from minienc.pretraining.base import Pretrainer
from minienc.pretraining.baselines import PCA, MeanSample
from minienc.pretraining.denoising import DenoisingAutoencoder
from minienc.pretraining.stacked import StackedAutoencoder

METHODS = {
    "autoencoder": Autoencoder,
    "denoising": DenoisingAutoencoder,
    "stacked": StackedAutoencoder,
}

__all__ = [
    "METHODS",
    "PCA",
    "Autoencoder",
    "DenoisingAutoencoder",
    "MeanSample",
    "Pretrainer",
    "StackedAutoencoder",
]
