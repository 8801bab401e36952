"""Good parameters for such data, where nothing else is said on the command line.

One row for each method, found by its name; what a row does not say is the class's own default.
``common`` is for what restores samples through a code, and for methods that have no row.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from minienc import audio
from minienc.pretraining import Pretrainer


def suggest(
    method: type[Pretrainer], n_samples: int, sample_shape: Sequence[int], in_unit_interval: bool
) -> dict[str, Any]:
    """Parameters of this method for so many samples of this shape."""
    n_features = math.prod(sample_shape)
    large, wide = n_samples >= 10_000, n_features >= 256
    code = min(30 if wide else 10, max(1, n_features // 2))  # narrower than what it stands for
    units = "binary" if in_unit_interval else "gaussian"
    loss = "binary_crossentropy" if in_unit_interval else "mean_squared_error"
    image = {"image_shape": tuple(sample_shape) if len(sample_shape) > 1 else None}
    common = {
        "hidden": (512, 128, code) if wide else (128, 64, code),
        "loss": loss,
        "epochs": 20 if large else 100,
        "batch_size": 128 if large else min(32, n_samples),
    }
    rows: dict[str, dict[str, Any]] = {
        "sparse": common | {"hidden": (400,) if wide else (100,)},
        "contractive": common | {"hidden": (256,) if wide else (64,)},
        "masked": common | image | {"patch_size": 4 if wide else 2},
        "convolutional": common | image | {"code": code, "epochs": 10 if large else 100},
        "aae": common | {"hidden": (512, 256) if wide else (128,), "code": min(16, code)},
        "variational": common
        | {
            "hidden": (400,) if wide else (128,),
            "code": 40 if wide else code,
            "likelihood": "bernoulli" if in_unit_interval else "gaussian",
        },
        "vq": common
        | {
            "hidden": (512, 256) if wide else (128,),
            "groups": 16 if wide else 8,
            "n_codes": 256 if wide else 64,
        },
        "gan": image
        | {
            "output_activation": "sigmoid" if in_unit_interval else "linear",
            "hidden": (512, 256) if wide else (128, 64),
            "epochs": 20 if large else 300,
            "learning_rate": 2e-4 if large else 5e-4,
            "batch_size": 64 if large else 32,
        },
        "rbm": {
            "n_components": 500 if large else 100,
            "visible": units,
            "learning_rate": 0.05 if in_unit_interval else 0.005,
            "epochs": 15 if large else 60,
        },
        "dbn": common
        | {
            "hidden": (500, 250, code) if wide else (128, 64, code),
            "visible": units,
            "epochs_per_layer": 10 if large else 100,
        },
        "kmeans": {"n_clusters": min(400 if wide else 100, n_samples // 2 or 1), "epochs": 20},
        "patches": image
        | {
            "patch_size": 6 if wide else 4,
            "stride": 2 if wide else 1,
            "n_centroids": 100 if wide else 64,
        },
        **{name: {"batch_size": min(32, n_samples)} for name in audio.METHODS},
        "dec": {}
        if wide
        else {
            "hidden": (128, code),
            "loss": loss,
            "pretraining_epochs": 60,
            "epochs": 60,
            "batch_size": 128,
            "update_every": 12,
            "learning_rate": 1e-3,
        },
    }
    return next((rows[name] for name in method.kinds() if name in rows), common)
