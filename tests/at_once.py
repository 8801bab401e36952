"""The same work from several threads of Python at once."""

from __future__ import annotations

import threading
from collections.abc import Callable


def at_once(work: Callable[[int], None], n: int = 8) -> None:
    """``work(i)`` in n threads that begin together; one that does not end within a minute fails."""
    start = threading.Barrier(n)

    def wait_and_work(i: int) -> None:
        start.wait()
        work(i)

    threads = [threading.Thread(target=wait_and_work, args=(i,)) for i in range(n)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
        assert not thread.is_alive()
