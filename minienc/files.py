"""Writing files so that a reader finds the old one or the new one, never a half of either.

The bytes go to a temporary name in the same folder, are flushed to the disk, and take the file's
place in one step that the operating system does not interrupt.
"""

from __future__ import annotations

import errno
import os
import re
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO

_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_NOT_ALLOWED = (errno.EACCES, errno.EPERM, errno.EROFS)


@contextmanager
def atomic_write(path: str | os.PathLike) -> Iterator[BinaryIO]:
    """Open a binary file that becomes ``path`` when the block ends well, and vanishes otherwise.

    ::

        with atomic_write("weights.npz") as file:
            np.savez(file, W=W)

    A link is followed: the file it points to is replaced, the link stays. Temporary files that
    killed processes have left behind for this path are removed.

    Raises
    ------
    OSError
        Of the kind and ``errno`` the system reported, with one sentence that names the file and
        what to do: a folder that is missing or read-only, a full disk.
    """
    target = Path(os.path.realpath(path))
    if target.is_dir():
        raise _explained(IsADirectoryError(errno.EISDIR, ""), path)
    _remove_leftovers(target)
    temporary = target.with_name(f"{_stem(target)}.{os.getpid()}.{threading.get_ident()}.tmp")
    try:
        file = open(temporary, "wb")  # closed below, before the rename
    except OSError as error:
        raise _explained(error, path) from error
    try:
        yield file
        file.flush()
        os.fsync(file.fileno())
        file.close()
        os.replace(temporary, target)
        _sync_folder(target.parent)
    except BaseException as error:
        with suppress(OSError):  # closing flushes, which fails again on a full disk
            file.close()
        with suppress(OSError):
            temporary.unlink()
        if isinstance(error, OSError) and error.errno in (*_NO_ROOM, *_NOT_ALLOWED):
            raise _explained(error, path) from error
        raise


def write_text(path: str | os.PathLike, text: str) -> None:
    """Write ``text`` as UTF-8, all or nothing."""
    with atomic_write(path) as file:
        file.write(text.encode())


def write_json(path: str | os.PathLike, value: Any) -> None:
    """Write ``value`` as indented JSON, all or nothing.

    Raises
    ------
    TypeError, ValueError
        If ``value`` holds what JSON cannot: objects, NaN, infinity. Nothing is written then.
    """
    import json

    try:
        text = json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise type(error)(f"write_json: {path} is not written, {error}") from error
    write_text(path, text + "\n")


def ensure_writable_folder(folder: str | os.PathLike) -> Path:
    """Make ``folder`` if it is missing, and check now that files can be written in it.

    A run that takes minutes should hear about a read-only folder before it starts.

    Raises
    ------
    OSError
        As ``atomic_write``; also where a file stands in the folder's place.
    """
    folder = Path(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError) as error:
        in_the_way = next((p for p in (folder, *folder.parents) if os.path.isfile(p)), folder)
        raise _with_errno(
            NotADirectoryError(
                f"{folder} cannot be a folder: {in_the_way} is a file; choose another"
            ),
            error.errno,
        ) from error
    except OSError as error:
        parent = next((p for p in folder.parents if os.path.isdir(p)), folder)
        raise _explained(error, folder, parent) from error
    probe = folder / f".writable.{os.getpid()}.{threading.get_ident()}.tmp"
    try:
        with open(probe, "xb") as file:
            file.write(b"?")
    except OSError as error:
        raise _explained(error, folder, folder) from error
    finally:
        with suppress(OSError):
            probe.unlink()
    return folder


# ------------------------------------------------------------------------------- what went wrong


def _explained(error: OSError, path: str | os.PathLike, folder: Path | None = None) -> OSError:
    """The same kind of error, with a sentence that says what to do."""
    folder = Path(path).parent if folder is None else folder
    if error.errno in _NO_ROOM:
        why = "the disk or quota is full; nothing half-written is left, free some space or write "
        why += "elsewhere"
    elif error.errno in _NOT_ALLOWED:
        why = f"writing in {folder} is not allowed; choose a folder that you may write to"
    elif error.errno == errno.ENOENT:
        why = f"the folder {folder} does not exist; make it first"
    elif error.errno == errno.EISDIR:
        why = "it is a folder; give the name of a file in it"
    elif error.errno == errno.ENOTDIR:
        why = f"{folder} is not a folder"
    else:
        why = error.strerror or str(error)
    return _with_errno(type(error)(f"{path} cannot be written: {why}"), error.errno)


def _with_errno(error: OSError, number: int | None) -> OSError:
    error.errno = number  # set afterwards: given to the constructor, it would stand in the message
    return error


# ------------------------------------------------------------------------------- temporary names


def _stem(target: Path) -> str:
    """How the temporary names of ``target`` begin. The host is in it: folders can be shared."""
    host = re.sub(r"[^\w-]", "-", socket.gethostname())[:40]
    return f".{target.name[:80]}.{host}"


def _remove_leftovers(target: Path) -> None:
    """Delete the temporary files of writers of ``target`` that no longer run on this host."""
    if os.name != "posix":  # elsewhere there is no harmless way to ask whether a process runs
        return
    form = re.compile(re.escape(_stem(target)) + r"\.(\d+)\.\d+\.tmp")
    with suppress(OSError), os.scandir(target.parent) as entries:
        for entry in entries:
            match = form.fullmatch(entry.name)
            if match and not _is_running(int(match[1])):
                with suppress(OSError):
                    os.unlink(entry.path)


def _is_running(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):  # it runs, but belongs to somebody else
        return True
    return True


def _sync_folder(folder: Path) -> None:
    """Flush the new name to the disk, too; where that cannot be done, the file itself is whole."""
    with suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
