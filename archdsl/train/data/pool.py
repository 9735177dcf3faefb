"""Work on many videos in parallel processes, one of which may crash."""

from __future__ import annotations

from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from typing import TYPE_CHECKING, Any, TypeVar

import torch

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

Item = TypeVar("Item")
Result = TypeVar("Result")


def run_each(
    function: Callable[[Item], Result], items: Sequence[Item], workers: int, note: Callable[[int, Result | None], None]
) -> None:
    """Call a function for each item, and note each result as it comes.

    Args:
        function: the function, which has to be picklable.
        items: its arguments.
        workers: number of processes; with 0, a crash ends this process.
        note: called with the index of an item and its result; None if the item has crashed its process.
    """
    if not workers:
        for number, item in enumerate(items):
            note(number, function(item))
        return
    done: set[int] = set()

    def noted(number: int, result: Result | None) -> None:
        done.add(number)
        note(number, result)

    while left := [n for n in range(len(items)) if n not in done]:
        if not _in_pool(function, items, left, workers, noted):
            continue
        for number in [n for n in left if n not in done][: 4 * workers]:  # one of these has crashed
            if _in_pool(function, items, [number], 1, noted):
                noted(number, None)


def _in_pool(
    function: Callable[[Item], Result],
    items: Sequence[Item],
    numbers: Sequence[int],
    workers: int,
    note: Callable[[int, Result], None],
) -> bool:
    """Call a function for some items in worker processes; return True if one has crashed, so that some are left."""
    crashed = False
    with ProcessPoolExecutor(workers, initializer=torch.set_num_threads, initargs=(1,)) as pool:
        futures: dict[Any, int] = {}
        try:
            for number in numbers:
                futures[pool.submit(function, items[number])] = number
        except BrokenProcessPool:
            crashed = True
        try:
            for future in as_completed(futures):
                try:
                    result = future.result()
                except BrokenProcessPool:
                    crashed = True
                else:
                    note(futures[future], result)
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return crashed
