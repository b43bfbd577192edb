"""Similarities: two maps -> one number per input."""

from explaindebug.similarities.similarity import SIMILARITIES, Similarity

__all__ = ["SIMILARITIES", "Similarity"]
