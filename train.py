"""Run the debugging tests: `python train.py --help` says what can be set."""

from explaindebug.app.cli import train

if __name__ == "__main__":
    train()
