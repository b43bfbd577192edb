"""Figures, as they stand in the report and in papers."""
