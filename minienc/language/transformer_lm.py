"""A Transformer that writes: each step looks back at all steps, and takes what it needs.

Blocks of causal attention and a wide layer, each adding to what it was given (``layers/
attention.py``). Where a step stands is said by turning queries and keys (rotary), or by a learned
vector for each place.

Sources: Vaswani et al. 2017, "Attention is all you need"; Radford, Narasimhan, Salimans and
Sutskever 2018, "Improving language understanding by generative pre-training"; Zhang and Sennrich
2019 (RMS norm); So et al. 2021, "Primer" (relu squared).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from minienc.language.base import check_heads
from minienc.language.lm import LanguageModel
from minienc.layers import LayerNormalization, PositionEmbedding, RMSNormalization, TransformerBlock
from minienc.layers.symbolic import SymbolicTensor, Tensors
from minienc.pretraining.base import check_counts


class TransformerLanguageModel(LanguageModel):
    """Predict the next token by attention to those before it.

    Parameters
    ----------
    n_layers : int
        Blocks.
    num_heads : int
        Of each attention; they share the ``embedding`` features.
    expansion : float
        The inner layer of a block is so many times as wide.
    activation : str
        Of the inner layer.
    norm : {"rms", "layer"}
    positions : {"rotary", "learned"}
    qk_norm : bool
        Whether queries and keys are made as long as one another.
    use_bias : bool
    **params
        As of ``LanguageModel``. With the optimiser "muon" the learning rate is the matrices'; the
        other parameters move at a tenth of it, by AdamW.

    Examples
    --------
    >>> text = "the cat sat on the mat. the dog sat on the log. " * 40
    >>> method = TransformerLanguageModel(
    ...     n_layers=1, num_heads=2, embedding=8, context=16, epochs=1, random_state=0
    ... )
    >>> method = method.fit(text)
    >>> method.transform(text).shape[1]
    8
    """

    method = "transformer_lm"
    choices: ClassVar = {
        **LanguageModel.choices,
        "norm": ("rms", "layer"),
        "positions": ("rotary", "learned"),
    }
    n_layers: int = 4
    num_heads: int = 4
    expansion: float = 4
    activation: str = "relu_squared"
    norm: str = "rms"
    positions: str = "rotary"
    qk_norm: bool = True
    use_bias: bool = False
    tied = True
    optimizer = "muon"
    learning_rate = 0.02
    weight_decay = 0.0
    epochs = 3

    def check_params(self, sample_shape: Sequence[int]) -> None:
        super().check_params(sample_shape)
        name = type(self).__name__
        check_counts(name, n_layers=self.n_layers, num_heads=self.num_heads)
        check_heads(name, self.embedding, self.num_heads)

    def body(self, x: SymbolicTensor, states: Tensors) -> tuple[SymbolicTensor, Tensors]:
        if self.positions == "learned":
            x = PositionEmbedding(name="positions")(x)
        for k in range(1, self.n_layers + 1):
            x = TransformerBlock(
                self.num_heads,
                self.expansion,
                self.activation,
                causal=True,
                rotary=self.positions == "rotary",
                qk_norm=self.qk_norm,
                dropout=self.dropout,
                norm=self.norm,
                use_bias=self.use_bias,
                name=f"block_{k}",
            )(x)
        norm = RMSNormalization if self.norm == "rms" else LayerNormalization
        return norm(name="norm")(x), []
