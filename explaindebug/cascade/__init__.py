"""What becomes of maps when a network loses its weights, layer after layer."""

from explaindebug.cascade.api import Cascaded, cascade
from explaindebug.cascade.config import Cascade
from explaindebug.cascade.runner import Measurement
from explaindebug.cascade.states import Smoothing

__all__ = ["Cascade", "Cascaded", "Measurement", "Smoothing", "cascade"]
