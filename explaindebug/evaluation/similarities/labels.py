"""What a similarity is called in tables: `ssim`, or `topk(fraction=0.2)` where options are given.

The name is written and taken apart here alone.
"""

from collections.abc import Mapping
from typing import Any


def label(spec: Any) -> str:
    """The name of a similarity that was asked for as a name, `{name: options}` or an object."""
    if isinstance(spec, str):
        return spec
    if isinstance(spec, Mapping):
        ((name, options),) = spec.items()
        given = ", ".join(f"{option}={value}" for option, value in (options or {}).items())
        return f"{name}({given})" if given else str(name)
    return repr(spec)


def registered(label: str) -> str:
    """The name under which it is registered, without the options."""
    return label.partition("(")[0]
