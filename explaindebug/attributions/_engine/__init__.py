"""How methods are asked for, checked, planned and run."""
