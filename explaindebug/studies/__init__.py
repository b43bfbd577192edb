"""Runs compared with published results."""
