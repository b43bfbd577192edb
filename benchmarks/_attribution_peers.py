"""How other libraries compute the maps of our methods, with equal parameters.

They get the model and the images laid out as torchvision gives them. "as it comes" is a library's
own choice of chunks, the other entries have chunks that suit a CPU's cache.
"""

from collections.abc import Callable
from contextlib import redirect_stderr
from dataclasses import dataclass
from io import StringIO

import numpy as np
import torch
from _bench import Bench, Case
from torch import Tensor, nn

Cases = dict[str, Case]

AS_IT_COMES = "as it comes"
NOISE = 0.15  # standard deviation over each image's range; captum wants one number for all


@dataclass(frozen=True)
class Task:
    """What is explained, and with how many samples."""

    model: nn.Module
    images: Tensor  # (n, c, h, w)
    targets: Tensor  # (n,)
    references: Tensor  # (m, c, h, w)
    labels: Tensor  # (n, h, w), superpixels
    samples: int  # noisy copies, steps, draws
    perturbed: int  # images that LIME and KernelSHAP look at
    chunks: tuple[int, ...]  # inputs per pass


def peers(method: str, task: Task, bench: Bench) -> Cases:
    """Peers of a method by name; empty where there is none."""
    found: Cases = {}
    for library, offers in LIBRARIES.items():
        if method in offers and bench.peer(library) is not None:
            found |= {
                f"{library}, {k}" if k else library: v for k, v in offers[method](task).items()
            }
    return found


# captum


def _captum(name: str, **options: object) -> Callable[[Task], Cases]:
    def cases(task: Task) -> Cases:
        import captum.attr

        method = getattr(captum.attr, name)(task.model)
        return {"": lambda: method.attribute(task.images, target=task.targets, **options)}

    return cases


