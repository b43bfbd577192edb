"""A forward pass taken apart: its operations, its graph, and other ways back through it."""
