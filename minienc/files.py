"""Writing files so that a reader finds the old one or the new one, never a half of either.

The bytes go to a temporary name in the same folder, are flushed to the disk, and take the file's
place in one step that the operating system does not interrupt.
"""

from __future__ import annotations

import errno
import hashlib
import io
import os
import re
import socket
import stat
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

    A link is followed: the file it points to is replaced, the link stays. A file that is replaced
    hands its rights on to the new one. What is no file (``/dev/null``, a terminal, a pipe that
    somebody reads) is never replaced: it is written to, once, when the block ends well. Temporary
    files that killed processes have left behind for this path are removed.

    Raises
    ------
    OSError
        Of the kind and ``errno`` the system reported, with one sentence that names the file and
        what to do: a folder that is missing, read-only or deleted meanwhile, a full disk, a name
        that is too long, a disk or a socket.
    """
    try:
        old = os.stat(path)
    except FileNotFoundError:
        old = None
    except OSError as error:
        raise _explained(error, path) from error
    if old is not None and stat.S_ISDIR(old.st_mode):
        raise _explained(IsADirectoryError(errno.EISDIR, ""), path)
    if old is None or stat.S_ISREG(old.st_mode):
        with _replacing(path, old) as file:
            yield file
    else:
        with _into_node(path, old.st_mode) as file:
            yield file


@contextmanager
def _replacing(path: str | os.PathLike, old: os.stat_result | None) -> Iterator[BinaryIO]:
    """A temporary file beside the one that it becomes."""
    target = Path(os.path.realpath(path))
    _remove_leftovers(target)
    temporary = target.with_name(f"{_stem(target)}.{os.getpid()}.{threading.get_ident()}.tmp")
    try:
        file = open(_create(temporary, old), "wb")  # closed below, before the rename
    except OSError as error:
        raise _explained(error, path) from error
    try:
        yield file
        file.flush()
        os.fsync(file.fileno())
        file.close()
        _take_place(temporary, target, path)
        _sync_folder(target.parent)
    except BaseException as error:
        with suppress(OSError):  # closing flushes, which fails again on a full disk
            file.close()
        with suppress(OSError):
            temporary.unlink()
        if isinstance(error, OSError) and error.errno in (*_NO_ROOM, *_NOT_ALLOWED):
            raise _explained(error, path) from error
        raise


def _create(temporary: Path, old: os.stat_result | None) -> int:
    """Make the file, with the rights of the one that it will replace; nobody can read it before."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | getattr(os, "O_BINARY", 0)
    if old is None or os.name != "posix":
        return os.open(temporary, flags, 0o666)  # less what the umask takes away
    handle = os.open(temporary, flags, 0o600)
    with suppress(OSError):  # somebody else's file, which only root can give back
        os.fchown(handle, old.st_uid, old.st_gid)
    with suppress(OSError):
        os.fchmod(handle, stat.S_IMODE(old.st_mode))
    return handle


def _take_place(temporary: Path, target: Path, path: str | os.PathLike) -> None:
    try:
        os.replace(temporary, target)
    except FileNotFoundError as error:
        why = f"the folder {Path(path).parent} was deleted or renamed meanwhile; make it again"
        raise _with_errno(
            FileNotFoundError(f"{path} cannot be written: {why}"), error.errno
        ) from error
    except OSError as error:
        raise _explained(error, path) from error


@contextmanager
def _into_node(path: str | os.PathLike, mode: int) -> Iterator[BinaryIO]:
    """What is to be written to a device or a pipe; it is opened before the block, to hear now."""
    if not (stat.S_ISCHR(mode) or stat.S_ISFIFO(mode)):
        kind = "a socket" if stat.S_ISSOCK(mode) else "a disk"
        raise _with_errno(
            OSError(f"{path} cannot be written: it is {kind}; give the name of a file"),
            errno.EINVAL,
        )
    try:
        handle = os.open(path, os.O_WRONLY | getattr(os, "O_NONBLOCK", 0))
        if hasattr(os, "O_NONBLOCK"):  # that a pipe without a reader is not waited for
            os.set_blocking(handle, True)
    except OSError as error:
        raise _explained(error, path) from error
    content = io.BytesIO()
    with open(handle, "wb", buffering=0) as node:
        yield content
        left = content.getbuffer()
        try:
            while left:
                left = left[node.write(left) :]
        except OSError as error:
            raise _explained(error, path) from error


def write_text(path: str | os.PathLike, text: str) -> None:
    """Write ``text`` as UTF-8, all or nothing; what is no text (a part of a name) is escaped."""
    with atomic_write(path) as file:
        file.write(text.encode("utf-8", "backslashreplace"))


def write_json(path: str | os.PathLike, value: object) -> None:
    """Write ``value`` as indented JSON, all or nothing; NumPy's numbers and arrays as Python's.

    Raises
    ------
    TypeError, ValueError
        If ``value`` holds what JSON cannot: objects, NaN, infinity. Nothing is written then.
    """
    import json

    try:
        text = json.dumps(plain(value), indent=2, ensure_ascii=False, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise type(error)(f"write_json: {path} is not written, {error}") from error
    write_text(path, text + "\n")  # which escapes as JSON does


def plain(value: object) -> Any:
    """``value`` with the numbers and arrays in it, NumPy's or a device's, as Python's own."""
    if isinstance(value, dict):
        return {plain(k): plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(v) for v in value]
    if hasattr(value, "dtype") and hasattr(value, "tolist"):
        return value.tolist()
    return value


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
    if error.errno == errno.ENAMETOOLONG:
        why = "its name is longer than the file system takes; choose a shorter one"
    elif error.errno == errno.ENXIO:
        why = "it is a pipe that nobody reads; start the reader first"
    elif error.errno == errno.EPIPE:
        why = "it is a pipe whose reader has gone"
    elif error.errno in _NO_ROOM:
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
    """How the temporary names of ``target`` begin, which are short however long its own is. The
    host is in it: folders can be shared."""
    host = re.sub(r"[^\w-]", "-", socket.gethostname())[:40]
    digest = hashlib.sha256(os.fsencode(target.name)).hexdigest()[:12]
    readable = re.sub(r"[^a-zA-Z0-9._-]", "-", target.name)[:40]
    return f".{readable}.{digest}.{host}"


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
