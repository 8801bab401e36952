"""WAV files: every form that is read, everything else by name; and nothing silently short."""

from __future__ import annotations

import io
import os
import struct
import sys
import wave

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minienc.data.wav import is_sound, is_wav, read_sound, read_wav, wav_bytes, write_wav

RNG = np.random.default_rng(0)
GUID = bytes.fromhex("000000001000800000aa00389b71")


def part(name, content):
    return name + struct.pack("<I", len(content)) + content + b"\0" * (len(content) % 2)


def fmt(kind, channels, rate, bits, extensible=False):
    frame = channels * bits // 8
    head = struct.pack("<HIIHH", channels, rate, rate * frame, frame, bits)
    if not extensible:
        return part(b"fmt ", struct.pack("<H", kind) + head)
    tail = struct.pack("<HHIH", 22, bits, 3, kind) + GUID
    return part(b"fmt ", struct.pack("<H", 0xFFFE) + head + tail)


def riff(*parts):
    body = b"WAVE" + b"".join(parts)
    return b"RIFF" + struct.pack("<I", len(body)) + body


def coded(x, kind, bits):
    """Samples in [-1, 1) as a file holds them, by plain arithmetic."""
    if kind == 3:
        return np.asarray(x, f"<f{bits // 8}").tobytes()
    whole = [int(v) for v in np.rint(np.asarray(x).ravel() * 2 ** (bits - 1))]
    if bits == 8:
        return bytes(v + 128 for v in whole)
    return b"".join(v.to_bytes(bits // 8, "little", signed=True) for v in whole)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "a.wav"


def refused(path, content, match):
    path.write_bytes(content)
    with pytest.raises(ValueError, match=match) as error:
        read_wav(path)
    assert str(path) in str(error.value) and "\n" not in str(error.value)


FORMS = [(1, 8), (1, 16), (1, 24), (1, 32), (3, 32), (3, 64)]


@pytest.mark.parametrize("extensible", [False, True])
@pytest.mark.parametrize(("kind", "bits"), FORMS)
@pytest.mark.parametrize("channels", [1, 2, 8])
def test_every_form_is_read_to_the_bit(path, kind, bits, channels, extensible):
    steps = 2.0 ** (min(bits, 24) - 1)  # what float32 holds, too
    x = np.rint(RNG.uniform(-1, 1, (5, channels)) * steps) / steps
    x = np.clip(x, -1, 1 - 1 / steps)
    path.write_bytes(
        riff(fmt(kind, channels, 11025, bits, extensible), part(b"data", coded(x, kind, bits)))
    )
    for dtype in ("float32", "float64"):
        found, rate = read_wav(path, dtype)
        assert rate == 11025 and found.dtype == dtype
        np.testing.assert_array_equal(found, x.astype(dtype))


def test_the_ends_of_the_range(path):
    for bits, content in (
        (8, b"\0\xff\x80"),
        (16, b"\0\x80\xff\x7f\0\0"),
        (24, b"\0\0\x80\xff\xff\x7f\0\0\0"),
    ):
        path.write_bytes(riff(fmt(1, 1, 8000, bits), part(b"data", content)))
        low, high, middle = read_wav(path, "float64").samples[:, 0]
        assert (low, high, middle) == (-1, 1 - 2.0 ** (1 - bits), 0)


@given(st.lists(st.floats(-1, 1, width=32), min_size=1, max_size=40), st.integers(1, 4))
def test_what_is_written_is_read_back_by_both_readers(tmp_path_factory, numbers, channels):
    x = np.resize(np.array(numbers, "float32"), (len(numbers), channels))
    path = tmp_path_factory.mktemp("wav") / "a.wav"
    write_wav(path, x, 8000)
    found, rate = read_wav(path)
    assert rate == 8000 and abs(found - x).max() <= 1 / 32768
    with wave.open(str(path)) as file:  # the standard library's
        assert (file.getframerate(), file.getnchannels(), file.getsampwidth()) == (
            8000,
            channels,
            2,
        )
        frames = np.frombuffer(file.readframes(len(x) + 1), "<i2").reshape(-1, channels)
    np.testing.assert_array_equal(frames / 32768, found)


def test_loud_sounds_are_clipped_when_written(path):
    write_wav(path, np.array([2.0, -3.0, 0.5]), 8000)
    np.testing.assert_array_equal(
        read_wav(path).samples[:, 0], np.float32([32767 / 32768, -1, 0.5])
    )
    for wrong in (np.zeros((2, 9)), np.zeros((1, 1, 1)), np.array([np.nan])):
        with pytest.raises(ValueError, match="expected"):
            wav_bytes(wrong, 8000)
    with pytest.raises(ValueError, match="rate is 0"):
        wav_bytes(np.zeros(3), 0)


SAMPLES = part(b"data", struct.pack("<4h", 1, 2, 3, 4))
MONO = fmt(1, 1, 8000, 16)


def test_parts_before_and_behind_the_samples_are_passed_over(path):
    odd = part(b"LIST", b"INFOabc")  # seven bytes, and one to make them even
    for content in (
        riff(odd, MONO, odd, part(b"fact", b"1234"), SAMPLES, odd),
        riff(MONO, SAMPLES) + b"something behind",
    ):
        path.write_bytes(content)
        assert len(read_wav(path).samples) == 4
    eight = riff(fmt(1, 1, 8000, 8), b"data" + struct.pack("<I", 3) + b"abc")  # no byte behind
    path.write_bytes(eight)
    assert len(read_wav(path).samples) == 3


def test_what_came_through_a_pipe_is_read_to_its_end(path):
    for whole, size in ((0xFFFFFFFF, 0xFFFFFFFF), (0, 0)):
        content = riff(MONO, b"data" + struct.pack("<I", size) + SAMPLES[8:])
        path.write_bytes(content[:4] + struct.pack("<I", whole) + content[8:])
        assert len(read_wav(path).samples) == 4
    refused(path, path.read_bytes()[:-1], "end within a frame of 2 bytes")
    refused(path, path.read_bytes()[:-7], "holds no samples")


def test_a_file_that_is_cut_short_is_never_read(path):
    whole = riff(part(b"LIST", b"abcdef"), MONO, SAMPLES)
    for n in range(len(whole)):
        path.write_bytes(whole[:n])
        with pytest.raises(ValueError, match=r"a\.wav"):
            read_wav(path)
    refused(path, whole[:-2], r"cut short: it declares 8 bytes of samples, and 6 are there")
    refused(path, whole[:16], r"cut short: it ends at byte 16 without a description")
    refused(path, whole[:22], r"its part LIST declares 6 bytes, and 2 are there")


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        (2, "Microsoft's ADPCM"),
        (6, "A-law"),
        (7, "mu-law"),
        (0x11, "IMA's ADPCM"),
        (0x55, "MP3"),
        (99, "0x0063"),
    ],
)
@pytest.mark.parametrize("extensible", [False, True])
def test_what_is_compressed_is_named(path, kind, name, extensible):
    content = riff(fmt(kind, 1, 8000, 8, extensible), SAMPLES)
    refused(path, content, rf"is compressed, .*{name}, expected PCM or floats; make PCM of it")


