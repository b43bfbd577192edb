"""The cascade: ours against Quantus' MPRT, Efficient MPRT and Smooth MPRT.

    python benchmarks/cascade.py [--quick] [--json FILE] [--threads N] [--networks NAME ...]

The same work on both sides: maps of the same images and methods by the trained network and after
each layer, top down, that has weights of its own; rank correlation with the trained network's maps;
our scores are those of Quantus' defaults (absolute maps, channels summed). Quantus explains with
captum, and zennit for LRP-SPAF, which nobody else has; one method after another, as it must. What
ours does beside, the control and the drift of the outputs, counts as ours.
"""

import copy
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
import torchvision
from _bench import Bench, Case, arguments
from torch import Tensor, nn

from explaindebug.attributions._engine.plan import Plan
from explaindebug.cascade import Cascade, Measurement, Smoothing
from explaindebug.cascade.walk import Walk
from explaindebug.core.isolation import watch
from explaindebug.evaluation.comparison import Comparison, Reference
from explaindebug.evaluation.scores import Key, Scores
from explaindebug.models.bvd_cnn import BVDCNN
from explaindebug.models.layers import layers

SIX = ["grad", "inputgrad", "gbp", "deconvnet", "lrp_eps", "lrp_spaf"]
COPIES = 4  # noisy ones, of Smooth MPRT: any number has the same ratio

# network: what makes it, pixels, images, the goal for one gradient method
NETWORKS: dict[str, tuple[Callable[[], nn.Module], int, int, float]] = {
    "small CNN 64 px": (lambda: BVDCNN(10, 64), 64, 64, 1 / 2),
    "ResNet-18 96 px": (torchvision.models.resnet18, 96, 8, 1 / 2),
    "VGG-16 224 px": (torchvision.models.vgg16, 224, 2, 1 / 1.5),
}
QUICK = {
    "small CNN 64 px": (lambda: BVDCNN(10, 64), 64, 24, 1 / 2),
    "ResNet-18 96 px": (torchvision.models.resnet18, 64, 4, 1 / 2),
    "VGG-16 224 px": (torchvision.models.vgg16, 96, 2, 1 / 1.5),
}


class Network:
    """Ours and Quantus on one network."""

    def __init__(self, name: str, bench: Bench) -> None:
        make, size, n, self.goal = (QUICK if bench.arguments.quick else NETWORKS)[name]
        torch.manual_seed(0)
        self.name, self.bench = name, bench
        self.model = make().eval()
        for module in self.model.modules():
            if hasattr(module, "inplace"):
                module.inplace = False  # captum's hooks need it
        self.images = torch.randn(n, 3, size, size)
        self.targets = self.model(self.images).argmax(1).detach()

    def ours(self, methods: list[str], how: Cascade) -> Case:
        """Our cascade as a user calls it, the drawing of weights included."""
        comparison = Comparison(["spearman"], nulls=[])
        rows = np.arange(len(self.images))
        workers = 1 if self.bench.arguments.threads == 1 else None  # as many as there are cores

        def run() -> list[Any]:
            with watch(self.model) as private:
                measure = Measurement(how, Plan(methods), comparison, workers=workers)
                return list(measure(private, self.images, rows, self.targets))

        return run

    def quantus(self, methods: list[str], metric: str, **options: Any) -> Case:
        """Quantus, one method after another."""
        import quantus

        x, y = self.images.numpy(), self.targets.numpy()

        def run() -> None:
            for method in methods:
                model = copy.deepcopy(self.model)
                measure = getattr(quantus, metric)(
                    layer_order="top_down", disable_warnings=True, **options
                )
                measure(model=model, x_batch=x, y_batch=y, explain_func=explain(method))

        return run

    def row(self, what: str, ours: Case, peer: Case, goal: float | None) -> None:
        """Both in turn."""
        times = self.bench.medians({"ours": ours, f"quantus: {what}": peer})
        if "ours" in times:
            mine = times.pop("ours")
            self.bench.compare(f"{self.name}: {what}", mine, times, goal)

    def all(self) -> None:
        """Every comparison."""
        plain = self.ours(["grad"], Cascade())
        self.row("MPRT, Grad", plain, self.quantus(["grad"], "MPRT"), self.goal)
        six = self.ours(SIX, Cascade())
        self.row("MPRT, six methods", six, self.quantus(SIX, "MPRT"), 1 / 5)
        last = {"compute_extra_scores": False, "skip_layers": True}
        efficient = self.quantus(["grad"], "EfficientMPRT", **last)
        whole = Cascade(groups={"all": [layer.name for layer in layers(self.model)]})
        self.row("Efficient MPRT, Grad", self.ours(["grad"], whole), efficient, None)
        smooth = self.ours(["grad"], Cascade(smoothing=Smoothing(COPIES)))
        peer = self.quantus(["grad"], "SmoothMPRT", nr_samples=COPIES)
        self.row("Smooth MPRT, Grad", smooth, peer, 1 / 2)
        self.bare()
        self.own()

    def bare(self) -> None:
        """Torch's own passes for Grad: what a cascade that does nothing else would take."""
        with watch(self.model) as frozen:
            steps = range(len(Cascade().stages(frozen, self.images[:1])) + 1)

            def run() -> None:
                for _ in steps:
                    x = self.images.clone().requires_grad_()
                    frozen(x).gather(1, self.targets[:, None]).sum().backward()

            cases = {"ours": self.ours(["grad"], Cascade()), "torch: passes alone": run}
            times = self.bench.medians(cases)
        mine = times.pop("ours")
        self.bench.compare(f"{self.name}: Grad, all of it / passes alone", mine, times)

    def own(self) -> None:
        """What replay brings, and what similarity costs."""
        with watch(self.model) as private:
            ready = Cascade()(private, Plan(["grad"]), self.images[:1], workers=1)
            parts = {"walk": ready.walk, "whole": _without_replay(ready.walk)}
            cases = {k: (lambda w=w: w(self.images, self.targets)) for k, w in parts.items()}
            times = self.bench.medians(cases)
            what = f"{self.name}: passes, replayed / whole"
            self.bench.compare(what, times["walk"], {"whole": times["whole"]}, 1.0)
            maps = [step.maps["grad"] for step in ready.walk(self.images, self.targets)]
        self.similarity(maps, times["walk"])

    def similarity(self, maps: list[Tensor], passes: float) -> None:
        """SSIM and both Spearman correlations of all stages, as a share of the passes."""
        comparison = Comparison(["ssim", "spearman_signed", "spearman_abs"], nulls=[])
        rows = np.arange(len(self.images))

        def run() -> None:
            reference = Reference.of_maps(maps[0])
            for k, raw in enumerate(maps[1:]):
                comparison.score(Scores(), Key("t", "m", str(k), "bug"), reference, raw, rows)

        taken = self.bench.medians({"similarity": run})["similarity"]
        what = f"{self.name}: similarity / (passes + similarity)"
        self.bench.compare(what, taken, {"all": passes + taken}, 0.05)


