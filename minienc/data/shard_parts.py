"""Parts of shards: some samples of all, and some that are kept for testing."""

from __future__ import annotations

from functools import partial

import numpy as np

from minienc.data.shards import Shard, Shards

MOST_SHARDS = 16  # that are looked into
MOST_NUMBERS = 1 << 26  # of the samples that are taken: 256 MB of float32


def hold_out(X: Shards, share: float = 0.2, most: int = 10_000) -> tuple[Shards, np.ndarray]:
    """What is left to learn from, and (n, ...) samples to test on, always the same.

    They are the last ones of up to 16 shards, evenly chosen: ``share`` of all samples, ``most`` at
    most, and never more than half of a shard.

    Raises
    ------
    ValueError
        If there is one sample in each shard, so that none can be spared.
    """
    chosen = _chosen(X)
    wanted = -(-_number(X, share * len(X), most) // len(chosen))
    taken = {k: min(wanted, X.shards[k].n // 2) for k in chosen}
    if not any(taken.values()):
        raise ValueError(
            f"{X.shards[0].name}: a shard of one sample, expected two or more, of which one is "
            f"kept for testing; put more of them into a file"
        )
    rows = [np.arange(X.ends[k] - n, X.ends[k]) for k, n in taken.items()]
    left = [_shortened(shard, taken.get(k, 0)) for k, shard in enumerate(X.shards)]
    return X.with_shards(left), X[np.concatenate(rows)]


def some_samples(X: Shards, most: int = 10_000) -> np.ndarray:
    """(n, ...) samples, the first ones of up to 16 shards, evenly chosen: what can be measured in
    memory of more than fits there."""
    chosen = _chosen(X)
    wanted = -(-_number(X, len(X), most) // len(chosen))
    rows = [np.arange(X.starts[k], min(X.starts[k] + wanted, X.ends[k])) for k in chosen]
    return X[np.concatenate(rows)]


def _chosen(X: Shards) -> list[int]:
    places = np.linspace(0, len(X.shards) - 1, min(len(X.shards), MOST_SHARDS))
    return places.round().astype(int).tolist()


def _number(X: Shards, wanted: float, most: int) -> int:
    width = max(1, X.size // len(X))
    return max(1, min(round(wanted), most, MOST_NUMBERS // width))


def _shortened(shard: Shard, n: int) -> Shard:
    """Without its last n samples."""
    if n == 0:
        return shard
    return Shard(shard.name, shard.n - n, partial(_without_last, shard, n))


def _without_last(shard: Shard, n: int) -> np.ndarray:
    part = shard.load()
    if len(part) != shard.n:
        raise ValueError(f"{shard.name}: holds {len(part)} samples, expected {shard.n}")
    return part[: shard.n - n]
