"""Lightning callbacks that explain a model during validation or testing, without side effects."""

from explaindebug.callbacks.assertions import Assertions
from explaindebug.callbacks.base import AttributionCallback
from explaindebug.callbacks.cascade import ReinitCascade
from explaindebug.callbacks.check import ModelCheck
from explaindebug.callbacks.comparing import ComparingCallback
from explaindebug.callbacks.heatmap import HeatmapLogger
from explaindebug.callbacks.reference import ReferenceSimilarity
from explaindebug.callbacks.spurious import SpuriousSimilarity

__all__ = [
    "Assertions",
    "AttributionCallback",
    "ComparingCallback",
    "HeatmapLogger",
    "ModelCheck",
    "ReferenceSimilarity",
    "ReinitCascade",
    "SpuriousSimilarity",
]
