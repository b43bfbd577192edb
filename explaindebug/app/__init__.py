"""The application: `python train.py`, or `explaindebug` once the package is installed."""
