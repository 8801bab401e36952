"""WAV files: RIFF, read part by part, and written.

    "RIFF" size "WAVE"   then parts, each a name of four letters, a size, so many bytes, and one
                         more where their number is odd
    "fmt "               what kind of samples, how many channels, how many a second
    "data"               the samples: channel after channel, frame after frame

Read are PCM of 8, 16, 24 and 32 bits and floats of 32 and 64, with the plain header or the
extensible one, of 1 to 8 channels. Whatever else stands in such a file is named and refused.
Samples are floats, from -1 up to 1: PCM is divided by the half of its range (8 bits are unsigned,
around 128), floats stay as they are. The rate is the file's own; nothing is resampled.

How much sound there is, the file declares, and that much must be there: a file that is cut short is
refused. A size of 0xFFFFFFFF, or of 0 in both places, is what is written into a pipe, whose end
nobody knows: then all that stands there is sound.

Source: Microsoft and IBM 1991, "Multimedia programming interface and data specifications 1.0"; for
the extensible header, Microsoft, "Multiple channel audio data and WAVE files".
"""

from __future__ import annotations

import io
import os
import struct
from pathlib import Path
from typing import IO, NamedTuple

import numpy as np

from minienc.arrays import DTypeLike
from minienc.data.limits import check_memory, read_numbers
from minienc.data.pixels import check_float_dtype
from minienc.data.raw import check_file
from minienc.files import atomic_write

PCM, FLOAT, EXTENSIBLE = 1, 3, 0xFFFE
MOST_CHANNELS, MOST_RATE = 8, 768_000  # Hz: twice what the fastest converters for sound do
_SIZES = {PCM: (8, 16, 24, 32), FLOAT: (32, 64)}  # bits a sample
_OPEN = 0xFFFFFFFF  # the size of what was written into a pipe
_MOST_PARTS = 1000  # before the samples
_GUID = bytes.fromhex("000000001000800000aa00389b71")  # behind the kind, in an extensible header
_COMPRESSED = {
    0x02: "Microsoft's ADPCM",
    0x06: "A-law",
    0x07: "mu-law",
    0x11: "IMA's ADPCM",
    0x31: "GSM 6.10",
    0x40: "G.721 ADPCM",
    0x50: "MPEG",
    0x55: "MP3",
    0xFF: "AAC",
    0x161: "Windows Media Audio",
    0xF1AC: "FLAC",
}


class Wav(NamedTuple):
    """The sound of a file."""

    samples: np.ndarray  # (L, C) floats, about -1 to 1
    rate: int  # Hz: frames a second


class _Form(NamedTuple):
    """What the part "fmt " says."""

    kind: int
    channels: int
    rate: int
    bits: int

    @property
    def frame(self) -> int:
        """Bytes of one sample of every channel."""
        return self.channels * self.bits // 8


def is_wav(start: bytes) -> bool:
    """Whether a file that begins with these bytes (12 or more) is a WAV file."""
    return start[:4] in (b"RIFF", b"RIFX", b"RF64", b"BW64") and start[8:12] == b"WAVE"


