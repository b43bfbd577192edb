"""Attribution methods: a name, options, model + images + targets -> raw signed maps."""

from explaindebug.attributions.method import ATTRIBUTIONS, Method, Passes

__all__ = ["ATTRIBUTIONS", "Method", "Passes"]
