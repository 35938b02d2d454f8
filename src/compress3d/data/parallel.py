"""Work in several processes, results in the order of the work, and never more than a few of them waiting in memory."""

from __future__ import annotations

import signal
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import TypeVar

from compress3d.errors import DataError
from compress3d.process import die_with_parent

A = TypeVar("A")
B = TypeVar("B")


def ordered_map(function: Callable[[A], B], items: Iterable[A], workers: int = 2) -> Iterator[B]:
    """`map(function, items)` in `workers` processes; 0 works in this one. Function and items are pickled.

    The order is kept, so that a store's rows do not depend on the number of workers. At most 4 results per worker are
    in flight: an object's views take 1.8 MB, and would otherwise fill the memory while the disk writes.

    Raises:
        DataError: a process was ended from outside, as the system does when the memory is full.

    Example:
        >>> list(ordered_map(abs, [-3, 2], workers=0))
        [3, 2]
    """
    if workers <= 0:
        yield from map(function, items)
        return
    with ProcessPoolExecutor(workers, initializer=_start_worker) as pool:
        waiting: deque[Future[B]] = deque()
        try:
            for item in items:
                waiting.append(pool.submit(function, item))
                if len(waiting) >= 4 * workers:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        except BrokenProcessPool:
            problem = "was ended from outside, perhaps because the memory is full"
            raise DataError("a worker process", problem, "run the same command again with fewer --workers") from None
        finally:
            for future in waiting:
                future.cancel()


def attempt(function: Callable[[A], B], item: A) -> B | DataError:
    """`function(item)`, or the DataError that it raises: errors cross processes as values."""
    try:
        return function(item)
    except DataError as error:
        return error


def _start_worker() -> None:
    """A worker leaves Ctrl-C to its parent, and ends when that was killed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    die_with_parent()
