"""Similarities of two maps: one number per input."""

from explaindebug.evaluation.similarities.base import SIMILARITIES, Similarity

__all__ = ["SIMILARITIES", "Similarity"]
