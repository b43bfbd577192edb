"""Pictures with their labels, masks and scenes, in numpy and torch only."""

from explaindebug.data.imageset import ImageSet, MaskedSample, MaskedView, Sample, Splits, collate

__all__ = ["ImageSet", "MaskedSample", "MaskedView", "Sample", "Splits", "collate"]
