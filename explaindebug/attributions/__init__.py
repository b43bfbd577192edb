"""Attribution methods: raw signed maps of what a model's logits depend on."""

from explaindebug.attributions._engine.method import ATTRIBUTIONS, Method, Passes
from explaindebug.attributions._engine.plan import Plan, all_zero, attribute, not_finite
from explaindebug.attributions.output_of import OutputOf

__all__ = [
    "ATTRIBUTIONS",
    "Method",
    "OutputOf",
    "Passes",
    "Plan",
    "all_zero",
    "attribute",
    "not_finite",
]