def _without_replay(walk: Walk) -> Walk:
    return Walk(walk.model, walk.states, walk.plans, chunk=walk.chunk, workers=walk.workers, room=0)


def explain(method: str) -> Callable[..., np.ndarray]:
    """Maps by captum or zennit, as Quantus wants a function for them."""
    import captum.attr

    classes: Mapping[str, Any] = {
        "grad": lambda m: captum.attr.Saliency(m),
        "inputgrad": lambda m: captum.attr.InputXGradient(m),
        "gbp": lambda m: captum.attr.GuidedBackprop(m),
        "deconvnet": lambda m: captum.attr.Deconvolution(m),
    }

    def explained(model: nn.Module, inputs: Any, targets: Any, **_: Any) -> np.ndarray:
        x, y = torch.as_tensor(inputs).float(), torch.as_tensor(targets)
        if method.startswith("lrp"):
            return _zennit(model, x, y, flat=method == "lrp_spaf")
        options = {"abs": False} if method == "grad" else {}
        maps: Tensor = classes[method](model).attribute(x, target=y, **options)
        return maps.sum(1, keepdim=True).detach().numpy()

    return explained


def _zennit(model: nn.Module, x: Tensor, y: Tensor, *, flat: bool) -> np.ndarray:
    from zennit.attribution import Gradient
    from zennit.composites import EpsilonAlpha2Beta1Flat, EpsilonPlus
    from zennit.torchvision import ResNetCanonizer, VGGCanonizer

    canonizers = [
        ResNetCanonizer() if isinstance(model, torchvision.models.ResNet) else VGGCanonizer()
    ]
    composite = (EpsilonAlpha2Beta1Flat if flat else EpsilonPlus)(canonizers=canonizers)
    start = nn.functional.one_hot(y, model(x[:1]).shape[1]).float()
    with Gradient(model=model, composite=composite) as attributor:
        _, relevance = attributor(x, start)
    return relevance.sum(1, keepdim=True).detach().numpy()


def main() -> None:
    """Measures what the command line asks for."""
    found = arguments(
        __doc__.splitlines()[0],
        networks={"nargs": "+", "default": [], "help": "names, or parts of them; else all"},
    )
    bench = Bench("cascade: milliseconds", found)
    if bench.peer("quantus") and bench.peer("captum") and bench.peer("zennit"):
        for name in QUICK if found.quick else NETWORKS:
            if not found.networks or any(part in name for part in found.networks):
                bench.note(name)
                Network(name, bench).all()
    bench.finish()


if __name__ == "__main__":
    main()
