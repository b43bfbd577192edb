"""What everything stands on: errors, files, registries, random numbers, copies of models."""
