"""Similarities of two maps: one number per input."""

from explaindebug.evaluation.similarities.base import SIMILARITIES, Similarity
from explaindebug.evaluation.similarities.labels import registered

__all__ = ["SIMILARITIES", "Similarity", "family"]


def family(label: str) -> str:
    """What a similarity of that name in tables is a variant of: `spearman` of `spearman_abs`.

    Its own registered name where it is none, or not known here.

    Examples:
        >>> from explaindebug.evaluation.similarities import family
        >>> family("spearman_abs"), family("ssim")
        ('spearman', 'ssim')
    """
    name = registered(label)
    return (SIMILARITIES[name].family if name in SIMILARITIES else "") or name
