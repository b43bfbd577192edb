"""The application: `python train.py`, or `explaindebug` where the wheel is installed."""

import os
import sys
from typing import Any

EXIT_ERROR, EXIT_INTERRUPTED = 1, 130


def main() -> None:
    """Compose the configuration from the command line and run it; ends in one sentence on errors.

    With HYDRA_FULL_ERROR=1 errors come with their traceback.
    """
    import hydra

    full = os.environ.get("HYDRA_FULL_ERROR") == "1"
    os.environ["HYDRA_FULL_ERROR"] = "1"  # so that Hydra hands errors on, instead of printing them
    application = hydra.main("pkg://explaindebug.configs", "train", version_base="1.3")(_run)
    try:
        application()
    except BrokenPipeError:  # `| head` has read enough
        sys.exit(0)
    except KeyboardInterrupt:
        sys.exit(EXIT_INTERRUPTED)
    except Exception as error:
        from explaindebug.app.complaints import sentence

        said = None if full else sentence(error)
        if said is None:
            raise
        print(f"error: {said}", file=sys.stderr)
        sys.exit(EXIT_ERROR)


def _run(config: Any) -> None:
    # Imported late: torch takes seconds, and `--help` needs none of it.
    from explaindebug.app.run import run

    run(config)
