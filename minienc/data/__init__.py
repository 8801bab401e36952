"""Data: from files and folders to batches of numbers.

``load_dataset`` opens a name or a path. Images stay bytes in memory (``Pixels``) and become
floats batch by batch; sounds become frames of mel bands (``sequences.py``).
"""

from minienc.data.batching import batch_indices
from minienc.data.checks import check_data
from minienc.data.datasets import Dataset
from minienc.data.digits import load_digits
from minienc.data.idx import read_idx
from minienc.data.images import read_image_folder
from minienc.data.loading import load_dataset
from minienc.data.npy import read_npy, read_npz
from minienc.data.pairs import TextPairs, load_pairs
from minienc.data.pixels import Pixels
from minienc.data.raw import RawData
from minienc.data.shard_files import open_shards
from minienc.data.shard_sounds import open_sounds
from minienc.data.shards import Shards, iterated_shards, made_shards
from minienc.data.tables import read_csv
from minienc.data.text_files import TextFiles, open_texts
from minienc.data.wav import read_sound, read_wav, write_wav

__all__ = [
    "Dataset",
    "Pixels",
    "RawData",
    "Shards",
    "TextFiles",
    "TextPairs",
    "batch_indices",
    "check_data",
    "iterated_shards",
    "load_dataset",
    "load_digits",
    "load_pairs",
    "made_shards",
    "open_shards",
    "open_sounds",
    "open_texts",
    "read_csv",
    "read_idx",
    "read_image_folder",
    "read_npy",
    "read_npz",
    "read_sound",
    "read_wav",
    "write_wav",
]
