"""Several runs as one result: seeds pooled, variants side by side, sweeps."""
