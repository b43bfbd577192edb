"""Several runs as one result: seeds together, variants side by side, sweeps."""
