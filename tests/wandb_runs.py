"""What an offline W&B run really holds, read from its `.wandb` file.

A file begins with `:W&B`, 0xBEE1 and a version, 7 bytes. Then come LevelDB's log blocks of 32 KiB:
pieces of (crc, length, kind) and a body; kinds are 1 whole, 2 first, 3 middle, 4 last.
"""

import json
import struct
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from wandb.proto.wandb_internal_pb2 import Record

BLOCK, HEAD = 32768, 7


class Run(NamedTuple):
    """A run's rows in order, summary and configuration, its metrics' definitions, its files.

    Group and tags are what runs can be filtered by.
    """

    history: list[dict[str, Any]]
    summary: dict[str, Any]
    config: dict[str, Any]
    metrics: dict[str, Any]
    files: dict[str, Path]
    group: str
    tags: list[str]

    def rows(self, key: str) -> list[dict[str, Any]]:
        """The rows that have the key."""
        return [row for row in self.history if key in row]


def read(folder: Path) -> Run:
    """The only run below a folder; waits until its writer has ended."""
    for _ in range(200):
        if list(folder.rglob("*.wandb")):
            break
        time.sleep(0.05)
    (path,) = folder.rglob("*.wandb")
    for _ in range(100):
        records = list(_records(path.read_bytes()))
        if any(record.WhichOneof("record_type") == "exit" for record in records):
            break
        time.sleep(0.05)
    files = path.parent / "files"
    history, summary, config, metrics = [], {}, {}, {}
    group, tags = "", list[str]()
    for record in records:
        kind = record.WhichOneof("record_type")
        if kind == "history":
            history.append(_values(record.history.item))
        elif kind == "summary":
            summary |= _values(record.summary.update)
        elif kind == "config":
            config |= _values(record.config.update)
        elif kind == "run":
            group, tags = record.run.run_group, [*record.run.tags]
            config |= _values(record.run.config.update)
        elif kind == "metric":
            metrics[record.metric.name or record.metric.glob_name] = record.metric
    found = {str(file.relative_to(files)): file for file in files.rglob("*") if file.is_file()}
    return Run(history, summary, config, metrics, found, group, tags)


def _values(items: Any) -> dict[str, Any]:
    return {"/".join(x.nested_key) or x.key: json.loads(x.value_json) for x in items}


def _records(data: bytes) -> Iterator[Record]:
    at, body = HEAD, b""
    while at + HEAD <= len(data):
        left = BLOCK - at % BLOCK
        if left < HEAD:
            at += left  # the rest of a block that no piece fits into
            continue
        _, length, kind = struct.unpack("<IHB", data[at : at + HEAD])
        body += data[at + HEAD : at + HEAD + length]
        at += HEAD + length
        if kind in (1, 4):
            yield Record.FromString(body)
            body = b""
