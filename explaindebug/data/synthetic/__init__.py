"""Drawn pictures with exact masks: geometry and paint, numpy and Pillow only."""
