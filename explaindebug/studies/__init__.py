"""Runs beside what others published."""
