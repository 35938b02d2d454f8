"""Work in several processes, results in the order of the work, and never more than a few of them waiting in memory."""

from __future__ import annotations

import signal
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import TypeVar

from tqdm import tqdm

from compress3d.data.store import Store, StoreWriter
from compress3d.errors import DataError
from compress3d.process import die_with_parent

_PRINTED = 20  # objects left out that are named on the screen; the list beside the store has all
A = TypeVar("A")
B = TypeVar("B")


def ordered_map(function: Callable[[A], B], items: Iterable[A], workers: int = 2) -> Iterator[B]:
    """`map(function, items)` in `workers` processes; 0 works in this one. Function and items are pickled.

    The order is kept. At most 4 results per worker are in flight: a slow disk would let them fill the memory.

    Raises DataError: a process was ended from outside, as the system does when the memory is full.
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
            pool.shutdown(cancel_futures=True)


def fill(writer: StoreWriter, items: dict[str, A], make: Callable[[A], tuple | DataError], workers: int) -> Store:
    """Finish a store with the items, by uid, that it lacks. `make` gives what `add` takes, or why there is nothing."""
    todo, left_out = {uid: item for uid, item in items.items() if uid not in writer.done}, 0
    made, done = ordered_map(make, todo.values(), workers), len(items) - len(todo)
    with tqdm(total=len(items), initial=done, disable=None, unit="object", desc=writer.path.name) as bar:
        for uid, result in zip(todo, made, strict=True):
            if isinstance(result, DataError):
                writer.skip(uid, result)
                left_out += 1
                if left_out <= _PRINTED:
                    more = "; more are only listed" if left_out == _PRINTED else ""
                    bar.write(f"left out: {result}{more}", file=sys.stderr)
                bar.set_postfix_str(f"{left_out} left out", refresh=False)
            else:
                writer.add(*result)
            bar.update()
    return writer.finish()


def _start_worker() -> None:
    """A worker leaves Ctrl-C to its parent, and ends when that was killed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    die_with_parent()
