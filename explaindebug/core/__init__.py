"""Shared foundations: errors, file I/O, registries, random numbers, copies of models."""
