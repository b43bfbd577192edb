"""What becomes of maps when a network loses its weights, layer after layer."""

from explaindebug.cascade.cascaded import Cascaded, cascade
from explaindebug.cascade.measure import Measurement
from explaindebug.cascade.options import Cascade
from explaindebug.cascade.states import Smoothing

__all__ = ["Cascade", "Cascaded", "Measurement", "Smoothing", "cascade"]
