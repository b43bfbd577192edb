"""Attribution methods: a name, options, model + images + targets -> raw signed maps."""

from explaindebug.attributions.method import ATTRIBUTIONS, Method, Passes
from explaindebug.attributions.plan import Plan, all_zero, attribute, not_finite

__all__ = ["ATTRIBUTIONS", "Method", "Passes", "Plan", "all_zero", "attribute", "not_finite"]
