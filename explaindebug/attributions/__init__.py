"""Attribution methods: a name, options, model + images + targets -> raw signed maps."""

from explaindebug.attributions.method import ATTRIBUTIONS, Method, Passes
from explaindebug.attributions.plan import Plan, attribute, not_finite

__all__ = ["ATTRIBUTIONS", "Method", "Passes", "Plan", "attribute", "not_finite"]
