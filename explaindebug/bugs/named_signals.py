"""A spurious signal by name, with options, by import path, or as an object."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from explaindebug.bugs import BUGS
from explaindebug.bugs.own_signal import Own, OwnSignal, signal_at
from explaindebug.bugs.spurious_signal import SpuriousSignal
from explaindebug.core.errors import ConfigError
from explaindebug.core.registry import nearest
from explaindebug.data.folder_layout import PICTURES

Spec = str | Mapping[str, Any] | SpuriousSignal | Own


def signal_named(spec: Spec, where: str, **defaults: Any) -> SpuriousSignal:
    """The signal that `spec` stands for.

    Args:
        spec: a name, `{name: {option: value}}`, the import path of a function of the user's own
            (see `OwnSignal`) in the place of a name, such a function, or a `SpuriousSignal`.
        where: the option that holds it, for messages.
        defaults: options of all signals, which those in `spec` override.

    Raises:
        ConfigError: for an unknown name or option, or a path that can't be imported.
    """
    if isinstance(spec, SpuriousSignal):
        return spec
    if callable(spec):
        return OwnSignal(call=spec, **defaults)
    named = {spec: {}} if isinstance(spec, str) else spec
    if len(named) != 1:
        raise ConfigError(
            f"{where}: {dict(named)} has {len(named)} entries, but it must be one signal, such as "
            "{tag: {size: 0.2}} or {module.function: {size: 0.2}}."
        )
    given = {str(name): {**defaults, **(options or {})} for name, options in named.items()}
    known = [name for name in BUGS if issubclass(BUGS[name], SpuriousSignal)]
    for name, options in given.items():
        if Path(name).suffix.lower() in PICTURES:
            raise ConfigError(f"{where}: write {{image: {{path: {name}}}}}.")
        if name not in known and ("." in name or ":" in name):
            return signal_at(name, options)
        if name not in known:
            raise ConfigError(
                f"{where}: unknown signal {name!r}.{nearest(name, known)} Known: "
                f"{', '.join(known)}; or the import path of a function of your own, "
                "module.function."
            )
    bug: SpuriousSignal = BUGS.build(given)
    return bug
