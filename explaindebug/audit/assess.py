"""Whether assertions hold for a network, and whether they held for an earlier one."""

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from explaindebug.attributions._engine.plan import Plan
from explaindebug.audit.asserted import (
    DRIFT,
    RATE,
    SEVERITY,
    SHUFFLED,
    SPREAD,
    Asserted,
    asserted,
    key_of,
    too_few,
)
from explaindebug.audit.assertions._own import built
from explaindebug.audit.assertions.base import Assertion, Case
from explaindebug.core.errors import (
    AttributionError,
    ConfigError,
    MeasurementWarning,
    UnsupportedModelError,
)
from explaindebug.core.isolation import device_of, undisturbed
from explaindebug.core.validation import number, whole
from explaindebug.debugtests.base import roles
from explaindebug.debugtests.explain import Explain, Measured
from explaindebug.debugtests.run import provenance
from explaindebug.debugtests.simple import SimpleLab
from explaindebug.evaluation.roles import BUG, CONTROL

TRIAGE = ("class_sensitive", "weights_matter", "stable", "not_constant")


def assess(
    model: nn.Module,
    images: Tensor,
    assertions: Sequence[Any] | Any = TRIAGE,
    *,
    method: Any = "intgrad",
    masks: Tensor | None = None,
    labels: Tensor | None = None,
    reference: nn.Module | Sequence[nn.Module] | None = None,
    references: Tensor | None = None,
    rate: float = 0.05,
    margin: float = 0.05,
    level: float = 0.05,
    spread: float = SPREAD,
    chunk: int = 32,
    workers: int | None = None,
    seed: int = 0,
    strict: bool = False,
) -> Asserted:
    """Check assertions about a network on some inputs.

        found = assess(model, images, [OnObject(0.5), "stable"], masks=masks, reference=old)
        print(found)

    An assertion maps each input to a severity, 0 where it holds. It `holds` if the interval of the
    rate of violations lies within the allowed rate, is `violated` if it lies above, and otherwise
    `can't tell`. With a `reference`, the same assertions are checked for it on the same inputs: an
    assertion has `regressed` if its rate is above the reference's by more than the `margin`, and by
    more than networks differ that were trained alike. Several references, trained with other seeds,
    show how much that is; it is guessed from one.

    The networks are explained in eval mode and not modified; each explains its own predictions.

    Args:
        model: the network; its outputs are logits (n,) or (n, classes).
        images: the inputs (n, c, h, w), normalised as in training.
        assertions: names, `{name: {option: value}}`, objects, functions `f(outputs, maps, batch)`
            that give severities (n,), or their import paths, MODULE:NAME.
        method: the attribution method, as in `attribute`.
        masks: bool (n, 1, h, w), True on the object.
        labels: true classes (n,), for assertions of your own.
        reference: an earlier network, or several that were trained alike, of any architecture.
        references: images of the training distribution, for methods that need them.
        rate: the rate of violations that is allowed.
        margin: by how much the rate may exceed the reference's.
        level: of intervals and tests: 0.05 for intervals of 95 %.
        spread: the standard deviation to expect between rates of networks that differ only in their
            seed. 0 compares these very checkpoints, whatever another training would have given.
        chunk: inputs per pass.
        workers: as in `attribute`.
        seed: seed of everything random.
        strict: raise if an assertion can't be measured, instead of `can't tell`.

    Raises:
        ConfigError, DataError, UnsupportedModelError: for invalid input, before any map is made.
        AttributionError: if the method fails or, if `strict`, an assertion does.

    Warns:
        MeasurementWarning: if there are too few inputs for the rate, before any pass; if shuffled
            maps say that a threshold tells nothing; if an assertion can't be measured.
    """
    chosen = built(assertions)
    check_rates(rate, margin, level, spread)
    whole("seed", seed, least=0)
    plan = Plan(method, references=references is not None)
    if len(plan.methods) != 1:
        raise ConfigError(f"method must be one attribution method, got {list(plan.methods)}.")
    networks: dict[str, Any] = {"bug": model}
    if reference is not None:
        networks["control"] = reference
    lab = SimpleLab(images, networks, labels=labels, masks=masks)
    if problem := too_few(rate, len(images), level):
        warnings.warn(f"explaindebug: {problem}", MeasurementWarning, stacklevel=2)
    device = device_of(model, images.device)
    whole_found, troubles = Measured(), dict[str, str]()
    with undisturbed(device, seed=seed):
        arms, probe = lab.arms(device), lab.probe(device)
        for one in chosen.values():
            one.check(probe)
        given = None if references is None else references.detach().clone().to(device)
        for network in arms.everybody:
            for refusal in plan.refusals(network, probe.image, given).values():
                raise UnsupportedModelError(str(refusal))
        made = provenance(plan, arms.bug[0], probe, seed)
        explain = Explain(plan, references=given, chunk=chunk, workers=workers, progress=None)
        for role, network in (*roles(BUG, arms.bug), *roles(CONTROL, arms.control)):
            case = Case.of(network, probe, explain, seed=seed)
            part, failed = severities(chosen, case, role, strict=strict)
            whole_found.scores += part.scores
            troubles |= {name: why for name, why in failed.items() if name not in troubles}
    (name,) = plan.methods
    rates: dict[str, Any] = {"rate": rate, "margin": margin, "spread": spread}
    made = {"method": name, **{key: f"{value:g}" for key, value in rates.items()}, **made}
    how: dict[str, Any] = {**rates, "level": level, "seed": seed}
    found = asserted(chosen, whole_found.scores, troubles=troubles, made=made, **how)
    notes = [f"{one.name}: {one.note}" for one in found.outcomes if one.note]
    for said in [*troubles.values(), *notes]:
        warnings.warn(f"explaindebug: {said}", MeasurementWarning, stacklevel=2)
    return found


def check_rates(rate: float, margin: float, level: float, spread: float) -> None:
    """Raises ConfigError for rates that are none."""
    number("rate", rate, above=0, most=0.999, hint="It is the allowed rate of violations.")
    number("margin", margin, least=0, most=1, hint="It is a difference of two rates.")
    number("level", level, above=0, most=0.5)
    number("spread", spread, least=0, most=1, hint="It is a standard deviation of rates.")


def severities(
    assertions: Mapping[str, Assertion], case: Case, role: str, *, strict: bool = False
) -> tuple[Measured, dict[str, str]]:
    """Numbers per input of all assertions, and why some could not be measured, by name.

    The null is measured for the network in question alone, not for references.

    Raises:
        AttributionError: for an assertion that fails, if `strict`.
    """
    found, failed = Measured(), dict[str, str]()
    for name, one in assertions.items():
        try:
            for key, values in _numbers(name, one, case, role):
                found.scores.add(key, case.probe.row.cpu().numpy(), values)
        except Exception as error:
            which = "" if role == BUG else "of the reference "
            failed[name] = f"the assertion {name} {which}was not measured: {error}"
            if strict:
                raise AttributionError(failed[name]) from error
            found.warnings.append(failed[name])
    return found, failed


def _numbers(name: str, one: Assertion, case: Case, role: str) -> list[tuple[Any, Any]]:
    one.check(case.probe)
    severity = one.severity(case)
    violated = torch.where(severity.isnan(), severity, (severity > 0).double())
    found = [(key_of(name, role, SEVERITY), severity), (key_of(name, role, RATE), violated)]
    if role != BUG:
        return found
    null, drift = one.null(case), one.drift(case)
    if null is not None:
        found.append((key_of(name, SHUFFLED, SEVERITY), null))
    if drift is not None:
        found.append((key_of(name, role, DRIFT), drift))
    return found
