import numpy as np
import pytest

from explaindebug.report.maps.palettes import (
    NOT_A_NUMBER,
    STEPS,
    diverging,
    oklab,
    sequential,
    srgb,
)

# What people without one kind of cone see, in linear light (Machado et al. 2009, severity 1).
BLIND = {
    "protan": [[0.152, 1.053, -0.205], [0.115, 0.786, 0.099], [-0.004, -0.048, 1.052]],
    "deutan": [[0.367, 0.861, -0.228], [0.280, 0.673, 0.047], [-0.012, 0.043, 0.969]],
    "tritan": [[1.256, -0.077, -0.179], [-0.078, 0.931, 0.148], [0.005, 0.691, 0.304]],
}


def seen_by(kind: str, colours: np.ndarray) -> np.ndarray:
    c = colours / 255
    linear = np.where(c <= 0.04045, c / 12.92, ((c + 0.055) / 1.055) ** 2.4)
    linear = (linear @ np.array(BLIND[kind]).T).clip(0, 1)
    return 255 * np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)


def arms() -> list[np.ndarray]:
    return [sequential(), diverging()[STEPS:], diverging()[STEPS::-1]]


def test_oklab_round_trip_and_white() -> None:
    colours = np.random.default_rng(0).integers(0, 256, (500, 3))
    assert np.abs(srgb(oklab(colours)).astype(int) - colours).max() <= 1
    assert oklab([255, 255, 255]) == pytest.approx([1, 0, 0], abs=1e-4)


@pytest.mark.parametrize("arm", arms(), ids=["strength", "for", "against"])
def test_zero_is_white_and_more_is_darker(arm) -> None:
    lightness = oklab(arm)[:, 0]
    assert arm[0].tolist() == [255, 255, 255]
    assert (np.diff(lightness) < 1e-3).all()
    assert lightness[-1] < 0.35


@pytest.mark.parametrize("arm", arms(), ids=["strength", "for", "against"])
def test_equal_steps_look_equally_large(arm) -> None:
    lab = oklab(arm.astype(float))[::15]  # far enough apart for rounding to bytes not to matter
    steps = np.linalg.norm(np.diff(lab, axis=0), axis=1)
    assert steps.max() < 1.35 * steps.min()


@pytest.mark.parametrize("kind", BLIND)
def test_for_against_and_nan_differ_to_colour_blind_readers(kind) -> None:
    wheel = oklab(seen_by(kind, np.array([*diverging()[[60, -60]], NOT_A_NUMBER])))
    for a, b in ((0, 1), (0, 2), (1, 2)):
        assert np.linalg.norm(wheel[a] - wheel[b]) > 0.1  # five times a difference one can just see