@pytest.mark.parametrize(
    ("content", "match"),
    [
        (b"", "is empty, expected a WAV file"),
        (b"hello, this is text", "begins with 68 65 6c .* expected a WAV file"),
        (b"RIFX" + riff(MONO, SAMPLES)[4:], "is a big-endian WAV file"),
        (b"RF64" + riff(MONO, SAMPLES)[4:], "is a 64-bit WAV file"),
        (riff(SAMPLES, MONO), "has samples before it says what they are"),
        (riff(MONO), "without samples"),
        (riff(MONO, part(b"data", b"")), "holds no samples"),
        (riff(MONO, part(b"data", b"abc")), "end within a frame of 2 bytes"),
        (riff(part(b"fmt ", b"\1\0"), SAMPLES), "its part fmt has 2 bytes"),
        (riff(fmt(1, 1, 8000, 12), SAMPLES), "PCM of 12 bits, expected 8, 16, 24, 32"),
        (riff(fmt(3, 1, 8000, 16), SAMPLES), "floats of 16 bits, expected 32, 64"),
        (riff(fmt(1, 0, 8000, 16), SAMPLES), "has 0 channels, expected 1 to 8"),
        (riff(fmt(1, 9, 8000, 16), SAMPLES), "has 9 channels"),
        (riff(fmt(1, 1, 0, 16), SAMPLES), "has a rate of 0 Hz"),
        (riff(fmt(1, 1, 10**9, 16), SAMPLES), "a rate of 1,000,000,000 Hz"),
        (riff(MONO.replace(b"\2\0\x10\0", b"\4\0\x10\0"), SAMPLES), "at odds with itself"),
        (riff(*[part(b"junk", b"")] * 1001, MONO, SAMPLES), "more than 1,000 parts"),
        (riff(fmt(3, 1, 8000, 32), part(b"data", b"\0\0\x80\x7f")), "infinity in frame 0"),
    ],
)  # fmt: skip
def test_what_is_odd_is_refused_in_a_sentence(path, content, match):
    refused(path, content, match)


