"""Attribution methods: a name, options, model + images + targets -> raw signed maps."""

from explaindebug.attributions.method import ATTRIBUTIONS, Method, Passes
from explaindebug.attributions.plan import attribute

__all__ = ["ATTRIBUTIONS", "Method", "Passes", "attribute"]
