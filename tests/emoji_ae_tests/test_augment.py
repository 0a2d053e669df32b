"""Augmentation against torchvision: single transforms, compositions, and distributions."""

import itertools
from typing import Any

import numpy as np
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy import stats
from torch import Tensor
from torchvision.transforms.v2 import functional as tv
from torchvision.transforms.v2.functional import InterpolationMode

from emoji_ae.augment import affine_matrix, augment, jitter, move, sample_affine, sample_jitter

SIZE = 64
N_SAMPLES = 100_000
ROUNDING = 3e-4
"""Of places in pixels; ten times what float32 loses in several resamplings."""
STILL = {"degrees": 0.0, "shift_x": 0, "shift_y": 0, "scale": 1.0, "shear_degrees": 0.0}


def moved_images(images: Tensor, matrices: Tensor) -> Tensor:
    """Return images under one affine map each."""
    return 1 - move(1 - images, matrices)


def jittered(images: Tensor, *factors: Tensor) -> Tensor:
    """Return images with other colours."""
    return jitter(1 - images, *factors)


def generator(seed: int) -> torch.Generator:
    """Return a generator of its own."""
    return torch.Generator().manual_seed(seed)


def noise(n: int) -> Tensor:
    """Return ``(n, 3, 64, 64)`` of random pixels."""
    return torch.rand(n, 3, SIZE, SIZE, generator=generator(0))


def matrix(**change: float) -> Tensor:
    """Return one map, ``(1, 3, 3)``; without arguments nothing moves."""
    values = STILL | change
    return affine_matrix(**{name: torch.tensor([float(x)]) for name, x in values.items()})


def exact_places(
    flips: tuple[int, int], turn: float, *, shift_x: int, shift_y: int, **change: Any
) -> Tensor:
    """Return where torchvision reads each pixel, ``(2, 64, 64)``: x and y in the original.

    Bilinear interpolation keeps linear functions, however often it is applied, so moved ramps
    tell the place to a fraction of a pixel. They are on a canvas three times as wide, whose
    border comes nowhere near: places outside of the image are right as well.
    """
    ramp = torch.arange(-SIZE, 2 * SIZE, dtype=torch.float32)
    y, x = torch.meshgrid(ramp, ramp, indexing="ij")
    how: dict[str, Any] = {"interpolation": InterpolationMode.BILINEAR, "fill": 1.0}
    moved: Tensor = tv.affine(
        torch.stack([x, y]).unsqueeze(0),
        angle=change["degrees"],
        translate=[shift_x, shift_y],
        scale=change["scale"],
        shear=[change["shear_degrees"], 0.0],
        **how,
    )
    moved = tv.horizontal_flip(moved) if flips[0] < 0 else moved
    moved = tv.vertical_flip(moved) if flips[1] < 0 else moved
    return tv.rotate(moved, turn, **how)[0, :, SIZE:-SIZE, SIZE:-SIZE]


@example(flips=(1, 1), turn=90.0, change={})
@example(
    flips=(1, 1),
    turn=0.0,
    change={"degrees": -140.0, "shift_x": -20, "shift_y": 9, "scale": 0.8, "shear_degrees": 25.0},
)
@given(
    flips=st.tuples(st.sampled_from([-1, 1]), st.sampled_from([-1, 1])),
    turn=st.floats(-20, 20),
    change=st.fixed_dictionaries(
        {
            "degrees": st.floats(-15, 15),
            "shift_x": st.integers(-6, 6),
            "shift_y": st.integers(-6, 6),
            "scale": st.floats(0.9, 1.1),
            "shear_degrees": st.floats(-5, 5),
        }
    ),
)
@settings(max_examples=30)
def test_every_composition_is_torchvisions(
    flips: tuple[int, int], turn: float, change: dict[str, Any]
) -> None:
    """One map reads the pixels nearest to where torchvision's affine, flips and rotate read."""
    # The channels are the pixels' coordinates and their mean.
    ramp = torch.arange(SIZE) / (SIZE - 1)
    y, x = torch.meshgrid(ramp, ramp, indexing="ij")
    image = (0.1 + 0.8 * torch.stack([x, y, (x + y) / 2])).unsqueeze(0)
    turned = matrix(degrees=-turn) @ torch.diag(torch.tensor([*map(float, flips), 1.0]))
    moved = moved_images(image, turned @ matrix(**change))[0]
    found = (moved - 0.1) / 0.8 * (SIZE - 1)  # (3, 64, 64)
    places = exact_places(flips, turn, **(STILL | change))  # type: ignore[arg-type]

    beyond = ((places - (SIZE - 1) / 2).abs() - SIZE / 2).amax(dim=0)  # the image's edge is 0
    inside, outside = beyond < -ROUNDING, beyond > ROUNDING
    assert inside.float().mean() > 0.3
    assert (inside | outside).float().mean() > 0.99
    assert (moved[:, outside] == 1).all()
    found, places = found[:, inside], places[:, inside]
    assert (found[:2] - places).abs().max() <= 0.5 + ROUNDING
    assert (found[:2] - found[:2].round()).abs().max() < ROUNDING  # nothing is blended
    assert (found[2] - found[:2].mean(dim=0)).abs().max() < ROUNDING