def test_an_extensible_header_of_another_kind_is_refused(path):
    whole = riff(fmt(1, 1, 8000, 16, extensible=True), SAMPLES)
    refused(path, whole.replace(GUID, b"?" * 14), "is of a kind of its own")
    short = riff(part(b"fmt ", fmt(1, 1, 8000, 16, extensible=True)[8:30]), SAMPLES)
    refused(path, short, "its extensible header has 22 bytes, expected 40")


def test_what_is_no_file_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match="there is no"):
        read_wav(tmp_path / "none.wav")
    with pytest.raises(IsADirectoryError, match="is a folder"):
        read_wav(tmp_path)
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "pipe")
        with pytest.raises(OSError, match="is a named pipe"):
            read_wav(tmp_path / "pipe")


# --------------------------------------------------------------------------------- other formats


def test_other_formats_go_through_soundfile(tmp_path):
    soundfile = pytest.importorskip("soundfile")
    x = np.rint(RNG.uniform(-0.5, 0.5, (400, 2)) * 32768) / 32768
    soundfile.write(tmp_path / "a.flac", x, 16000, subtype="PCM_16")
    found, rate = read_sound(tmp_path / "a.flac", "float64")
    assert rate == 16000
    np.testing.assert_array_equal(found, x)
    cut = tmp_path / "cut.flac"
    cut.write_bytes((tmp_path / "a.flac").read_bytes()[:300])
    with pytest.raises(ValueError, match=r"cut\.flac"):
        read_sound(cut)
    for kind, subtype, bits in (
        ("WAV", "PCM_24", 23),
        ("WAVEX", "FLOAT", 60),
        ("WAV", "PCM_U8", 7),
    ):
        file = io.BytesIO()
        soundfile.write(file, x, 8000, format=kind, subtype=subtype)
        (tmp_path / "b.wav").write_bytes(file.getvalue())
        assert abs(read_wav(tmp_path / "b.wav", "float64").samples - x).max() <= 2.0**-bits


def test_without_soundfile_the_extra_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "soundfile", None)
    path = tmp_path / "a.flac"
    path.write_bytes(b"fLaC" + b"\0" * 40)
    with pytest.raises(ImportError, match=r"pip install 'minienc\[audio\]'; or make PCM"):
        read_sound(path)


def test_sound_is_known_by_its_beginning():
    assert is_wav(riff(MONO, SAMPLES)) and is_sound(riff(MONO, SAMPLES))
    for start in (b"fLaC", b"OggS", b"ID3", b"\xff\xfb", b"FORM0000AIFF"):
        assert is_sound(start + b"\0" * 12)
    for start in (b"RIFF0000WEBP", b"FORM0000ILBM", b"PK\3\4", b"text and more text"):
        assert not is_sound(start + b"\0" * 12)
