"""Writes the parts of docs/methods.md that follow from the code: `python docs/methods.py`.

A method's entry is its class's docstring with what the class itself says: fields, label, passes.
The formula is the docstring's first indented block; `Layers:` and the descriptions of options may
come from a base class. `tests/docs/test_methods.py` asserts that the page is up to date.
"""

import inspect
import re
import textwrap
from collections.abc import Callable, Iterator
from dataclasses import MISSING, Field, fields
from pathlib import Path

import torch
import torchvision.models as tv
from torch import nn
from torchvision.models.efficientnet import EfficientNet, MBConvConfig
from torchvision.models.mobilenetv2 import mobilenet_v2
from torchvision.models.swin_transformer import SwinTransformer

from explaindebug.attributions import ATTRIBUTIONS, Method, Plan
from explaindebug.attributions._engine.specs import all_names
from explaindebug.attributions.lrp import RULES
from explaindebug.core.isolation import watch
from explaindebug.models import BVDCNN

PAGE = Path(__file__).with_name("methods.md")
PART = re.compile(r"(<!-- (\w+), from the code -->\n).*?(<!-- end -->\n)", re.DOTALL)
SECTION = re.compile(r"(Args|Layers|Checked|Differs|Raises|Source)\b[^:\n]*:\s*(.*)", re.DOTALL)
OPTION = re.compile(r"^([\w, ]+): (.*(?:\n +.*)*)", re.MULTILINE)
FAMILIES = (  # files of the package's methods, in the order of the page
    *("gradient", "smoothgrad", "path_gradients", "gradcam", "occlusion", "lime_shap"),
    *("guided_backprop", "lrp", "attnlrp", "patternnet", "rollout", "gradattn", "legrad"),
    "captum_adapter",
)
SIDE = 48
NETWORKS: dict[str, Callable[[], nn.Module]] = {
    "BVD-CNN": lambda: BVDCNN(5, SIDE),
    "SqueezeNet": lambda: tv.squeezenet1_0(num_classes=5),
    "ResNet-18": lambda: tv.resnet18(num_classes=5),
    "DenseNet": lambda: tv.DenseNet(8, (2, 2, 2, 2), 16, num_classes=5),
    "MobileNetV2": lambda: mobilenet_v2(num_classes=5, width_mult=0.35),
    "MobileNetV3": lambda: tv.mobilenet_v3_small(num_classes=5, width_mult=0.35),
    "EfficientNet": lambda: EfficientNet([MBConvConfig(2, 3, 2, 8, 8, 2)], 0.0, num_classes=5),
    "ConvNeXt": lambda: tv.ConvNeXt([tv.convnext.CNBlockConfig(8, None, 2)], num_classes=5),
    "Swin": lambda: SwinTransformer([4, 4], 8, [2], [2], [4, 4], num_classes=5),
    "ViT": lambda: tv.VisionTransformer(SIDE, 12, 2, 2, 16, 16, num_classes=5),
}


def page(before: str) -> str:
    """The page with its parts written anew."""
    methods = prepared()
    parts = {"methods": overview(methods), "networks": networks(), "rules": rules()}
    parts["entries"] = entries(methods)
    written = {name: "\n".join(lines) for name, lines in parts.items()}
    return PART.sub(lambda part: f"{part[1]}\n{written[part[2]].strip()}\n\n{part[3]}", before)


def ours() -> list[str]:
    """The package's own methods, family by family, and captum's adapter last."""
    files = {name: ATTRIBUTIONS[name].__module__ for name in ATTRIBUTIONS}
    families = {n: f.rpartition(".")[2] for n, f in files.items() if f.startswith("explaindebug.")}
    return sorted(families, key=lambda name: FAMILIES.index(families[name]))


def with_defaults() -> list[str]:
    """Those that need no options."""
    return [name for name in ours() if name in all_names(references=True, transformers=True)]


def prepared() -> dict[str, Method]:
    """Each method with its default options, ready to say which passes it needs."""
    torch.manual_seed(0)
    with watch(BVDCNN(2, 12)) as model:
        return Plan(with_defaults()).prepare(model, torch.randn(8, 3, 12, 12)).methods


def overview(methods: dict[str, Method]) -> Iterator[str]:
    """The table of methods, and which of them share passes."""
    yield "| name | in tables | forward passes | backward passes | values | needs references |"
    yield "|---|---|---|---|---|---|"
    for name, method in methods.items():
        forth, back = (f"{calls:g}" for calls in method.passes.calls)
        sign = "signed" if method.signed else "≥ 0"
        needs = "yes" if method.needs_references else ""
        yield f"| [`{name}`](#{name}) | {method.label} | {forth} | {back} | {sign} | {needs} |"


