import errno
import json
import os
import shutil
import socket
import stat
import subprocess
import sys
import tempfile
import threading
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from minienc.files import atomic_write, ensure_writable_folder, write_json, write_text

posix = pytest.mark.skipif(os.name != "posix", reason="needs POSIX")


@pytest.fixture
def folder():
    """A folder that every user may look into, which pytest's own are not."""
    with tempfile.TemporaryDirectory() as name:
        os.chmod(name, 0o755)
        yield Path(name)


@contextmanager
def read_only(folder):
    """Take the right to write in ``folder`` away, from root as well."""
    os.chmod(folder, 0o555)
    root = os.geteuid() == 0
    if root:
        os.seteuid(65534)
    try:
        yield
    finally:
        if root:
            os.seteuid(0)
        os.chmod(folder, 0o755)


@contextmanager
def largest_file(n_bytes):
    """Let the system refuse larger files, as a full disk or quota does."""
    resource = pytest.importorskip("resource")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (n_bytes, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_the_file_appears_when_the_block_ends(tmp_path):
    path = tmp_path / "a.bin"
    with atomic_write(path) as file:
        file.write(b"new")
        assert not path.exists()
    assert path.read_bytes() == b"new"
    assert os.listdir(tmp_path) == ["a.bin"]


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt, SystemExit])
def test_a_failure_leaves_the_old_file_and_nothing_else(tmp_path, error):
    path = tmp_path / "a.bin"
    path.write_bytes(b"old")
    with pytest.raises(error), atomic_write(path) as file:
        file.write(b"half")
        raise error
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["a.bin"]


@posix
@pytest.mark.parametrize("n", [100, 100_000])  # fails on flushing, fails on writing
def test_a_full_disk_is_named_and_leaves_the_old_file(tmp_path, n):
    path = tmp_path / "weights.npz"
    path.write_bytes(b"old")
    with (
        largest_file(64),
        pytest.raises(OSError, match=r"weights\.npz cannot be written: the disk or quota is full"),
        atomic_write(path) as file,
    ):
        np.savez(file, W=np.zeros(n))
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["weights.npz"]


@posix
def test_the_system_errors_keep_their_kind_and_number(tmp_path):
    with largest_file(10), pytest.raises(OSError) as full, atomic_write(tmp_path / "a") as file:
        file.write(b"x" * 100)
    assert full.value.errno == errno.EFBIG
    with pytest.raises(FileNotFoundError, match="does not exist; make it first"):
        write_text(tmp_path / "no" / "a", "x")
    with pytest.raises(IsADirectoryError, match="it is a folder"):
        write_text(tmp_path, "x")
    assert os.listdir(tmp_path) == []


@posix
def test_a_read_only_folder_is_named(folder):
    with read_only(folder), pytest.raises(PermissionError, match=f"writing in {folder}") as error:
        write_text(folder / "a", "x")
    assert error.value.errno == errno.EACCES
    with read_only(folder), pytest.raises(PermissionError, match=f"writing in {folder} is not"):
        ensure_writable_folder(folder)
    with read_only(folder), pytest.raises(PermissionError, match=f"writing in {folder} is not"):
        ensure_writable_folder(folder / "a" / "b")
    assert os.listdir(folder) == []


def test_an_error_of_the_block_itself_is_not_put_on_the_file(tmp_path):
    with pytest.raises(FileNotFoundError) as error, atomic_write(tmp_path / "a"):
        open(tmp_path / "another")
    assert error.value.filename == str(tmp_path / "another")


@posix
def test_killed_writers_leave_nothing_for_long(tmp_path):
    path = tmp_path / "a.bin"
    path.write_bytes(b"old")
    program = (
        "import os, sys\nfrom minienc.files import atomic_write\n"
        "with atomic_write(sys.argv[1]) as file:\n"
        "    file.write(b'half'); file.flush(); os.kill(os.getpid(), 9)"
    )
    killed = subprocess.run([sys.executable, "-c", program, str(path)])
    assert killed.returncode == -9
    assert path.read_bytes() == b"old"
    assert len(os.listdir(tmp_path)) == 2
    write_text(path, "new")
    assert os.listdir(tmp_path) == ["a.bin"]


@posix
def test_a_running_writer_is_left_alone(tmp_path):
    path = tmp_path / "a.bin"
    with atomic_write(path) as outer:
        outer.write(b"outer")
        other = threading.Thread(target=write_text, args=(path, "inner"))
        other.start()
        other.join()
        assert path.read_bytes() == b"inner"
    assert path.read_bytes() == b"outer"
    assert os.listdir(tmp_path) == ["a.bin"]


