"""Numbers published by Adebayo et al.: those of their tables, and the ranges in their text.

Means and standard errors over 190 inputs, as printed except for two errors in print:

- Table 3, SSIM with the network of MNIST: two standard errors are printed as -0.01 (Input-Grad,
  DConvNet), but standard errors are not negative. They are 0.01 here.
- Table 3, rank correlation with the network of MNIST: only 14 standard errors are printed for 15
  methods. By their size the missing one is that of EGrad, which is None here; those after it are
  shifted by one.

For Figure 7 there are no numbers: the paper says in words which methods do not change.

Source: Debugging Tests for Model Explanations, NeurIPS 2020 (arXiv 2011.05429), Tables 2 and 3,
sections 3.1, 3.2, 4 and 5.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from explaindebug.report.beside import Comparison

METHODS = (
    *("Grad", "SGrad", "SGradSQ", "VGrad", "Input-Grad", "IntGrad", "EGrad", "LIME"),
    *("Kernel SHAP", "GBP", "DConvNet", "LRP-EPS", "PNet", "PAttribution", "LRP-SPAF"),
)
SSIM, RANK = "ssim", "spearman"
SCENES_ALONE = 0.97  # the spurious network's accuracy on scenes without an animal
ACCURACIES = {
    "training": 0.932,
    "validation": 0.917,
    "test": 0.88,
}  # with a tenth of the labels wrong
CALIBRATION = 3e-6  # mean SSIM of maps to Gaussian noise that was not normalised like maps
INVARIANT = ("GBP", "DConvNet", "DeepTaylor", "PNet", "PAttribution", "LRP-SPAF")
NOT_INVARIANT = ("Grad", "SGrad", "Input-Grad", "IntGrad", "EGrad", "LRP-EPS")


class Printed(NamedTuple):
    """A number of a table; the error is None if it is missing in print."""

    mean: float
    sem: float | None


@dataclass(frozen=True)
class Experiment:
    """One table or figure of the paper, with its published numbers."""

    name: str  # "table3_mnist"
    title: str
    test: str  # the debugging test that reproduces it
    question: str
    numbers: Mapping[Comparison, Mapping[str, Printed]] = field(default_factory=dict)
    ranges: Mapping[Comparison, tuple[float, float]] = field(
        default_factory=dict
    )  # over all methods
    words: Mapping[str, str] = field(default_factory=dict)  # method -> what the text says about it
    methods: Sequence[str] = METHODS
    differs: Sequence[str] = ()  # differences of all our runs, a sentence each


def _column(means: Sequence[float], sems: Sequence[float | None]) -> dict[str, Printed]:
    return {m: Printed(mean, sem) for m, mean, sem in zip(METHODS, means, sems, strict=True)}


_GT1 = _column(
    [0.62, 0.63, 0.063, 0.075, 0.69, 0.70, 0.63, 0.59, 0.58, 0.58, 0.60, 0.65, 0.51, 0.44, 0.69],
    [
        *(0.012, 0.013, 0.0077, 0.0089, 0.019, 0.019, 0.024, 0.021),
        *(0.037, 0.019, 0.017, 0.039, 0.036, 0.018, 0.028),
    ],
)
_GT2 = _column(
    [0.83, 0.83, 0.89, 0.98, 0.85, 0.85, 0.85, 0.88, 0.78, 0.82, 0.83, 0.85, 0.85, 0.80, 0.85],
    [
        *(0.013, 0.013, 0.02, 0.0024, 0.013, 0.012, 0.012, 0.011),
        *(0.044, 0.013, 0.013, 0.012, 0.013, 0.018, 0.013),
    ],
)
_MNIST_SSIM = _column(
    [0.70, 0.54, 0.49, 0.92, 0.71, 0.69, 0.71, 0.46, 0.41, 0.81, 0.50, 0.77, 0.58, 0.77, 0.66],
    [
        *(0.0093, 0.012, 0.016, 0.0047, 0.01, 0.015, 0.01, 0.02),
        *(0.024, 0.014, 0.01, 0.02, 0.026, 0.009, 0.03),
    ],
)
_MNIST_RANK = _column(
    [
        *(0.0013, 8.8e-4, 0.37, 0.37, 0.0021, -0.003, 0.002, -0.01),
        *(0.034, 0.51, 0.027, 0.011, -0.14, 0.0082, 0.12),
    ],
    [
        *(0.0016, 0.0032, 0.026, 0.029, 0.002, 0.002, None, 0.04),
        *(0.028, 0.014, 6.0e-4, 0.0034, 0.027, 0.0026, 0.023),
    ],
)
_BVD_SSIM = _column(
    [0.70, 0.50, 0.55, 0.93, 0.72, 0.70, 0.72, 0.72, 0.82, 0.63, 0.63, 0.79, 0.53, 0.36, 0.66],
    [
        *(0.0083, 0.011, 0.013, 0.0045, 0.009, 0.013, 0.009, 0.009),
        *(0.01, 0.009, 0.014, 0.019, 0.03, 0.025, 0.035),
    ],
)
_BVD_RANK = _column(
    [
        *(0.0012, 0.0078, 0.43, 0.25, 0.0002, 0.002, 0.0025, 0.18),
        *(0.067, 0.078, -0.05, -0.013, 0.25, -0.0095, 0.044),
    ],
    [
        *(8.5e-4, 0.0017, 0.009, 0.011, 0.0007, 0.001, 0.0007, 0.04),
        *(0.034, 0.008, 0.0011, 0.0027, 0.045, 0.0023, 0.02),
    ],
)
_VGG_SSIM = _column(
    [0.57, 0.46, 0.50, 0.87, 0.64, 0.67, 0.64, 0.50, 0.38, 0.80, 0.36, 0.64, 0.66, 0.12, 0.20],
    [
        *(0.012, 0.011, 0.015, 0.0056, 0.01, 0.015, 0.011, 0.015),
        *(0.03, 0.009, 0.01, 0.02, 0.018, 0.0049, 0.024),
    ],
)
_VGG_RANK = _column(
    [
        *(-0.0023, -0.0098, -0.0097, 0.028, -0.0025, -0.0017, -0.0025, 0.005),
        *(-0.045, 0.25, -0.03, 0.0045, 0.32, 0.066, 0.14),
    ],
    [
        *(0.0017, 0.0025, 0.02, 0.018, 0.0025, 0.0016, 0.002, 0.033),
        *(0.024, 0.004, 0.0035, 0.0018, 0.034, 0.0053, 0.019),
    ],
)
_HYPERPARAMETERS = (
    "The paper gives hardly any hyper-parameters of its methods, and neither the size of its "
    "pictures, nor the parameters of SSIM, nor how BVD-CNN was trained: ours are guesses "
    "(`preset=paper2020`)."
)
_TABLE3 = (
    "Are maps of Fashion-MNIST pictures under a network that never saw any similar to those of a "
    "network that was trained on them?"
)


def _table3(
    name: str, network: str, ssim: Mapping[str, Printed], rank: Mapping[str, Printed], differs: str
) -> Experiment:
    return Experiment(
        f"table3_{name}",
        f"Table 3: Fashion-MNIST before the network of {network}",
        "ood",
        _TABLE3,
        numbers={("foreign", SSIM): ssim, ("foreign", RANK): rank} if ssim else {},
        differs=(differs, _HYPERPARAMETERS),
    )


TABLE2 = Experiment(
    "table2",
    "Table 2: spurious backgrounds",
    "spurious",
    "Are maps similar to the background that the network learned (GT-1), and to the same method's "
    "maps of the background alone (GT-2)?",
    numbers={("gt1", SSIM): _GT1, ("gt2", SSIM): _GT2},
    differs=(
        "It is not published how the paper cut out and pasted objects, nor whether its 190 inputs "
        "are of one class: ours are of both.",
        _HYPERPARAMETERS,
    ),
)
MISLABELLED = Experiment(
    "mislabelled",
    "Section 3.2: mislabelled training examples",
    "labels",
    "Are maps of mislabelled examples similar to those of a network trained with the right labels?",
    ranges={("flipped", SSIM): (0.73, 0.99)},
    differs=(
        "The paper gives no numbers by method, only their range, and has no control.",
        _HYPERPARAMETERS,
    ),
)
FIGURE7 = Experiment(
    "figure7",
    "Figure 7: lost weights",
    "reinit",
    "Are maps similar to those of the trained network after its layers have lost their weights, "
    "from the logits down?",
    words=dict.fromkeys(INVARIANT, "stays") | dict.fromkeys(NOT_INVARIANT, "changes"),
    differs=(
        "The paper's VGG-16 is from Keras, with other weights and a different normalisation "
        "from torchvision's. Its number of pictures is unknown, and its curves are not "
        "given as numbers.",
        _HYPERPARAMETERS,
    ),
)
EXPERIMENTS = {
    one.name: one
    for one in (
        TABLE2,
        MISLABELLED,
        FIGURE7,
        _table3(
            "mnist",
            "MNIST",
            _MNIST_SSIM,
            _MNIST_RANK,
            "It is unknown how the paper resized 28 px pictures for its networks: ours are "
            "enlarged.",
        ),
        _table3(
            "birds_dogs",
            "birds and dogs",
            _BVD_SSIM,
            _BVD_RANK,
            "It is unknown how the paper passed grey 28 px pictures to a network for colour "
            "photographs: ours are enlarged, with three equal channels.",
        ),
        _table3(
            "vgg16",
            "ImageNet (VGG-16)",
            _VGG_SSIM,
            _VGG_RANK,
            "The paper's VGG-16 is from Keras, with other weights and a different normalisation "
            "from torchvision's.",
        ),
        _table3("other", "other data", {}, {}, "The paper has no such network."),
    )
}
