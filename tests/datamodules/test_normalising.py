"""How bytes become numbers: every data module can be told, and what draws pictures follows."""

import pytest
import torch

from explaindebug.app.data_modules import true_colours
from explaindebug.bugs.spurious_background import SpuriousBackground
from explaindebug.core.errors import ConfigError
from explaindebug.datamodules import Embedded, Photos
from explaindebug.datamodules.normalising import NORMALISATIONS, normalisation
from explaindebug.debugtests.ood import check_together

FEW = {"size": 16, "train": 8, "val": 4, "test": 4}


@pytest.mark.parametrize("how", ["imagenet", {"mean": [0.1, 0.2, 0.3], "std": [1, 0.5, 2]}])
def test_pictures_scenes_and_bugs_follow(how) -> None:
    plain, own = Embedded(**FEW), Embedded(**FEW, normalise=how)
    bug = SpuriousBackground()
    mean, std = (torch.tensor(v).view(-1, 1, 1) for v in vars(normalisation(how)).values())
    for one, other in (
        (plain.clean.test, own.clean.test),
        (plain.with_bug(bug).data.test, own.with_bug(bug).data.test),
    ):
        before, after = (images.masked_batch(slice(None)) for images in (one, other))
        for name in ("image", "scene"):
            bytes_ = getattr(before, name) * 0.25 + 0.5
            torch.testing.assert_close(getattr(after, name), (bytes_ - mean) / std)
        torch.testing.assert_close(
            true_colours(after.image[0], other), before.image[0] * 0.25 + 0.5
        )


def test_networks_trained_on_other_numbers_are_not_reused() -> None:
    modules = [Embedded(**FEW), Embedded(**FEW, normalise="imagenet")]
    assert modules[0].fingerprint() != modules[1].fingerprint()
    same = Embedded(**FEW, normalise={"mean": [0.5], "std": [0.25]})
    assert same.fingerprint() == modules[0].fingerprint()


def test_photographs_too(photo_root) -> None:
    module = Photos(root=photo_root, size=16, train=12, val=4, test=4, normalise="imagenet")
    assert module.clean.train.mean == NORMALISATIONS["imagenet"].mean


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ("imagnet", "unknown normalise 'imagnet'. Did you mean 'imagenet'"),
        ({"mean": [0.5]}, "give mean and std"),
        ({"mean": [0.5], "std": [0]}, "positive std"),
        ({"mean": [0.5, 0.5], "std": [1, 1]}, "one or three numbers"),
        ({"mean": [0.5], "std": [1], "max": 3}, "give mean and std"),
        ({"mean": 0.5, "std": 1}, "lists of one or three numbers"),
    ],
)
def test_what_is_no_normalisation_is_refused(how, said) -> None:
    with pytest.raises(ConfigError, match=said):
        Embedded(normalise=how)


def test_two_domains_must_be_normalised_alike() -> None:
    plain, other = (Embedded(**FEW, normalise=how).clean.test for how in (None, "imagenet"))
    check_together(other, other)
    with pytest.raises(ConfigError, match=r"same normalisation, got mean .*foreign.normalise"):
        check_together(plain, other)
