"""A folder of recordings as a data set: whose voice, which class, and what is kept for testing.

sounds       WAV files; FLAC, Ogg, MP3 and AIFF with the package soundfile. All of one rate, unless
             all are to be resampled to one.
classes      by a pattern of the files' names, --pattern '{label}_{speaker}_{index}'; by a CSV that
             lies in the folder and has a column of file names; else by sub-folders. A pattern or a
             CSV is for all sounds in the folder and below. Without any of them there are none, as
             where all sounds are in one sub-folder.
pattern      {label} and {speaker} are what their names say, any other name is passed over; the
             ending of the file is no part of it.
CSV          columns file (or filename, path), label (or the --label-column), speaker; every sound
has
             a row.
testing      whole speakers, where they are known, for whoever learns from a voice knows it: those
of
             --held-out-speakers, or the last fifth of them, by name, where there are three or more.
             Else a fifth of the sounds, of each class its share.

How a sound becomes numbers stands at the top of ``sequences.py``.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from minienc.arrays import DTypeLike
from minienc.data.datasets import Dataset, test_rows
from minienc.data.limits import MOST_CLASSES
from minienc.data.raw import Choices, RawData, check_exists, number_classes
from minienc.data.resampling import resample
from minienc.data.rows import opened_rows
from minienc.data.sequences import Level, LogMel, frames_for, log_mel_for, padded, sequence_of
from minienc.data.sounds import Clips
from minienc.data.tables import LABEL_NAMES
from minienc.data.wav import is_sound, read_sound

_SUFFIXES = (".wav", ".flac", ".ogg", ".mp3", ".aif", ".aiff")
FILE_NAMES = ("file", "filename", "file_name", "path", "fname", "slice_file_name")
SPEAKER_NAMES = ("speaker", "speaker_id", "client_id")
N_HEARD = 6  # sounds that are kept as they are, for reports


class Heard(NamedTuple):
    """What a data set of sounds knows beside its samples."""

    how: LogMel
    sounds: tuple[np.ndarray, ...]  # (L,) the first of the test samples, or of the samples
    levels: tuple[Level, ...]  # of those
    speakers: np.ndarray | None = None  # (N,) names, of the samples
    test_speakers: np.ndarray | None = None


class Recordings(NamedTuple):
    """Sounds that are read one by one: a few seconds of each are nothing, of all they are much."""

    names: Sequence[str]
    read: Callable[[int], tuple[np.ndarray, int]]  # (samples, rate) of the i-th
    labels: Sequence[str] | None
    speakers: Sequence[str] | None


def read_recordings(path: str | Path, how: Choices, dtype: DTypeLike = "float32") -> RawData:
    """Read a folder of sounds, or with the settings of a run (``how.sound``) one file.

    Returns
    -------
    RawData
        ``x`` is (N, T, F); ``sound`` says how it came about.

    Raises
    ------
    OSError, ImportError, ValueError
        For a sound that cannot be read, is silent or too short, for rates that differ, a file
        without a label, a speaker that nobody is: a sentence that names it.
    """
    path = check_exists(path, "load_dataset")
    if path.is_dir():
        return as_raw_data(_found_in(path, how), how, dtype, f"load_dataset: {path}")
    one = Recordings([str(path)], lambda i: read_sound(path), None, None)
    return as_raw_data(one, how, dtype, f"load_dataset: {path}")


def of_clips(clips: Clips) -> Recordings:
    """Sounds that are in memory."""
    read = lambda i: (clips.sounds[i], clips.rate)  # noqa: E731
    return Recordings(clips.names, read, clips.labels, clips.speakers)


def holds_sounds(folder: Path) -> bool:
    """Whether sounds stand in this folder, or one below."""
    return next(_sounds_of(folder), None) is not None or any(
        next(_sounds_of(sub), None) is not None for sub in _sub_folders(folder)
    )


# ------------------------------------------------------------------------- which file, which class


def _found_in(folder: Path, how: Choices) -> Recordings:
    table = _table_of(folder) if how.pattern is None else None
    if how.pattern is not None or table is not None:
        files = sorted(sounds_below(folder))
        if table is None:
            labels, speakers = _by_pattern(files, str(how.pattern))
        else:
            labels, speakers = _by_table(files, folder, table, how)
    else:
        files, labels, speakers = sorted(_sounds_of(folder)), None, None
        classes = {sub.name: f for sub in _sub_folders(folder) if (f := sorted(_sounds_of(sub)))}
        if files and classes:
            raise ValueError(
                f"load_dataset: {folder} holds {len(files)} sounds beside sub-folders of sounds "
                f"({', '.join(list(classes)[:3])}), expected one or the other"
            )
        if len(classes) == 1:  # a folder around the folder: one class says nothing
            (files,) = classes.values()
        elif classes:
            labels = [name for name, of_class in classes.items() for _ in of_class]
            files = [file for of_class in classes.values() for file in of_class]
    if not files:
        raise ValueError(f"load_dataset: {folder} holds no sounds, nor do its sub-folders")
    names = [str(file) for file in files]
    return Recordings(names, lambda i: read_sound(names[i]), labels, speakers)


def _by_pattern(files: list[Path], pattern: str) -> tuple[list[str] | None, list[str] | None]:
    """What the names of the files say by a pattern such as '{label}_{speaker}_{index}'."""
    said = re.findall(r"\{(\w+)\}", pattern)
    if not {"label", "speaker"} & set(said) or len(set(said)) < len(said):
        raise ValueError(
            f"load_dataset: pattern is {pattern!r}, expected such as '{{label}}_{{speaker}}_"
            f"{{index}}', with {{label}}, {{speaker}} or both, each once"
        )
    parts = re.split(r"\{\w+\}", pattern)
    groups = [f"(?P<{name}>.+?)" for name in said] + [""]
    form = re.compile("".join(re.escape(p) + g for p, g in zip(parts, groups, strict=True)), re.S)
    found = [form.fullmatch(file.stem) for file in files]
    for file, match in zip(files, found, strict=True):
        if match is None:
            raise ValueError(f"load_dataset: {file} has not the pattern {pattern!r}; move it away")
    column = lambda name: [m[name] for m in found if m] if name in said else None  # noqa: E731
    return column("label"), column("speaker")


class _Table(NamedTuple):
    """A CSV that says what files are."""

    path: Path
    header: list[str]
    rows: list[list[str]]


def _table_of(folder: Path) -> _Table | None:
    """The CSV in the folder that has a column of file names; None where there is none."""
    found = []
    for path in sorted(p for p in folder.iterdir() if p.suffix.lower() in (".csv", ".tsv")):
        with opened_rows(path, f"load_dataset: {path}") as lines:
            rows = [[cell.strip() for cell in row] for row in lines]
        if rows and any(name.lower() in FILE_NAMES for name in rows[0]):
            found.append(_Table(path, rows[0], rows[1:]))
    if len(found) > 1:
        names = ", ".join(table.path.name for table in found[:3])
        raise ValueError(f"load_dataset: {folder} holds {names}, expected one that lists the files")
    return found[0] if found else None


def _by_table(
    files: list[Path], folder: Path, table: _Table, how: Choices
) -> tuple[list[str] | None, list[str] | None]:
    """What the rows of a CSV say of the files."""
    where = f"load_dataset: {table.path}"
    lower = [name.lower() for name in table.header]
    place = lambda names: next((lower.index(n) for n in names if n in lower), None)  # noqa: E731
    file_at, speaker_at = place(FILE_NAMES), place(SPEAKER_NAMES)
    wanted = LABEL_NAMES if how.label_column is None else (how.label_column.lower(),)
    label_at = place(wanted)
    if label_at is None and how.label_column is not None and not how.may_lack:
        raise ValueError(f"{where} has no column {how.label_column}; it has {table.header}")
    by_name: dict[str, list[str]] = {}
    for number, row in enumerate(table.rows, 2):
        if len(row) != len(table.header):
            raise ValueError(
                f"{where}: row {number} has {len(row)} cells, expected {len(table.header)}"
            )
        by_name[os.path.normpath(row[file_at])] = row  # type: ignore[index]
    labels: list[str] = []
    speakers: list[str] = []
    for file in files:
        row = by_name.get(os.path.relpath(file, folder)) or by_name.get(file.name) or []
        if not row:
            raise ValueError(f"{where} has no row for {file}: no label is known of it")
        for at, column in ((label_at, labels), (speaker_at, speakers)):
            if at is not None and not row[at]:
                raise ValueError(f"{where}: {table.header[at]} of {file} is empty")
            column.append("" if at is None else row[at])
    return (None if label_at is None else labels), (None if speaker_at is None else speakers)


def _sounds_of(folder: Path) -> Iterator[Path]:
    """The files that are sounds by content or by name: what is one by name alone is broken, and
    reading it will say so."""
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.startswith(".") or not entry.is_file():
                continue
            if entry.name.lower().endswith(_SUFFIXES) or is_sound(_start_of(entry.path)):
                yield Path(entry.path)


def sounds_below(folder: Path) -> Iterator[Path]:
    """The sounds of a folder and of all folders in it."""
    yield from _sounds_of(folder)
    for sub in _sub_folders(folder):
        yield from sounds_below(sub)


def _sub_folders(folder: Path) -> list[Path]:
    is_one = lambda p: p.is_dir() and not p.is_symlink() and not p.name.startswith(".")  # noqa: E731
    return sorted(p for p in folder.iterdir() if is_one(p))


def _start_of(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read(12)


# ------------------------------------------------------------------------- from sounds to samples


def as_raw_data(recordings: Recordings, how: Choices, dtype: DTypeLike, where: str) -> RawData:
    """Samples (N, T, F), labels, and the part for testing; later data are not parted."""
    settings, sequences, levels = as_sequences(recordings, how)
    x = padded(sequences, settings.frames, dtype, where)
    y, class_names = None, None
    if recordings.labels is not None:
        y, class_names = number_classes(list(recordings.labels))
        if len(class_names) > MOST_CLASSES:
            raise ValueError(f"{where}: {len(class_names):,} classes, expected {MOST_CLASSES:,}")
    speakers = None if recordings.speakers is None else np.array(recordings.speakers)
    is_test = np.zeros(len(x), bool)
    if how.sound is None:
        is_test = _for_testing(y, speakers, len(x), how, where)
    chosen = np.flatnonzero(is_test if is_test.any() else ~is_test)[:N_HEARD]
    sounds = [_at_rate(*recordings.read(i), settings.rate) for i in chosen]
    part = lambda a, rows: None if a is None else a[rows]  # noqa: E731
    tested = is_test.any()
    heard = Heard(
        settings,
        tuple(s if s.ndim == 1 else s.mean(axis=1) for s in sounds),
        tuple(levels[i] for i in chosen),
        part(speakers, ~is_test),
        part(speakers, is_test) if tested else None,
    )
    return RawData(
        x[~is_test] if tested else x,
        part(y, ~is_test),
        x[is_test] if tested else None,
        part(y, is_test) if tested else None,
        class_names,
        sound=heard,
    )


def as_sequences(
    recordings: Recordings, how: Choices
) -> tuple[LogMel, list[np.ndarray], list[Level]]:
    """How, and the frames and the level of each sound."""
    settings, sequences, levels = how.sound, [], []
    for i, name in enumerate(recordings.names):
        sound, rate = recordings.read(i)
        if settings is None:
            settings = log_mel_for(how.resample or rate, how.frames, how.mels)
        if rate != settings.rate:
            if how.resample is None:
                of_run = how.sound is not None
                whose = "the run's" if of_run else f"as the first, {recordings.names[0]}"
                said = "" if of_run else f" {settings.rate}"
                raise ValueError(
                    f"load_dataset: {name} is of {rate:,} Hz, expected {settings.rate:,}, {whose}; "
                    f"--resample{said} brings all to that rate"
                )
            sound = _at_rate(sound, rate, settings.rate)
        sequence, level = sequence_of(sound, settings, f"load_dataset: {name}")
        sequences.append(sequence)
        levels.append(level)
    assert settings is not None
    if not settings.frames:
        settings = settings._replace(frames=frames_for([len(s) for s in sequences]))
    return settings, sequences, levels


def _at_rate(sound: np.ndarray, rate: int, new_rate: int) -> np.ndarray:
    if rate == new_rate:
        return sound
    mono = sound if sound.ndim == 1 else sound.mean(axis=1)
    return resample(mono, rate, new_rate)


def _for_testing(
    y: np.ndarray | None, speakers: np.ndarray | None, n: int, how: Choices, where: str
) -> np.ndarray:
    """(N,) booleans: what is kept for testing."""
    known = [] if speakers is None else sorted(set(speakers.tolist()))
    if how.held_out_speakers:
        if not known:
            raise ValueError(
                f"{where}: {how.held_out_speakers[0]} is held out, and no speaker is known; say "
                f"how files are named, for example --pattern '{{label}}_{{speaker}}_{{index}}'"
            )
        if wrong := [s for s in how.held_out_speakers if s not in known]:
            names = ", ".join(known[:20])
            raise ValueError(f"{where}: nobody is {wrong[0]!r}; speakers are {names}")
        if set(known) <= set(how.held_out_speakers):
            raise ValueError(f"{where}: all speakers are held out, expected one to learn from")
        held = how.held_out_speakers
    elif len(known) >= 3:
        held = tuple(known[-max(1, len(known) // 5) :])
    else:
        return test_rows(y, n, 0.2, seed=0) if n > 4 else np.zeros(n, bool)
    return np.isin(speakers, held)  # type: ignore[arg-type]


def leave_one_speaker_out(dataset: Dataset) -> Iterator[tuple[str, Dataset]]:
    """(a speaker, the data set with all others to learn from and this one to test on), for each.

    Raises
    ------
    ValueError
        If the data set knows of no speakers, or of one.
    """
    import dataclasses

    heard = dataset.sound
    if heard is None or heard.speakers is None:
        raise ValueError(f"leave_one_speaker_out: of {dataset.name} no speakers are known")
    parts = [(dataset.x, dataset.y, heard.speakers)]
    if dataset.test_x is not None:
        parts.append((dataset.test_x, dataset.test_y, heard.test_speakers))
    x, y, speakers = (
        None if column[0] is None else np.concatenate(column) for column in zip(*parts, strict=True)
    )
    assert x is not None and speakers is not None
    names = sorted(set(speakers.tolist()))
    if len(names) < 2:
        raise ValueError(f"leave_one_speaker_out: {dataset.name} has one speaker, {names[0]}")
    part = lambda a, rows: None if a is None else a[rows]  # noqa: E731
    for name in names:
        out = speakers == name
        about = heard._replace(
            sounds=(), levels=(), speakers=speakers[~out], test_speakers=speakers[out]
        )
        yield (
            name,
            dataclasses.replace(
                dataset, x=x[~out], y=part(y, ~out), test_x=x[out], test_y=part(y, out), sound=about
            ),
        )