def _captum_noise(kind: str) -> Callable[[Task], Cases]:
    def cases(task: Task) -> Cases:
        from captum.attr import NoiseTunnel, Saliency

        tunnel = NoiseTunnel(Saliency(task.model))
        spread = NOISE * float(task.images.max() - task.images.min())

        def run(together: int | None) -> Tensor:
            return tunnel.attribute(  # type: ignore[no-any-return]
                task.images,
                target=task.targets,
                nt_type=kind,
                nt_samples=task.samples,
                nt_samples_batch_size=together,
                stdevs=spread,
                abs=False,
            )

        n = len(task.images)
        return {AS_IT_COMES: lambda: run(None)} | {
            f"chunks of {c}": lambda c=c: run(max(1, c // n)) for c in task.chunks
        }

    return cases


def _captum_path(task: Task) -> Cases:
    from captum.attr import IntegratedGradients

    method = IntegratedGradients(task.model)

    def run(chunk: int | None) -> Tensor:
        return method.attribute(  # type: ignore[no-any-return]
            task.images, target=task.targets, n_steps=task.samples, internal_batch_size=chunk
        )

    return {AS_IT_COMES: lambda: run(None)} | {
        f"chunks of {c}": lambda c=c: run(c) for c in task.chunks
    }


def _captum_expected(task: Task) -> Cases:
    from captum.attr import GradientShap

    method = GradientShap(task.model)

    def run(together: int) -> None:
        for _ in range(0, task.samples, together):
            method.attribute(
                task.images, baselines=task.references, target=task.targets, n_samples=together
            )

    n = len(task.images)
    return {AS_IT_COMES: lambda: run(task.samples)} | {
        f"chunks of {c}": lambda c=c: run(max(1, c // n)) for c in task.chunks
    }


def _captum_surrogate(name: str) -> Callable[[Task], Cases]:
    def cases(task: Task) -> Cases:
        import captum.attr
        from captum._utils.models.linear_model import SkLearnRidge
        from captum.attr._core.lime import get_exp_kernel_similarity_function

        options = {}
        if name == "Lime":
            kernel = get_exp_kernel_similarity_function("cosine", 0.25)
            options = {"interpretable_model": SkLearnRidge(alpha=1.0), "similarity_func": kernel}
        method = getattr(captum.attr, name)(task.model, **options)

        def run(chunk: int) -> None:
            for image, target, labels in zip(task.images, task.targets, task.labels, strict=True):
                method.attribute(
                    image[None],
                    target=int(target),
                    feature_mask=labels[None, None],
                    n_samples=task.perturbed,
                    perturbations_per_eval=chunk,
                )

        return {AS_IT_COMES: lambda: run(1)} | {
            f"chunks of {c}": lambda c=c: run(c) for c in task.chunks
        }

    return cases


# zennit


def _zennit(composite: str) -> Callable[[Task], Cases]:
    def cases(task: Task) -> Cases:
        from zennit.attribution import Gradient

        def run() -> None:
            made = _composite(composite, task.model)
            logits = nn.functional.one_hot(task.targets, task.model(task.images[:1]).shape[1])
            with Gradient(task.model, made) as attributor:
                attributor(task.images.clone(), logits.float())

        return {"": run}

    return cases


def _composite(name: str, model: nn.Module) -> object:
    from zennit import composites as z
    from zennit.rules import Epsilon, Norm, WSquare, ZPlus
    from zennit.torchvision import ResNetCanonizer, VGGCanonizer
    from zennit.types import AvgPool, Convolution

    canonizers = [ResNetCanonizer() if hasattr(model, "layer1") else VGGCanonizer()]
    if name == "epsilon":
        rules = [(Convolution, Epsilon(1e-7)), (nn.Linear, Epsilon(1e-7)), (AvgPool, Norm())]
        return z.LayerMapComposite(z.layer_map_base() + rules, canonizers=canonizers)
    if name == "deep_taylor":
        rules = [(Convolution, ZPlus()), (nn.Linear, ZPlus()), (AvgPool, Norm())]
        first = [(Convolution, WSquare())]
        return z.SpecialFirstLayerMapComposite(z.layer_map_base() + rules, first, canonizers)
    if name == "EpsilonPlusFlat":
        return z.EpsilonPlusFlat(epsilon=0.1, canonizers=canonizers)
    return getattr(z, name)(canonizers=canonizers)


# shap, lime, quantus


def _shap_expected(task: Task) -> Cases:
    import shap

    def run() -> None:
        explainer = shap.GradientExplainer(task.model, task.references, batch_size=task.chunks[0])
        explainer.shap_values(task.images, nsamples=task.samples, ranked_outputs=1)

    return {"": run}


def _scores(task: Task, i: int) -> Callable[[np.ndarray], np.ndarray]:
    """Scores of coalitions (k, m) of image i's superpixels, in chunks."""

    @torch.no_grad()
    def scores(coalitions: np.ndarray) -> np.ndarray:
        parts = torch.from_numpy(coalitions).float().split(task.chunks[0])
        images = (z[:, task.labels[i]][:, None] * task.images[i] for z in parts)
        return torch.cat([task.model(x)[:, task.targets[i]] for x in images]).numpy()

    return scores


def _shap_kernel(task: Task) -> Cases:
    import shap

    def run() -> None:
        for i, labels in enumerate(task.labels):
            m = int(labels.max()) + 1
            explainer = shap.KernelExplainer(_scores(task, i), np.zeros((1, m)), silent=True)
            explainer.shap_values(np.ones((1, m)), nsamples=task.perturbed, silent=True, l1_reg=0)

    return {"": run}


def _lime(task: Task) -> Cases:
    from lime.lime_image import LimeImageExplainer

    @torch.no_grad()
    def logits(pictures: np.ndarray) -> np.ndarray:
        images = torch.from_numpy(pictures).permute(0, 3, 1, 2).float().contiguous()
        return task.model(images).numpy()

    def run(chunk: int) -> None:
        for image, labels in zip(task.images, task.labels, strict=True):
            with redirect_stderr(StringIO()):  # its progress bar
                LimeImageExplainer(random_state=0).explain_instance(
                    image.permute(1, 2, 0).double().numpy(),
                    logits,
                    top_labels=1,
                    num_samples=task.perturbed,
                    batch_size=chunk,
                    segmentation_fn=lambda _, labels=labels: labels.numpy(),
                )

    return {AS_IT_COMES: lambda: run(10)} | {
        f"chunks of {c}": lambda c=c: run(c) for c in task.chunks
    }


def _quantus(name: str) -> Callable[[Task], Cases]:
    def cases(task: Task) -> Cases:
        import quantus

        inputs, targets = task.images.numpy(), task.targets.numpy()
        return {
            "": lambda: quantus.explain(task.model, inputs, targets, method=name, reduce_axes=())
        }

    return cases


LIBRARIES: dict[str, dict[str, Callable[[Task], Cases]]] = {
    "captum": {
        "grad": _captum("Saliency", abs=False),
        "inputgrad": _captum("InputXGradient"),
        "gbp": _captum("GuidedBackprop"),
        "deconvnet": _captum("Deconvolution"),
        "lrp_eps": _captum("LRP"),
        "sgrad": _captum_noise("smoothgrad"),
        "sgradsq": _captum_noise("smoothgrad_sq"),
        "vgrad": _captum_noise("vargrad"),
        "intgrad": _captum_path,
        "egrad": _captum_expected,
        "lime": _captum_surrogate("Lime"),
        "kernelshap": _captum_surrogate("KernelShap"),
    },
    "zennit": {
        "gbp": _zennit("GuidedBackprop"),
        "deconvnet": _zennit("DeconvNet"),
        "lrp_eps": _zennit("epsilon"),
        "lrp_spaf": _zennit("EpsilonPlusFlat"),
        "deep_taylor": _zennit("deep_taylor"),
    },
    "shap": {"egrad": _shap_expected, "kernelshap": _shap_kernel},
    "lime": {"lime": _lime},
    "quantus": {
        "grad": _quantus("Gradient"),
        "inputgrad": _quantus("InputXGradient"),
        "deconvnet": _quantus("Deconvolution"),
    },
}
