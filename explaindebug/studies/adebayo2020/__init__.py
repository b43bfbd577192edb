"""Runs beside the paper that they follow: its numbers, its tables, and whether its claims hold."""
