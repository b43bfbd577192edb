"""Names of similarities in tables: `ssim`, or `topk(fraction=0.2)` if options are given.

Names are written and parsed only here.
"""

from collections.abc import Mapping
from typing import Any


def label(spec: Any) -> str:
    """The name in tables of a similarity given as a name, `{name: options}` or an object."""
    if isinstance(spec, str):
        return spec
    if isinstance(spec, Mapping):
        ((name, options),) = spec.items()
        given = ", ".join(f"{option}={value}" for option, value in (options or {}).items())
        return f"{name}({given})" if given else str(name)
    return repr(spec)


def registered(label: str) -> str:
    """The name under which it is registered, without options."""
    return label.partition("(")[0]
