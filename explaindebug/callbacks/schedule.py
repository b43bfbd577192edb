"""When a callback measures, and why it may never measure in a `fit`."""

from typing import Any

LOOPS = ("validation", "training")  # a `fit` is measured after epochs of one of these


def due(trainer: Any, loop: str, *, after: str, every: int) -> bool:
    """Whether to measure in this epoch; outside of `fit`, always.

    Args:
        trainer: the trainer that runs the epoch.
        loop: which of the `LOOPS` the epoch belongs to.
        after: the loop to measure after, in `fit`.
        every: measure in every n-th epoch only.
    """
    if trainer.sanity_checking:
        return False
    if trainer.state.fn != "fit":
        return True
    return loop == after and (trainer.fast_dev_run or (trainer.current_epoch + 1) % every == 0)


def obstacle(trainer: Any, *, after: str, every: int) -> str | None:
    """Why the `fit` that begins will measure nothing, and the remedy; None if it will measure."""
    validates = after == "validation"
    if validates and not trainer.enable_validation:
        return (
            "there is no validation (no validation_step, no validation data, or "
            "limit_val_batches=0). Use after='training' to measure after training epochs."
        )
    if trainer.fast_dev_run or trainer.max_epochs in (None, -1):
        return None
    each = (trainer.check_val_every_n_epoch if validates else None) or 1
    epochs = range(trainer.current_epoch + 1, trainer.max_epochs + 1)
    if not epochs or any(epoch % every == 0 and epoch % each == 0 for epoch in epochs):
        return None
    return (
        f"no epoch up to max_epochs={trainer.max_epochs} is one of every_n_epochs={every}"
        + (f" and of check_val_every_n_epoch={each}" if each > 1 else "")
        + ". Lower them."
    )
