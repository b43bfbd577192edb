"""A cache of recent results, limited by their size in bytes."""

from collections import OrderedDict
from collections.abc import Callable, Hashable
from threading import Lock
from typing import Generic, TypeVar

V = TypeVar("V")


class Memo(Generic[V]):
    """A cache that drops the least recently used values once they exceed `room` bytes in total.

    `size` gives the bytes of a value. The latest value is kept whatever its size. Threads may
    share a memo; two that request the same new key at once both compute it.
    """

    def __init__(self, room: int, size: Callable[[V], int]) -> None:
        self.room = room
        self._size = size
        self.bytes = 0  # of all cached values
        self._values: OrderedDict[Hashable, V] = OrderedDict()
        self._lock = Lock()

    def __len__(self) -> int:
        return len(self._values)

    def get(self, key: Hashable, make: Callable[[], V]) -> V:
        """The value of a key, computed by `make` if it is not cached."""
        with self._lock:
            if key in self._values:
                self._values.move_to_end(key)
                return self._values[key]
        value = make()
        with self._lock:
            if key not in self._values:
                self._values[key] = value
                self.bytes += self._size(value)
            while len(self) > 1 and self.bytes > self.room:
                _, oldest = self._values.popitem(last=False)
                self.bytes -= self._size(oldest)
        return value
