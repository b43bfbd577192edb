"""Figures for the report and for papers."""