def networks() -> Iterator[str]:
    """The table of which methods pass which networks: tried, not told."""
    refused = {network: refusals(build) for network, build in NETWORKS.items()}
    yield f"| | {' | '.join(NETWORKS)} |"
    yield f"|---|{'---|' * len(NETWORKS)}"
    for name in with_defaults():
        cells = ["–" if name in refused[network] else "yes" for network in NETWORKS]
        yield f"| `{name}` | {' | '.join(cells)} |"


def refusals(build: Callable[[], nn.Module]) -> set[str]:
    """The methods that refuse a network."""
    torch.manual_seed(0)
    images = torch.randn(2, 3, SIDE, SIDE)
    with watch(build().eval()) as model:
        return set(Plan(with_defaults()).refusals(model, images, images))


def rules() -> Iterator[str]:
    """The table of LRP's rules: what each docstring says first, and its source."""
    yield "| in YAML | in Python | | source |"
    yield "|---|---|---|---|"
    for name in RULES:
        rule: type = RULES[name]  # type: ignore[assignment]
        said = sections(rule)
        formula = " ".join(said["Prose"].split("\n\n")[0].split()).rstrip(".")
        written = f"{rule.__name__}({', '.join(map(argument, fields(rule)))})"
        yield f"| `{name}` | `{written}` | {formula} | {' '.join(said['Source'].split())} |"


def argument(option: "Field[object]") -> str:
    """`epsilon=1e-07`, or the name alone where there is no default."""
    return option.name + ("" if option.default is MISSING else f"={option.default!r}")


def entries(methods: dict[str, Method]) -> Iterator[str]:
    """What there is to say about each method."""
    for name in ours():
        yield from entry(name, ATTRIBUTIONS[name], methods.get(name))


def entry(name: str, kind: type[Method], method: Method | None) -> Iterator[str]:
    """The lines about one method; it is None where it has no default options."""
    own = sections(kind)
    yield from (f"### {name}", "", *map(filled, own["Prose"].split("\n\n")))
    if options := [field for field in fields(kind) if field.repr]:
        yield from ("| option | default | |", "|---|---|---|")
        yield from (row(kind, option) for option in options)
        yield ""
    facts = {
        "Passes": method and passes(method),
        "Networks": inherited(kind, "Layers"),
        "Checked against": own.get("Checked"),
        "Different on purpose": own.get("Differs"),
        "Source": own.get("Source"),
    }
    yield from (filled(f"* **{fact}**: {text}") for fact, text in facts.items() if text)
    yield ""


def sections(kind: type) -> dict[str, str]:
    """A docstring by its sections; what is in none is `Prose`."""
    found = {"Prose": ""}
    for paragraph in inspect.cleandoc(kind.__doc__ or "").split("\n\n"):
        match = SECTION.match(paragraph)
        name, text = (match[1], match[2]) if match else ("Prose", paragraph)
        found[name] = f"{found.get(name, '')}\n\n{text}".strip("\n")
    return found


def inherited(kind: type, section: str) -> str:
    """A section of the class's docstring, or of the nearest base that has it."""
    return next((s[section] for s in map(sections, kind.__mro__) if section in s), "")


def row(kind: type[Method], option: "Field[object]") -> str:
    """A line of a method's table of options."""
    default = "required" if option.default is MISSING else f"`{option.default!r}`"
    return f"| `{option.name}` | {default} | {described(kind, option.name)} |"


def described(kind: type, option: str) -> str:
    """What the class, or its nearest base, says about an option."""
    for base in kind.__mro__:
        for names, text in OPTION.findall(textwrap.dedent("    " + sections(base).get("Args", ""))):
            if option in names.split(", "):
                return " ".join(text.split())
    return ""


def passes(method: Method) -> str:
    """How many passes a method takes with its default options, and who shares them."""
    forth, back = method.passes.calls
    counts = f"{forth:g} forward" + (f" and {back:g} backward" if back else "")
    return f"{counts} with the options above." if fields(method) else f"{counts}."


def filled(paragraph: str) -> str:
    """A paragraph or list item as one that is as wide as the page; code stays as it is."""
    if paragraph.startswith("    "):
        return paragraph + "\n"
    item = paragraph.startswith("* ")
    lines = textwrap.fill(
        " ".join(paragraph.split()),
        140,
        subsequent_indent="  " if item else "",
        break_long_words=False,
        break_on_hyphens=False,
    )
    lines = re.sub(r"(tests/\S+\.py)", r"`\1`", lines)
    return lines if item else lines + "\n"


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text()))
