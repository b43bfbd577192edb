"""Check that a tag such as v0.2.0 names the version of package, changelog and citation.

python .ci/version.py v0.2.0             exit status 1, with a sentence for each that differs
python .ci/version.py v0.2.0 --notes     print what the changelog says of this version
"""

import re
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def differing(version: str) -> list[str]:
    """A sentence for each file that names another version."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    package = found(r'^__version__ = "(.*)"$', "explaindebug/__init__.py")
    cited = found(r"^version: (\S+)$", "CITATION.cff")
    named = {
        "pyproject.toml": project,
        "explaindebug/__init__.py": package,
        "CITATION.cff": cited,
    }
    wrong = [
        f"{file} has {other}, not {version}." for file, other in named.items() if other != version
    ]
    if notes(version) is None:
        wrong.append(f"CHANGELOG.md has no section [{version}]: rename [Unreleased].")
    return wrong


def notes(version: str) -> str | None:
    """The changelog's section of a version, without its heading."""
    sections = re.split(r"^## \[", (ROOT / "CHANGELOG.md").read_text(), flags=re.M)
    for section in sections[1:]:
        name, _, text = section.partition("]")
        if name == version:
            return text.partition("\n")[2].strip()
    return None


def found(pattern: str, file: str) -> str | None:
    match = re.search(pattern, (ROOT / file).read_text(), flags=re.M)
    return match[1] if match else None


def main() -> int:
    if len(sys.argv) < 2:
        print(__doc__, file=sys.stderr)
        return 2
    version = sys.argv[1].removeprefix("v")
    wrong = differing(version)
    if not wrong and "--notes" in sys.argv:
        print(notes(version))
    print("\n".join(wrong), end="\n" if wrong else "", file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
