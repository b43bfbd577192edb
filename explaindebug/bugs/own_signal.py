"""A signal that a function of the user's own puts on the pictures of one class."""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from functools import partial
from typing import Any, ClassVar

import numpy as np

from explaindebug.bugs import BUGS
from explaindebug.bugs.spurious_signal import OfOneClass, Placed, SpuriousSignal, without_object
from explaindebug.core.errors import ConfigError
from explaindebug.core.importing import imported
from explaindebug.data.imageset import Bools, ImageSet, Labels, Pixels
from explaindebug.data.scenes import Scenes

Own = Callable[..., tuple[Pixels, Bools]]
HOW = (
    "Give module.function, of an installed package or of a file beside train.py or in a folder on "
    "PYTHONPATH."
)


@BUGS.register("function")
@dataclass(frozen=True)
class OwnSignal(OfOneClass):
    """One class's pictures carry what a function adds to them.

        call(picture, **options) -> (changed, mask)

    `picture` and `changed` are uint8 (h, w, c), `mask` is boolean (h, w), True where the signal is.
    The function gets a copy of each picture, and what it returns is checked. The signal alone is
    what is on the mask, in front of the picture without its object, if the data has that, else in
    front of the picture's mean colour.

    Args:
        call: the function, an object with `__call__`, or the import path of either; of a class, the
            options make the object.
        options: what else the function is given.
        called: what reports call it; by default its own name.

    Raises:
        ConfigError: for what can't be imported or called, or doesn't take the options; later where
            it fails, or returns what can't be a signal: other shapes or types, a change off the
            mask, a mask of everything or nothing, something else the second time.
    """

    name: ClassVar[str] = "function"
    label: ClassVar[str] = "Spurious signal of one's own"
    source: ClassVar[str] = "the user's own"

    call: str | Own = field(kw_only=True)
    options: Mapping[str, Any] = field(default_factory=dict, hash=False)
    called: str | None = None
    put: Own = field(init=False, repr=False, compare=False)  # what is called, with its options

    def __post_init__(self) -> None:
        super().__post_init__()
        found = imported(self.call, HOW) if isinstance(self.call, str) else self.call
        object.__setattr__(self, "put", _with_options(found, self.options, self._own_name))

    @property
    def title(self) -> str:
        return f"Spurious {self._own_name.replace(':', '.').rpartition('.')[2]}"

    @property
    def plain(self) -> Mapping[str, Any]:
        kept = {one.name: getattr(self, one.name) for one in fields(self) if one.repr}
        named = {name: value for name, value in self.options.items() if _is_plain(value)}
        return kept | {"call": self._own_name, "options": named}

    @property
    def _own_name(self) -> str:
        if self.called or isinstance(self.call, str):
            return str(self.called or self.call)
        return str(getattr(self.call, "__name__", type(self.call).__name__))

    def check(self, data: ImageSet, scenes: Scenes) -> None:
        """Raises ConfigError if the first picture shows that the function makes no signal."""
        if not len(data):
            return
        (changed, mask), again = self._result(data.pixels[0]), self._result(data.pixels[0])
        if not all(map(np.array_equal, (changed, mask), again)):
            raise ConfigError(
                f"{self._own_name} makes something else of the same picture when called again: let "
                "it draw from np.random.default_rng(seed) of its own, if it must be random."
            )
        if np.array_equal(changed, data.pixels[0]):
            raise ConfigError(f"{self._own_name} returned a picture as it was, without a signal.")

    def place(self, data: ImageSet, labels: Labels, scenes: Scenes, split: str) -> Placed:
        made, masks = np.empty_like(data.pixels), np.empty(data.pixels.shape[:3], np.bool_)
        for i, picture in enumerate(data.pixels):
            made[i], masks[i] = self._result(picture)
        return Placed(made, masks, np.where(masks[..., None], made, without_object(data)))

    def _result(self, picture: Pixels) -> tuple[Pixels, Bools]:
        """What the function makes of a picture (h, w, c), and where."""
        try:
            found = self.put(picture.copy())
        except Exception as error:
            raise ConfigError(
                f"{self._own_name} failed on a picture, uint8 {picture.shape}: "
                f"{type(error).__name__}: {error}."
            ) from error
        if not isinstance(found, tuple | list) or len(found) != 2:
            raise ConfigError(
                f"{self._own_name} returned {_kind(found)}, but must return the picture with the "
                "signal and its mask, two arrays."
            )
        changed, mask = found
        wanted = (
            ("picture", changed, "uint8", picture.shape),
            ("mask", mask, "bool", picture.shape[:2]),
        )
        for what, array, dtype, shape in wanted:
            fits = isinstance(array, np.ndarray) and array.dtype == dtype and array.shape == shape
            if not fits:
                raise ConfigError(
                    f"{self._own_name} returned {_kind(array)} as its {what}, but it must be "
                    f"{dtype} {shape}."
                )
        off = int((changed != picture)[~mask].any(-1).sum())
        if off:
            raise ConfigError(
                f"{self._own_name} changed {off} pixels off its mask, which must be True wherever "
                "the picture was changed."
            )
        if mask.all() or not mask.any():
            raise ConfigError(
                f"{self._own_name} returned a mask that is {mask.flat[0]} everywhere: it must be "
                "True where the signal is and False elsewhere."
            )
        return changed, mask


def signal_at(path: str, options: Mapping[str, Any]) -> SpuriousSignal:
    """The signal at an import path: a function or class of the user's, or a `SpuriousSignal`.

    Options that every signal of one class has are the signal's, the others the function's.

    Raises:
        ConfigError: for what can't be imported, or doesn't take its options.
    """
    found = imported(path, HOW)
    if inspect.isclass(found) and issubclass(found, SpuriousSignal):
        made: SpuriousSignal = _made(found, options, path)
        return made
    mine = {one.name for one in fields(OwnSignal) if one.init} - {"call", "options"}
    rest = {key: value for key, value in options.items() if key not in mine}
    return OwnSignal(call=path, options=rest, **{k: options[k] for k in options if k in mine})


def _with_options(found: Any, options: Mapping[str, Any], name: str) -> Own:
    """The function with its options bound, checked that it takes them."""
    if inspect.isclass(found):
        found, options = _made(found, options, name), {}
    if not callable(found):
        raise ConfigError(f"{name} is {_kind(found)}, but a function or class is needed.")
    try:
        inspect.signature(found).bind(None, **options)
    except TypeError as error:
        raise ConfigError(
            f"{name} can't be called with a picture{_listed(options)}: {error}."
        ) from error
    except ValueError:  # a compiled function, whose signature is unknown
        pass
    return partial(found, **options)


def _made(kind: type, options: Mapping[str, Any], name: str) -> Any:
    try:
        return kind(**options)
    except TypeError as error:
        raise ConfigError(f"{name} can't be made{_listed(options)}: {error}.") from error


def _listed(options: Mapping[str, Any]) -> str:
    return f" with {', '.join(map(str, options))}" if options else ""


def _kind(found: Any) -> str:
    """Type and, of an array, shape, for messages."""
    if isinstance(found, np.ndarray):
        return f"an array {found.dtype} {found.shape}"
    return f"a {type(found).__name__}"


def _is_plain(value: Any) -> bool:
    return value is None or isinstance(value, str | int | float | bool | list | dict)
