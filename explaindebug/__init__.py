"""Would the heat map have told you? Debugging tests for attribution methods.

Adebayo, Muelly, Liccardi, Kim: Debugging Tests for Model Explanations, NeurIPS 2020.
"""

__version__ = "0.1.0"
