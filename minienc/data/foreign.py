"""What else people give: files of other programs, known by how they begin, and the way from there.

Nothing of them is read; the sentence says what the file is and how it becomes one that is.
"""

from __future__ import annotations

import re

_CSV, _NUMPY = "write it as CSV", "numpy.save what is in it"
_BEGINNINGS = {
    b"PK\x03\x04.{26}\\[Content_Types\\]\\.xml": ("an Office file", "save the sheet as CSV"),
    b"PK\x03\x04.{26}mimetypeapplication/vnd\\.oasis": ("OpenDocument", "save the sheet as CSV"),
    b"PK\x03\x04.{26}[^\0]{0,200}data\\.pkl": ("a file of torch.save", f"load it, and {_NUMPY}"),
    b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1": ("an old Office file", "save the sheet as CSV"),
    b"\x80[\x02-\x05]": ("a pickle, which may run anything and is never read", _NUMPY),
    b"\x89HDF\r\n": ("HDF5", f"open it with h5py, and {_NUMPY}"),
    b"MATLAB ": ("a MATLAB file", f"open it with scipy.io.loadmat, and {_NUMPY}"),
    b"PAR1": ("Parquet", f"open it with pandas.read_parquet, and {_CSV}"),
    b"ARROW1|FEA1": ("Arrow", f"open it with pandas.read_feather, and {_CSV}"),
    b"SQLite format 3": ("a database of SQLite", f"select a table, and {_CSV}"),
    b"%PDF-": ("a PDF", f"copy the table out, and {_CSV}"),
    b"\\s*(?i:<!doctype html|<html)": (
        "a web page, of a download that failed, perhaps",
        "look at it",
    ),
    b'\\s*[\\[{]\\s*[\\[{"]': ("JSON", f"open it with pandas.read_json, and {_CSV}"),
    b"(%[^\n]*\n|\\s)*@(?i:relation)\\s": ("ARFF, of Weka", "delete all up to the line @data"),
    b"[-+\\d.]+( \\d+:[-+\\d.eE]+)+ *\r?\n": (
        "in the format of LIBSVM",
        f"open it with sklearn.datasets.load_svmlight_file, and {_NUMPY}",
    ),
    b"7z\xbc\xaf\x27\x1c|Rar!|BZh|\xfd7zXZ\0|\\(\xb5/\xfd": ("an archive", "unpack it first"),
}
_KNOWN = [
    (re.compile(beginning, re.DOTALL), said, mend)
    for beginning, (said, mend) in _BEGINNINGS.items()
]


def foreign(start: bytes) -> str | None:
    """What a file is that begins so, and what to do with it; None for what is not known here."""
    for beginning, said, mend in _KNOWN:
        if beginning.match(start):
            return f"is {said}; {mend}"
    return None
