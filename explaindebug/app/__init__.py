"""The application: `python train.py`, or `explaindebug` where the wheel is installed."""
