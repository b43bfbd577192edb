"""Attribution methods: a name, options, model + images + targets -> raw signed maps."""

from explaindebug.attributions._engine.method import ATTRIBUTIONS, Method, Passes
from explaindebug.attributions._engine.plan import Plan, all_zero, attribute, not_finite

__all__ = ["ATTRIBUTIONS", "Method", "Passes", "Plan", "all_zero", "attribute", "not_finite"]