@posix
def test_a_link_stays_a_link_and_rights_follow_the_umask(tmp_path):
    (tmp_path / "real").write_bytes(b"old")
    (tmp_path / "link").symlink_to("real")
    write_text(tmp_path / "link", "new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real").read_text() == "new"
    before = os.umask(0o027)
    try:
        write_text(tmp_path / "b", "x")
    finally:
        os.umask(before)
    assert (tmp_path / "b").stat().st_mode & 0o777 == 0o640


@posix
@pytest.mark.parametrize("mode", [0o600, 0o640, 0o666])
def test_a_file_that_is_replaced_hands_its_rights_on(tmp_path, mode):
    path = tmp_path / "codes.npy"
    path.write_bytes(b"old")
    os.chmod(path, mode)
    with atomic_write(path) as file:
        file.write(b"new")
        (temporary,) = (entry for entry in tmp_path.iterdir() if entry != path)
        assert stat.S_IMODE(temporary.stat().st_mode) == mode  # nor may others read it meanwhile
    assert (path.read_bytes(), stat.S_IMODE(path.stat().st_mode)) == (b"new", mode)


@posix
def test_what_is_no_file_is_written_to_or_refused_and_never_replaced(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with pytest.raises(OSError, match="a pipe that nobody reads; start the reader first"):
        write_text(pipe, "x")
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    try:
        write_text(pipe, "hello")
        assert os.read(reader, 100) == b"hello"
        with pytest.raises(RuntimeError), atomic_write(pipe) as file:
            file.write(b"half")
            raise RuntimeError
        assert os.read(reader, 100) == b""  # all or nothing
    finally:
        os.close(reader)
    assert stat.S_ISFIFO(pipe.stat().st_mode)
    with socket.socket(socket.AF_UNIX) as listener:
        before = os.getcwd()
        os.chdir(tmp_path)  # the name of a socket is short
        try:
            listener.bind("socket")
        finally:
            os.chdir(before)
        with pytest.raises(OSError, match="it is a socket; give the name of a file"):
            write_text(tmp_path / "socket", "x")
    assert sorted(os.listdir(tmp_path)) == ["pipe", "socket"]
    before = os.stat(os.devnull)
    (tmp_path / "null").symlink_to(os.devnull)
    write_text(tmp_path / "null", "x")
    with atomic_write(os.devnull) as file:
        np.save(file, np.zeros(3))
    after = os.stat(os.devnull)
    assert stat.S_ISCHR(after.st_mode) and (after.st_ino, after.st_mode) == (
        before.st_ino,
        before.st_mode,
    )


@posix
def test_a_name_may_be_as_long_as_the_file_system_takes(tmp_path):
    for name in ("学" * 80 + ".npz", "a" * 255):
        write_text(tmp_path / name, "x")
        assert os.listdir(tmp_path) == [name]
        (tmp_path / name).unlink()
    with pytest.raises(OSError, match="longer than the file system takes; choose a shorter"):
        write_text(tmp_path / ("a" * 256), "x")
    assert os.listdir(tmp_path) == []


@posix
def test_a_folder_that_is_deleted_meanwhile_is_named(tmp_path):
    folder = tmp_path / "run"
    folder.mkdir()
    with (
        pytest.raises(FileNotFoundError, match=r"a\.npz cannot be written: .*run was deleted"),
        atomic_write(folder / "a.npz") as file,
    ):
        file.write(b"x")
        shutil.rmtree(folder)


def test_json_takes_numpy_s_numbers_and_names_that_are_no_utf8(tmp_path):
    path = tmp_path / "a.json"
    given = {"n": np.int64(3), "x": np.float32(0.5), "yes": np.True_, "v": np.arange(2), 5: (1,)}
    write_json(path, {**given, "name": "cl\udcff"})
    back = {"n": 3, "x": 0.5, "yes": True, "v": [0, 1], "5": [1], "name": "cl\udcff"}
    assert json.loads(path.read_text("utf-8")) == back


def test_json_goes_round_and_refuses_what_it_cannot_hold(tmp_path):
    path = tmp_path / "config.json"
    value = {"epochs": 3, "name": "é", "list": [1.5, None, True]}
    write_json(path, value)
    assert json.loads(path.read_text("utf-8")) == value
    for bad, error in [({"loss": float("nan")}, ValueError), ({"x": object()}, TypeError)]:
        with pytest.raises(error, match=r"config\.json is not written"):
            write_json(path, bad)
    assert json.loads(path.read_text("utf-8")) == value


def test_a_folder_is_made_and_tried(tmp_path):
    folder = ensure_writable_folder(tmp_path / "runs" / "one")
    assert folder.is_dir() and os.listdir(folder) == []
    assert ensure_writable_folder(folder) == folder
    (tmp_path / "file").write_text("x")
    for path in (tmp_path / "file", tmp_path / "file" / "sub"):
        with pytest.raises(NotADirectoryError, match=r"file is a file; choose another"):
            ensure_writable_folder(path)
