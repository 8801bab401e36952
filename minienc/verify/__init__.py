"""Verifying gradients: what a backward claims, against what the forward does."""

from minienc.verify.numeric import numerical_gradient

__all__ = ["numerical_gradient"]
