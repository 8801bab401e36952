"""What a submission may not do in its process, and how that is noticed.

No sandbox: whoever wants to get out of a Python process gets out. It keeps honest mistakes and idle
tricks from hurting a batch, and says plainly what was tried. This file stands alone, as ``wire``
does.
"""

from __future__ import annotations

import os
import re
import sys
from types import ModuleType
from typing import Any

# What travels: arrays, numbers, words, lists of these; from a stranger, anything.
Value = Any

BORROWED = (
    *("minienc", "torch", "jax", "jaxlib", "autograd", "tensorflow", "keras", "flax", "sklearn"),
    *("mxnet", "theano", "aesara", "pytensor", "casadi", "tinygrad", "micrograd", "numba", "cupy"),
)
BORROWED_PARTS = ("scipy.optimize", "scipy.differentiate", "scipy.misc")
# what a function of arrays has no need of: the event's name, and what is said
REFUSED = {
    "os.fork": "starts other processes",
    "os.forkpty": "starts other processes",
    "os.system": "starts other programs",
    "os.exec": "starts other programs",
    "os.posix_spawn": "starts other programs",
    "os.spawn": "starts other programs",
    "subprocess.Popen": "starts other programs",
    "os.kill": "sends signals to processes",
    "os.killpg": "sends signals to processes",
    "socket.__new__": "opens network connections",
    "socket.connect": "opens network connections",
    "ctypes.dlopen": "calls into the machine by ctypes",
    "ctypes.dlsym": "calls into the machine by ctypes",
    "ctypes.call_function": "calls into the machine by ctypes",
    "resource.setrlimit": "changes its own limits",
    "resource.prlimit": "changes its own limits",
    "sys.addaudithook": "listens to its own process",
    "os.putenv": "changes the environment",
    "os.setxattr": "changes files",
    "code.__new__": "builds code objects",
}
CHANGES = ("os.remove", "os.rename", "os.rmdir", "os.mkdir", "os.link", "os.symlink", "os.truncate",
           "os.chmod", "os.chown", "os.chdir", "shutil.rmtree", "shutil.move")  # fmt: skip
PROC = ("/proc/", "/dev/mem", "/dev/kmem", "/sys/")
# exercises with their solutions, and where a term's secret is kept
COURSE = re.compile(r"(^|[/\\])(e\d\d_[^/\\]*\.(py|ipynb)|term\.txt|nbgrader_config\.py)$")


class Guard:
    """Listens to what the process does, from when it is told to.

    Attributes
    ----------
    tried : list of str
        What a submission tried and what was refused: "opens network connections".
    """

    def __init__(self, home: str, allowed: tuple[str, ...] = ()) -> None:
        self.allowed = allowed
        self.home = os.path.realpath(home) + os.sep
        self.tried: list[str] = []
        self.on = False
        sys.addaudithook(self._hear)
        sys.meta_path.insert(0, self)  # importlib's own functions are not heard

    def find_spec(self, name: str, *_: object) -> None:
        """As a finder of modules: it refuses, or leaves it to the others."""
        if self.on:
            self._hear_import(name)

    def borrowed(self) -> list[str]:
        """What got in all the same."""
        return sorted(
            {n.partition(".")[0] for n in sys.modules} & set(BORROWED) - set(self.allowed)
        )

    def _refuse(self, what: str, error: type[Exception] = PermissionError) -> None:
        if what not in self.tried:
            self.tried.append(what)
        raise error(f"refused: a submission that {what}")

    def _hear(self, event: str, args: tuple) -> None:
        if not self.on:
            return
        if event == "import":
            self._hear_import(str(args[0]))
        elif event == "open":
            self._hear_open(*args[:3])
        elif event in CHANGES:
            paths = [a for a in args if isinstance(a, (str, bytes, os.PathLike))]
            if not all(map(self._is_home, paths)):
                self._refuse("changes files outside of its folder")
        elif event in REFUSED and not self._is_numpys(event):
            self._refuse(REFUSED[event])

    def _is_numpys(self, event: str) -> bool:
        """NumPy opens ctypes for itself when some of its parts are imported."""
        if not event.startswith("ctypes"):
            return False
        frame: Value = sys._getframe(2)
        while frame is not None:
            if frame.f_globals.get("__name__", "").startswith(("numpy.", "ctypes")):
                frame = frame.f_back
                continue
            return frame.f_globals.get("__name__", "").startswith("importlib")
        return False

    def _hear_import(self, name: str) -> None:
        top = name.partition(".")[0]
        if top in self.allowed:
            return
        if top in BORROWED or name.startswith(BORROWED_PARTS):
            self._refuse(f"imports {name}", ImportError)

    def _hear_open(self, path: Value, mode: Value, flags: Value) -> None:
        if not isinstance(path, (str, bytes, os.PathLike)):
            return
        real = os.path.realpath(os.fsdecode(path))
        if real.startswith(PROC):
            self._refuse("reads the memory or the files of processes")
        if COURSE.search(real) and not (real + os.sep).startswith(self.home):
            self._refuse("reads the course's own files")
        writes = isinstance(flags, int) and flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)
        if writes and not (real + os.sep).startswith(self.home) and real != os.devnull:
            self._refuse("writes files outside of its folder")

    def _is_home(self, path: Value) -> bool:
        return (os.path.realpath(os.fsdecode(path)) + os.sep).startswith(self.home)


def limit(seconds: float, memory: int, file: int) -> None:
    """Bound this process, where the system can: CPU time, memory, the size of a file."""
    try:
        import resource
    except ImportError:  # Windows: the clock on the wall is all there is
        return
    wanted = [
        (resource.RLIMIT_CPU, (int(seconds) + 1, int(seconds) + 2)),
        (resource.RLIMIT_AS, (memory, memory)),
        (resource.RLIMIT_FSIZE, (file, file)),
        (resource.RLIMIT_CORE, (0, 0)),
        (resource.RLIMIT_NOFILE, (64, 64)),
    ]
    for which, (soft, hard) in wanted:
        try:
            _, most = resource.getrlimit(which)
            hard = hard if most == resource.RLIM_INFINITY else min(hard, most)
            resource.setrlimit(which, (min(soft, hard), hard))
        except (ValueError, OSError):  # macOS refuses some
            continue


def contents(modules: list[ModuleType]) -> dict[tuple[str, str], int]:
    """What the names of modules stand for now, to be compared later."""
    return {(m.__name__, k): id(v) for m in modules for k, v in vars(m).items()}


def patched(before: dict[tuple[str, str], int], modules: list[ModuleType]) -> list[str]:
    """The names that stand for something else than before: "numpy.allclose"."""
    now = contents(modules)
    return [".".join(key) for key, of in before.items() if now.get(key) != of]