def read_wav(path: str | Path, dtype: DTypeLike = "float32") -> Wav:
    """Read a WAV file.

    Parameters
    ----------
    path : str or Path
    dtype : {"float32", "float64"}
        Of the samples. float32 holds 24 bits exactly.

    Returns
    -------
    Wav
        ``samples`` (L, C), and ``rate`` in Hz.

    Raises
    ------
    OSError
        If there is no such file, or a pipe or a device.
    ValueError
        If it is no WAV file, compressed, cut short, or holds no samples, NaN or infinity.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder, "a.wav")
    ...     write_wav(path, np.zeros(800), 8000)
    ...     sound = read_wav(path)
    >>> sound.rate, sound.samples.shape
    (8000, (800, 1))
    """
    dtype = check_float_dtype(dtype, "read_wav")
    path = check_file(path, "read_wav")
    where = f"read_wav: {path}"
    with open(path, "rb") as file:
        end = os.fstat(file.fileno()).st_size
        form, size = _find_samples(file, end, where)
        content = _read_samples(file, size, end, form, where)
    check_memory(len(content) // (form.bits // 8) * dtype.itemsize, where)
    samples = _as_floats(content, form, dtype).reshape(-1, form.channels)
    if not np.isfinite(samples).all():
        i = int(np.flatnonzero(~np.isfinite(samples).all(axis=1))[0])
        raise ValueError(f"{where} has NaN or infinity in frame {i}, expected finite numbers")
    return Wav(samples, form.rate)


def _find_samples(file: IO[bytes], end: int, where: str) -> tuple[_Form, int]:
    """What the samples are, and how many bytes are declared; the file then stands before them."""
    start = file.read(12)
    if not is_wav(start):
        came = "is empty" if not start else f"begins with {start[:12].hex(' ')}"
        raise ValueError(f"{where} {came}, expected a WAV file: RIFF, a size, WAVE")
    if start[:4] != b"RIFF":
        kind = "big-endian" if start[:4] == b"RIFX" else "64-bit"
        raise ValueError(f"{where} is a {kind} WAV file ({start[:4].decode()}); {_MEND}")
    whole = int.from_bytes(start[4:8], "little")
    form = None
    for _ in range(_MOST_PARTS):
        header = file.read(8)
        if len(header) < 8:
            lacks = "samples (no part data)" if form else "a description (no part fmt)"
            raise ValueError(f"{where} is cut short: it ends at byte {end} without {lacks}")
        name, size = header[:4], int.from_bytes(header[4:], "little")
        if name == b"data":
            if form is None:
                raise ValueError(f"{where} has samples before it says what they are; {_MEND}")
            return form, _OPEN if size == whole == 0 else size
        if size > end - file.tell():
            raise ValueError(
                f"{where} is cut short: its part {_shown(name)} declares {size:,} bytes, and "
                f"{end - file.tell():,} are there"
            )
        if name == b"fmt ":
            form = _form(file.read(min(size, 40)), where)
            file.seek(max(size - 40, 0), os.SEEK_CUR)
        else:
            file.seek(size, os.SEEK_CUR)
        file.seek(size % 2, os.SEEK_CUR)
    raise ValueError(f"{where} has more than {_MOST_PARTS:,} parts before its samples")


def _form(content: bytes, where: str) -> _Form:
    """The description, if it is one of samples that can be read."""
    if len(content) < 16:
        raise ValueError(f"{where}: its part fmt has {len(content)} bytes, expected 16 or more")
    kind, channels, rate, _, frame, bits = struct.unpack("<HHIIHH", content[:16])
    if kind == EXTENSIBLE:
        if len(content) < 40:
            raise ValueError(
                f"{where}: its extensible header has {len(content)} bytes, expected 40"
            )
        kind = int.from_bytes(content[24:26], "little")
        if content[26:40] != _GUID:
            raise ValueError(f"{where} is of a kind of its own, {content[24:40].hex()}; {_MEND}")
    if kind not in _SIZES:
        name = _COMPRESSED.get(kind, f"kind {kind:#06x}")
        raise ValueError(f"{where} is compressed, {name}, expected PCM or floats; {_MEND}")
    if bits not in _SIZES[kind]:
        expected = ", ".join(map(str, _SIZES[kind]))
        what = "PCM" if kind == PCM else "floats"
        raise ValueError(f"{where} has {what} of {bits} bits, expected {expected}; {_MEND}")
    if not 1 <= channels <= MOST_CHANNELS:
        raise ValueError(f"{where} has {channels} channels, expected 1 to {MOST_CHANNELS}")
    if not 1 <= rate <= MOST_RATE:
        raise ValueError(f"{where} has a rate of {rate:,} Hz, expected 1 to {MOST_RATE:,}")
    if frame != channels * bits // 8:
        raise ValueError(
            f"{where}: its header is at odds with itself: {channels} channels of {bits} bits are "
            f"{channels * bits // 8} bytes, and it says {frame}"
        )
    return _Form(kind, channels, rate, bits)


_MEND = "make PCM of it: ffmpeg -i IN -c:a pcm_s16le OUT.wav"


def _read_samples(file: IO[bytes], size: int, end: int, form: _Form, where: str) -> np.ndarray:
    """The bytes of the samples, uint8: as many as declared, or all there are."""
    there = end - file.tell()
    declared = there if size == _OPEN else size
    if declared > there:
        raise ValueError(
            f"{where} is cut short: it declares {declared:,} bytes of samples, and {there:,} are "
            f"there; get the file again"
        )
    if declared == 0:
        raise ValueError(f"{where} holds no samples")
    if declared % form.frame:
        raise ValueError(
            f"{where} has {declared:,} bytes of samples, which end within a frame of {form.frame} "
            f"bytes: it is cut short"
        )
    content, done = read_numbers(file, declared, where)
    if done < declared:
        raise ValueError(f"{where} became shorter while it was read")
    return content


def _as_floats(content: np.ndarray, form: _Form, dtype: np.dtype) -> np.ndarray:
    """One number for each sample."""
    if form.kind == FLOAT:
        return content.view(f"<f{form.bits // 8}").astype(dtype)
    half = dtype.type(2.0 ** (form.bits - 1))
    if form.bits == 8:
        return (content.astype(dtype) - half) / half
    if form.bits == 24:  # the upper three bytes of 32 bits, 256 times as large
        wide = np.zeros((len(content) // 3, 4), np.uint8)
        wide[:, 1:] = content.reshape(-1, 3)
        return (wide.view("<i4")[:, 0] >> 8).astype(dtype) / half
    return content.view(f"<i{form.bits // 8}").astype(dtype) / half


def _shown(name: bytes) -> str:
    return name.decode("ascii", "backslashreplace").strip()


# ---------------------------------------------------------------------------------------- written


def wav_bytes(samples: np.ndarray, rate: int) -> bytes:
    """A WAV file of PCM, 16 bits.

    Parameters
    ----------
    samples : array (L,) or (L, C) of floats
        From -1 to 1; what lies beyond is clipped.
    rate : int
        Hz.
    """
    x = np.asarray(samples, np.float64)
    x = x[:, None] if x.ndim == 1 else x
    if x.ndim != 2 or not 1 <= x.shape[1] <= MOST_CHANNELS:
        raise ValueError(f"samples are {np.shape(samples)}, expected (L,) or (L, C), C up to 8")
    if not np.isfinite(x).all():
        raise ValueError("samples hold NaN or infinity, expected finite numbers")
    if not 1 <= int(rate) <= MOST_RATE:
        raise ValueError(f"rate is {rate} Hz, expected 1 to {MOST_RATE:,}")
    pcm = np.clip(np.rint(x * 32768), -32768, 32767).astype("<i2").tobytes()
    frame = 2 * x.shape[1]
    form = struct.pack("<HHIIHH", PCM, x.shape[1], int(rate), int(rate) * frame, frame, 16)
    parts = [(b"fmt ", form), (b"data", pcm)]
    body = b"".join(name + struct.pack("<I", len(part)) + part for name, part in parts)
    return b"RIFF" + struct.pack("<I", 4 + len(body)) + b"WAVE" + body


def write_wav(path: str | Path, samples: np.ndarray, rate: int) -> None:
    """Write ``wav_bytes(samples, rate)``, all or nothing.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder, "a.wav")
    ...     write_wav(path, np.zeros(800), 8000)
    ...     sound = read_wav(path)
    >>> sound.rate, sound.samples.shape
    (8000, (800, 1))
    """
    content = wav_bytes(samples, rate)
    with atomic_write(path) as file:
        file.write(content)


# --------------------------------------------------------------------------------- other formats

_OTHERS = (b"fLaC", b"OggS", b"ID3", b"\xff\xfb", b"\xff\xf3", b"\xff\xf2", b".snd", b"caff")


def is_sound(start: bytes) -> bool:
    """Whether a file that begins with these bytes (12 or more) is sound, of whatever format."""
    aiff = start[:4] == b"FORM" and start[8:12] in (b"AIFF", b"AIFC")
    return is_wav(start) or start.startswith(_OTHERS) or aiff


def read_sound(path: str | Path, dtype: DTypeLike = "float32") -> Wav:
    """Read a WAV file, or, with the package soundfile, FLAC, Ogg, MP3, AIFF and what else it reads.

    Raises
    ------
    ImportError
        If it is no WAV file and soundfile is not installed.
    OSError, ValueError
        As ``read_wav``.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder, "a.wav")
    ...     write_wav(path, np.zeros(800), 8000)
    ...     sound = read_sound(path)
    >>> sound.rate
    8000
    """
    path = check_file(path, "read_sound")
    with open(path, "rb") as file:
        start = file.read(12)
    if is_wav(start) or not is_sound(start):
        return read_wav(path, dtype)
    try:
        import soundfile
    except ImportError:
        raise ImportError(
            f"read_sound: {path} is no WAV file, and to read others takes soundfile: pip install "
            f"'minienc[audio]'; or {_MEND}"
        ) from None
    where = f"read_sound: {path}"
    try:
        with soundfile.SoundFile(io.BytesIO(path.read_bytes())) as sound:
            if sound.channels > MOST_CHANNELS or not 1 <= sound.samplerate <= MOST_RATE:
                raise ValueError(
                    f"{where} has {sound.channels} channels at {sound.samplerate:,} Hz, expected "
                    f"at most {MOST_CHANNELS} at {MOST_RATE:,}"
                )
            check_memory(sound.frames * sound.channels * 8, where)
            samples = sound.read(dtype=str(np.dtype(dtype)), always_2d=True)
            rate, declared = sound.samplerate, sound.frames
    except soundfile.SoundFileError as error:
        raise ValueError(f"{where} is cut short or corrupt: {error}") from None
    if len(samples) < declared or len(samples) == 0:
        raise ValueError(f"{where} declares {declared:,} frames, and {len(samples):,} are there")
    if not np.isfinite(samples).all():
        raise ValueError(f"{where} has NaN or infinity, expected finite numbers")
    return Wav(samples, int(rate))
