"""JUnit XML, as GitHub, GitLab and Jenkins read it."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal, NamedTuple
from xml.etree import ElementTree as xml

from explaindebug.core.io import write_atomically

Outcome = Literal["passed", "failed", "skipped"]


class Case(NamedTuple):
    """One test case."""

    group: str
    name: str
    outcome: Outcome
    message: str = ""


def skipped(group: str, refused: Mapping[str, str]) -> list[Case]:
    """A case for each method that was left out, with the reason."""
    return [Case(group, method, "skipped", why) for method, why in refused.items()]


def write_junit(path: Path | str, suite: str, cases: Sequence[Case], seconds: float) -> Path:
    """Write the cases of one suite; what is open counts as skipped."""
    counts = {
        "tests": len(cases),
        "failures": sum(case.outcome == "failed" for case in cases),
        "errors": 0,
        "skipped": sum(case.outcome == "skipped" for case in cases),
    }
    totals = {key: str(value) for key, value in counts.items()} | {"time": f"{seconds:.3f}"}
    root = xml.Element("testsuites", {"name": suite, **totals})
    inside = xml.SubElement(root, "testsuite", {"name": suite, **totals})
    for case in cases:
        made = xml.SubElement(
            inside, "testcase", {"classname": case.group, "name": case.name, "time": "0"}
        )
        if case.outcome != "passed":
            tag = "failure" if case.outcome == "failed" else "skipped"
            xml.SubElement(made, tag, {"message": _plain(case.message)})
    xml.indent(root)
    return write_atomically(
        path, xml.tostring(root, encoding="unicode", xml_declaration=True) + "\n"
    )


def _plain(text: str) -> str:
    """Without characters that XML can't hold."""
    return "".join(c for c in text if c.isprintable() or c in "\n\t")
