"""Runs compared with the 2020 paper: its numbers, its tables, and whether its claims hold."""