def test_colour_steps_are_torchvisions() -> None:
    """One colour map does what torchvision's three steps do in any order, without clamping."""
    steps = (tv.adjust_brightness, tv.adjust_contrast, tv.adjust_saturation)
    images = 0.3 + 0.4 * noise(1)
    for factors in ((0.8, 1, 1), (1, 0.8, 1), (1, 1, 1.2), (1.13, 0.85, 1.2)):
        changed = jittered(images, *torch.tensor(factors).unsqueeze(1))
        assert (changed - images).abs().max() > 0.01
        for order in itertools.permutations(range(3)):
            expected = images
            for step in order:
                expected = steps[step](expected, factors[step])
            assert 0 < expected.min() <= expected.max() < 1
            # torchvision's weight of red is 0.2989, here it is 0.299; that and rounding is all.
            torch.testing.assert_close(changed, expected, rtol=0, atol=2e-4)


def properties(maps: Tensor) -> dict[str, np.ndarray]:
    """Take maps apart: rotation or reflection, times scale and shear, then the shift."""
    maps = maps.double()
    orthogonal, shape = torch.linalg.qr(maps[:, :2, :2])
    signs = shape.diagonal(dim1=1, dim2=2).sign()
    orthogonal, shape = orthogonal * signs[:, None], shape * signs[:, :, None]
    angle = torch.atan2(orthogonal[:, 1, 0], orthogonal[:, 0, 0]).rad2deg()
    squares = maps[:, :2, 2].square().sum(dim=1)
    torch.testing.assert_close(squares, squares.round(), rtol=0, atol=1e-3)  # whole pixels
    torch.testing.assert_close(shape[:, 1, 1], shape[:, 0, 0], rtol=1e-5, atol=0)
    found = {
        "scale": shape[:, 0, 0],
        "shear_degrees": torch.atan(-shape[:, 0, 1] / shape[:, 0, 0]).rad2deg(),
        "reflected": torch.linalg.det(orthogonal).round(),
        "turned": torch.where(angle.abs() > 90, -1.0, 1.0),
        # The sum of both rotations, or their difference: in [-90, 90] after the flips.
        "degrees": torch.where(angle.abs() > 90, angle - 180 * angle.sign(), angle),
        "distance_squared": squares.round(),
    }
    return {name: values.numpy() for name, values in found.items()}


def test_what_is_drawn_has_the_stated_distribution() -> None:
    """Many draws tell ranges apart that are nearly alike: of rotations, flips and whole pixels."""
    drawn = properties(sample_affine(N_SAMPLES, size=SIZE, generator=generator(5)))
    # The sum of uniform angles up to 15 and up to 20 degrees is flat up to 5 degrees.
    angles = stats.trapezoid(30 / 70, 40 / 70, loc=-35, scale=70)
    for name, stated, low, high in (
        ("degrees", angles, -35.0, 35.0),
        ("scale", stats.uniform(0.9, 0.2), 0.9, 1.1),
        ("shear_degrees", stats.uniform(-5, 10), -5.0, 5.0),
    ):
        assert stats.kstest(drawn[name], stated.cdf).pvalue > 0.01
        near = 0.05 * (high - low)
        assert low - 1e-3 <= drawn[name].min() <= low + near
        assert high - near <= drawn[name].max() <= high + 1e-3
    squares = {x * x + y * y for x in range(7) for y in range(7)}
    assert set(drawn["distance_squared"]) == squares
    x, y = np.random.default_rng(1).uniform(-6.4, 6.4, (2, N_SAMPLES)).round()
    assert stats.ks_2samp(drawn["distance_squared"], x * x + y * y).pvalue > 0.01
    # Neither, one, the other and both flips are a quarter of the maps each.
    flips = np.stack([drawn["reflected"], drawn["turned"]])
    quarters = np.unique(flips, axis=1, return_counts=True)[1]
    assert len(quarters) == 4
    assert stats.chisquare(quarters).pvalue > 0.01
    # No two properties of a map go together, nor do those of neighbouring images.
    names = ("scale", "shear_degrees", "degrees", "reflected", "turned", "distance_squared")
    table = np.stack([drawn[name] for name in names])
    both = np.concatenate([table[:, 1:], table[:, :-1]])
    assert np.abs(np.corrcoef(both) - np.eye(len(both))).max() < 0.0127  # four standard errors
    # Brightness, contrast and saturation.
    factors = sample_jitter(N_SAMPLES, generator=generator(2)).numpy()
    for found in factors:
        assert stats.kstest(found, stats.uniform(0.8, 0.4).cdf).pvalue > 0.01
        assert 0.8 <= found.min() < 0.801
        assert 1.199 < found.max() <= 1.2 + 1e-6
    assert np.abs(np.corrcoef(factors) - np.eye(3)).max() < 0.0127  # four standard errors


def test_augment_is_both_steps() -> None:
    """Each image of a batch is moved, then coloured, by itself; values stay in [0, 1]."""
    images, numbers = noise(50), generator(4)
    before = images.clone()
    order = torch.randint(50, (70,), generator=generator(1))
    maps = sample_affine(70, size=SIZE, generator=numbers)
    factors = sample_jitter(70, generator=numbers)
    out = torch.empty(70, 3, SIZE, SIZE)
    assert augment(images, generator(4), order=order, out=out) is out
    for i, row in enumerate(order.tolist()):
        one = jittered(moved_images(images[row][None], maps[i][None]), *factors[:, i, None])
        torch.testing.assert_close(out[i], one[0], rtol=0, atol=1e-5)
    assert torch.equal(augment(images[order], generator(4)), out)
    assert 0 <= out.min() <= out.max() <= 1
    assert torch.equal(images, before)
