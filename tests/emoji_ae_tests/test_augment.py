"""Augmentation against torchvision: single transforms, compositions, and distributions."""

import itertools
import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from torch import Tensor
from torchvision.transforms import ColorJitter, RandomAffine, RandomRotation
from torchvision.transforms.v2 import functional as tv
from torchvision.transforms.v2.functional import InterpolationMode

from emoji_ae.augment import (
    affine_matrix,
    augment,
    jitter,
    move,
    sample_affine,
    sample_jitter,
)

SIZE = 64
N_SAMPLES = 4000
ROUNDING = 3e-4
"""Of places in pixels; ten times what float32 loses in several resamplings."""
LUMA = 1e-4
"""torchvision's weight of red is 0.2989, here it is 0.299; that and rounding is all."""


def moved_images(images: Tensor, matrices: Tensor) -> Tensor:
    """Return images under one affine map each."""
    return 1 - move(1 - images, matrices)


def jittered(images: Tensor, *factors: Tensor) -> Tensor:
    """Return images with other colours."""
    return jitter(1 - images, *factors)


@pytest.fixture(scope="module")
def smooth() -> Tensor:
    """``(1, 3, 64, 64)``: waves of 30 pixels or longer without any symmetry, in [0.2, 0.8]."""
    y, x = torch.meshgrid(torch.arange(SIZE), torch.arange(SIZE), indexing="ij")
    waves = [
        torch.sin(x / 9 + y / 21 + 0.4),
        torch.cos(x / 17 - y / 8 + 1.1),
        torch.sin(x / 13 + y / 11 + 2.0) * torch.cos(y / 25),
    ]
    return (0.5 + 0.3 * torch.stack(waves)).unsqueeze(0)


def generator(seed: int) -> torch.Generator:
    """Return a generator of its own."""
    return torch.Generator().manual_seed(seed)


def matrix(
    *,
    degrees: float = 0.0,
    shift_x: float = 0.0,
    shift_y: float = 0.0,
    scale: float = 1.0,
    shear_degrees: float = 0.0,
) -> Tensor:
    """Return one map, ``(1, 3, 3)``; without arguments nothing moves."""
    return affine_matrix(
        degrees=torch.tensor([degrees]),
        shift_x=torch.tensor([shift_x]),
        shift_y=torch.tensor([shift_y]),
        scale=torch.tensor([scale]),
        shear_degrees=torch.tensor([shear_degrees]),
    )


def tv_affine(
    images: Tensor,
    how: InterpolationMode,
    *,
    degrees: float = 0.0,
    shift_x: int = 0,
    shift_y: int = 0,
    scale: float = 1.0,
    shear_degrees: float = 0.0,
) -> Tensor:
    """Return torchvision's ``affine`` on white ground."""
    moved: Tensor = tv.affine(
        images,
        angle=degrees,
        translate=[shift_x, shift_y],
        scale=scale,
        shear=[shear_degrees, 0.0],
        interpolation=how,
        fill=1.0,
    )
    return moved


def tv_rotate(images: Tensor, how: InterpolationMode, degrees: float) -> Tensor:
    """Return torchvision's ``rotate`` on white ground."""
    moved: Tensor = tv.rotate(images, degrees, interpolation=how, fill=1.0)
    return moved


Reference = Callable[[Tensor, InterpolationMode], Tensor]
"""Moves images with torchvision."""


def exact_places(reference: Reference) -> Tensor:
    """Return where torchvision reads each pixel, ``(2, 64, 64)``: x and y in the original.

    Bilinear interpolation keeps linear functions, however often it is applied, so moved ramps
    tell the place to a fraction of a pixel. They are on a canvas three times as wide, whose
    border comes nowhere near: places outside of the image are right as well.
    """
    ramp = torch.arange(-SIZE, 2 * SIZE, dtype=torch.float32)
    y, x = torch.meshgrid(ramp, ramp, indexing="ij")
    moved = reference(torch.stack([x, y]).unsqueeze(0), InterpolationMode.BILINEAR)
    return moved[0, :, SIZE:-SIZE, SIZE:-SIZE]


def assert_nearest_everywhere(matrices: Tensor, reference: Reference) -> None:
    """Each pixel is the one nearest to torchvision's exact place, or white outside the image.

    The channels of the image are the pixels' coordinates and their mean.
    """
    ramp = torch.arange(SIZE) / (SIZE - 1)
    y, x = torch.meshgrid(ramp, ramp, indexing="ij")
    image = (0.1 + 0.8 * torch.stack([x, y, (x + y) / 2])).unsqueeze(0)
    moved = moved_images(image, matrices)[0]
    found = (moved - 0.1) / 0.8 * (SIZE - 1)  # (3, 64, 64)
    places = exact_places(reference)

    beyond = ((places - (SIZE - 1) / 2).abs() - SIZE / 2).amax(dim=0)  # the image's edge is 0
    inside, outside = beyond < -ROUNDING, beyond > ROUNDING
    assert inside.float().mean() > 0.3
    assert (inside | outside).float().mean() > 0.99
    assert (moved[:, outside] == 1).all()
    found, places = found[:, inside], places[:, inside]
    assert (found[:2] - places).abs().max() <= 0.5 + ROUNDING
    assert (found[:2] - found[:2].round()).abs().max() < ROUNDING  # nothing is blended
    assert (found[2] - found[:2].mean(dim=0)).abs().max() < ROUNDING


def assert_equal_nearly_everywhere(moved: Tensor, expected: Tensor) -> None:
    """Pixels agree, but for the few whose place is half-way between two, up to rounding."""
    equal = ((moved - expected).abs() < 1e-6).all(dim=1)
    assert equal.float().mean() >= 0.99


@pytest.mark.parametrize(
    "change",
    [
        {"degrees": 15.0},
        {"degrees": -7.3},
        {"degrees": 90.0},
        {"shift_x": 6},
        {"shift_y": -5},
        {"scale": 0.9},
        {"scale": 1.1},
        {"shear_degrees": 5.0},
        {"shear_degrees": -20.0},
        {"degrees": 12.0, "shift_x": 3, "shift_y": -6, "scale": 1.07, "shear_degrees": -4.0},
        {"degrees": -140.0, "shift_x": -20, "shift_y": 9, "scale": 0.8, "shear_degrees": 25.0},
    ],
)
def test_affine_is_torchvisions(smooth: Tensor, change: dict[str, float]) -> None:
    """A map of given angle, shift, scale and shear moves pixels as torchvision's ``affine``."""
    moved = moved_images(smooth, matrix(**change))

    def reference(image: Tensor, how: InterpolationMode) -> Tensor:
        return tv_affine(image, how, **change)  # type: ignore[arg-type]

    assert (moved - smooth).abs().max() > 0.01
    assert_equal_nearly_everywhere(moved, reference(smooth, InterpolationMode.NEAREST))
    assert_nearest_everywhere(matrix(**change), reference)


@pytest.mark.parametrize("degrees", [20.0, -11.0, 90.0])
def test_rotation_is_torchvisions(smooth: Tensor, degrees: float) -> None:
    """torchvision's ``rotate`` turns counter-clockwise, against the map's own direction."""

    def reference(image: Tensor, how: InterpolationMode) -> Tensor:
        return tv_rotate(image, how, degrees)

    turn = matrix(degrees=-degrees)
    assert_equal_nearly_everywhere(
        moved_images(smooth, turn), reference(smooth, InterpolationMode.NEAREST)
    )
    assert_nearest_everywhere(turn, reference)


def test_rotation_is_clockwise() -> None:
    """A dot above the centre goes to the right of it under a quarter turn."""
    image, expected = torch.ones(2, 1, 3, SIZE, SIZE)
    image[:, :, 10:12, 31:33] = 0
    expected[:, :, 31:33, 52:54] = 0
    assert torch.equal(moved_images(image, matrix(degrees=90.0)), expected)


@pytest.mark.parametrize(
    ("signs", "flip"),
    [((-1.0, 1.0), tv.horizontal_flip), ((1.0, -1.0), tv.vertical_flip)],
)
def test_flips_are_torchvisions(
    signs: tuple[float, float], flip: Callable[[Tensor], Tensor]
) -> None:
    """A flip maps pixel centres onto pixel centres, so nothing is lost, not even at the edge."""
    noise = torch.rand(1, 3, SIZE, SIZE, generator=generator(0))
    moved = moved_images(noise, torch.diag(torch.tensor([*signs, 1.0])).unsqueeze(0))
    assert torch.equal(moved, flip(noise))


def assert_composition_is_torchvisions(
    flip_x: int, flip_y: int, turn: float, change: dict[str, float]
) -> None:
    """One map of affine, flips and rotation reads where torchvision's do one after the other."""

    def reference(image: Tensor, how: InterpolationMode) -> Tensor:
        image = tv_affine(image, how, **change)  # type: ignore[arg-type]
        image = tv.horizontal_flip(image) if flip_x < 0 else image
        image = tv.vertical_flip(image) if flip_y < 0 else image
        return tv_rotate(image, how, turn)

    flips = torch.diag(torch.tensor([float(flip_x), float(flip_y), 1.0]))
    assert_nearest_everywhere(matrix(degrees=-turn) @ flips @ matrix(**change), reference)


@pytest.mark.parametrize(
    ("flip_x", "flip_y", "turn"), [(-1, 1, 17.0), (1, -1, -20.0), (-1, -1, 8.0), (1, 1, 13.0)]
)
def test_composition_is_torchvisions(flip_x: int, flip_y: int, turn: float) -> None:
    """Affine, flips and rotation are composed in torchvision's order, and resampled once."""
    change = {"degrees": -12.0, "shift_x": 5, "shift_y": -3, "scale": 0.93, "shear_degrees": 4.5}
    assert_composition_is_torchvisions(flip_x, flip_y, turn, change)


@given(
    flips=st.tuples(st.sampled_from([-1, 1]), st.sampled_from([-1, 1])),
    turn=st.floats(-20, 20),
    degrees=st.floats(-15, 15),
    shifts=st.tuples(st.integers(-6, 6), st.integers(-6, 6)),
    scale=st.floats(0.9, 1.1),
    shear_degrees=st.floats(-5, 5),
)
@settings(max_examples=50)
def test_every_composition_is_torchvisions(
    flips: tuple[int, int],
    turn: float,
    degrees: float,
    shifts: tuple[int, int],
    scale: float,
    shear_degrees: float,
) -> None:
    """The same holds for whatever can be drawn."""
    shift_x, shift_y = shifts
    change = {
        "degrees": degrees,
        "shift_x": shift_x,
        "shift_y": shift_y,
        "scale": scale,
        "shear_degrees": shear_degrees,
    }
    assert_composition_is_torchvisions(*flips, turn, change)


def test_identity_gives_the_image_back() -> None:
    """Without movement even noise comes back, exactly; without a change of colour, nearly."""
    noise = torch.rand(2, 3, SIZE, SIZE, generator=generator(0))
    assert torch.equal(moved_images(noise, matrix().expand(2, 3, 3)), noise)
    one = torch.ones(2)
    torch.testing.assert_close(jittered(noise, one, one, one), noise, rtol=0, atol=1e-6)


def test_white_stays_white() -> None:
    """A white image moves to a white one, and what comes in from outside is exactly white."""
    matrices = sample_affine(50, size=SIZE, generator=generator(0))
    assert (moved_images(torch.ones(50, 3, SIZE, SIZE), matrices) == 1).all()
    moved = moved_images(torch.zeros(1, 3, SIZE, SIZE), matrix(shift_x=10.0, shift_y=-20.0))
    assert (moved[:, :, :, :9] == 1).all()
    assert (moved[:, :, 45:, :] == 1).all()
    assert (moved[:, :, :43, 11:] == 0).all()


@pytest.mark.parametrize("factor", [0.8, 0.93, 1.0, 1.2])
@pytest.mark.parametrize(
    ("step", "reference"),
    [
        (0, tv.adjust_brightness),
        (1, tv.adjust_contrast),
        (2, tv.adjust_saturation),
    ],
)
def test_colour_steps_are_torchvisions(
    smooth: Tensor, step: int, factor: float, reference: Callable[[Tensor, float], Tensor]
) -> None:
    """Brightness, contrast and saturation alone change colours as torchvision's do."""
    factors = torch.ones(3, 1)
    factors[step] = factor
    changed = jittered(smooth, *factors)
    expected = reference(smooth, factor)
    assert 0 < expected.min() <= expected.max() < 1  # nothing was clamped
    torch.testing.assert_close(changed, expected, rtol=0, atol=LUMA)
    assert factor == 1 or (changed - smooth).abs().max() > 0.01


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_colour_steps_commute(smooth: Tensor, order: tuple[int, ...]) -> None:
    """One colour map does what torchvision's three steps do in any order, without clamping."""
    factors = (1.13, 0.85, 1.2)
    steps = (tv.adjust_brightness, tv.adjust_contrast, tv.adjust_saturation)
    expected = smooth
    for step in order:
        expected = steps[step](expected, factors[step])
        assert 0 < expected.min() <= expected.max() < 1
    changed = jittered(smooth, *torch.tensor(factors).unsqueeze(1))
    torch.testing.assert_close(changed, expected, rtol=0, atol=2 * LUMA)


def reference_affine(n: int) -> Tensor:
    """Draw maps with torchvision's own ``get_params``; built here from elementary matrices."""

    def rotation(clockwise_degrees: float) -> np.ndarray:
        angle = math.radians(clockwise_degrees)
        cos, sin = math.cos(angle), math.sin(angle)
        return np.array([[cos, -sin, 0], [sin, cos, 0], [0, 0, 1]])

    maps = []
    for _ in range(n):
        degrees, shift, scale, (shear, _) = RandomAffine.get_params(
            [-15.0, 15.0], [0.1, 0.1], [0.9, 1.1], [-5.0, 5.0], [SIZE, SIZE]
        )
        flips = [-1 if torch.rand(1) < 0.5 else 1 for _ in range(2)]
        move = np.array([[1, 0, shift[0]], [0, 1, shift[1]], [0, 0, 1]])
        shape = np.diag([scale, scale, 1.0])
        shape[0, 1] = -scale * math.tan(math.radians(shear))
        maps.append(
            rotation(-RandomRotation.get_params([-20.0, 20.0]))
            @ np.diag([*flips, 1])
            @ (move @ rotation(degrees) @ shape)
        )
    return torch.from_numpy(np.stack(maps))


def properties(maps: Tensor) -> dict[str, np.ndarray]:
    """Take maps apart: rotation or reflection, times scale and shear, then the shift."""
    maps = maps.double()
    orthogonal, shape = torch.linalg.qr(maps[:, :2, :2])
    signs = shape.diagonal(dim1=1, dim2=2).sign()
    orthogonal, shape = orthogonal * signs[:, None], shape * signs[:, :, None]
    shift = maps[:, :2, 2]
    angle = torch.atan2(orthogonal[:, 1, 0], orthogonal[:, 0, 0]).rad2deg()
    found = {
        "scale": shape[:, 0, 0],
        "scale_y": shape[:, 1, 1],
        "shear_degrees": torch.atan(-shape[:, 0, 1] / shape[:, 0, 0]).rad2deg(),
        "reflected": torch.linalg.det(orthogonal),
        "turned": torch.where(angle.abs() > 90, -1.0, 1.0),
        # The sum of both rotations, or their difference: in [-90, 90] after the flips.
        "degrees": torch.where(angle.abs() > 90, angle - 180 * angle.sign(), angle),
        "shift_x": shift[:, 0],
        "shift_y": shift[:, 1],
        "distance_squared": shift.square().sum(dim=1),  # whole, up to rounding errors
    }
    return {name: values.numpy() for name, values in found.items()}


@pytest.fixture(scope="module")
def drawn() -> dict[str, np.ndarray]:
    """Properties of maps that are drawn here."""
    return properties(sample_affine(N_SAMPLES, size=SIZE, generator=generator(0)))


@pytest.fixture(scope="module")
def expected() -> dict[str, np.ndarray]:
    """Properties of maps that torchvision draws."""
    with torch.random.fork_rng():
        torch.manual_seed(1)
        return properties(reference_affine(N_SAMPLES))


@pytest.mark.parametrize(
    "name", ["scale", "shear_degrees", "degrees", "shift_x", "shift_y", "distance_squared"]
)
def test_maps_have_torchvisions_distribution(
    drawn: dict[str, np.ndarray], expected: dict[str, np.ndarray], name: str
) -> None:
    """Scale, shear, angle and shift are distributed as if torchvision had drawn them."""
    mine, theirs = drawn[name], expected[name]
    if name == "distance_squared":
        mine, theirs = mine.round(), theirs.round()  # or rounding errors would break the ties
    assert stats.ks_2samp(mine, theirs).pvalue > 0.01
    spread = theirs.std()
    # Five standard errors of a difference of means.
    assert abs(mine.mean() - theirs.mean()) < 5 * spread * math.sqrt(2 / N_SAMPLES)
    assert mine.std() == pytest.approx(spread, rel=0.06)
    assert mine.min() == pytest.approx(theirs.min(), abs=0.2 * spread)
    assert mine.max() == pytest.approx(theirs.max(), abs=0.2 * spread)


def test_maps_have_the_stated_distribution() -> None:
    """Many draws tell ranges apart that are nearly alike, those of both rotations too."""
    many = properties(sample_affine(100_000, size=SIZE, generator=generator(5)))
    # The sum of uniform angles up to 15 and up to 20 degrees is flat up to 5 degrees.
    angles = stats.trapezoid(30 / 70, 40 / 70, loc=-35, scale=70)
    assert stats.kstest(many["degrees"], angles.cdf).pvalue > 0.01
    assert stats.kstest(many["scale"], stats.uniform(0.9, 0.2).cdf).pvalue > 0.01
    assert stats.kstest(many["shear_degrees"], stats.uniform(-5, 10).cdf).pvalue > 0.01
    assert many["reflected"].mean() == pytest.approx(0, abs=0.013)  # four standard errors
    assert many["turned"].mean() == pytest.approx(0, abs=0.013)


def test_maps_stay_in_range(drawn: dict[str, np.ndarray]) -> None:
    """Every range is kept and used up to its ends, and shifts are whole pixels."""
    for name, low, high in (
        ("scale", 0.9, 1.1),
        ("shear_degrees", -5.0, 5.0),
        ("degrees", -35.0, 35.0),
        ("distance_squared", 0.0, 72.0),
    ):
        width = high - low
        assert low - 1e-4 * width <= drawn[name].min() <= low + 0.05 * width
        assert high - 0.05 * width <= drawn[name].max() <= high + 1e-4 * width
    np.testing.assert_allclose(drawn["scale_y"], drawn["scale"], rtol=1e-5)
    squares = {x * x + y * y for x in range(7) for y in range(7)}
    np.testing.assert_allclose(
        drawn["distance_squared"], drawn["distance_squared"].round(), atol=1e-3
    )
    assert set(drawn["distance_squared"].round()) == squares


def test_shift_follows_the_size() -> None:
    """A tenth of the image's size is the farthest, in either direction."""
    maps = sample_affine(N_SAMPLES, size=128, generator=generator(0))
    assert maps[:, :2, 2].norm(dim=1).max() == pytest.approx(math.hypot(13, 13), abs=0.6)


def test_flips_are_independent(drawn: dict[str, np.ndarray]) -> None:
    """Neither, one, the other and both flips are a quarter of the maps each."""
    quarters = list(zip(drawn["reflected"].round(), drawn["turned"], strict=True))
    counts = [quarters.count((a, b)) for a, b in itertools.product((-1, 1), repeat=2)]
    assert sum(counts) == N_SAMPLES
    assert stats.chisquare(counts).pvalue > 0.01


def test_maps_parameters_are_independent(drawn: dict[str, np.ndarray]) -> None:
    """No two properties of a map go together, nor do those of neighbouring images."""
    names = ("scale", "shear_degrees", "degrees", "reflected", "turned", "distance_squared")
    table = np.stack([drawn[name] for name in names])
    both = np.concatenate([table[:, 1:], table[:, :-1]])
    correlations = np.corrcoef(both) - np.eye(len(both))
    assert np.abs(correlations).max() < 0.06  # four standard errors


def test_factors_have_torchvisions_distribution() -> None:
    """Brightness, contrast and saturation are drawn as ColorJitter draws them, independently."""
    factors = sample_jitter(N_SAMPLES, generator=generator(2)).numpy()
    spread = [0.8, 1.2]
    with torch.random.fork_rng():
        torch.manual_seed(3)
        theirs = np.array(
            [ColorJitter.get_params(spread, spread, spread, None)[1:4] for _ in range(N_SAMPLES)],
            dtype=float,
        ).T
    assert factors.shape == (3, N_SAMPLES)
    for mine, reference in zip(factors, theirs, strict=True):
        assert stats.ks_2samp(mine, reference).pvalue > 0.01
        assert 0.8 <= mine.min() < 0.801
        assert 1.199 < mine.max() <= 1.2 + 1e-6
        assert mine.mean() == pytest.approx(1, abs=0.01)
        assert mine.var() == pytest.approx(0.4**2 / 12, rel=0.06)
    assert np.abs(np.corrcoef(factors) - np.eye(3)).max() < 0.06


@given(seed=st.integers(0, 2**63 - 1), n=st.integers(1, 4), contrast=st.sampled_from([1, 100]))
@settings(max_examples=25)
def test_values_stay_in_range(seed: int, n: int, contrast: int) -> None:
    """Whatever is drawn, images keep their shape and are finite in [0, 1]."""
    noise = torch.rand(n, 3, SIZE, SIZE, generator=generator(seed))
    images = ((noise - 0.5) * contrast + 0.5).clamp(0, 1)
    kept = images.clone()
    changed = augment(images, generator(seed))
    assert changed.shape == images.shape
    assert changed.dtype == torch.float32
    assert 0 <= changed.min() <= changed.max() <= 1
    assert torch.equal(images, kept)


def test_generator_decides(smooth: Tensor) -> None:
    """The generator alone is the source of chance: the global one neither matters nor moves."""
    images = smooth.expand(3, 3, SIZE, SIZE)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        first = augment(images, generator(7))
        torch.manual_seed(1)
        state = torch.get_rng_state()
        assert torch.equal(augment(images, generator(7)), first)
        assert torch.equal(torch.get_rng_state(), state)
        assert not torch.equal(augment(images, generator(8)), first)
    again = generator(7)
    assert torch.equal(augment(images, again), first)
    assert not torch.equal(augment(images, again), first)


def test_each_image_has_its_own_transform(smooth: Tensor) -> None:
    """Copies of one image in one batch become different images, in place and in colour."""
    changed = augment(smooth.expand(30, 3, SIZE, SIZE), generator(0))
    moved = moved_images(
        smooth.expand(30, 3, SIZE, SIZE), sample_affine(30, size=SIZE, generator=generator(0))
    )
    coloured = jittered(
        smooth.expand(30, 3, SIZE, SIZE), *sample_jitter(30, generator=generator(0))
    )
    for images in (changed, moved, coloured):
        distances = torch.cdist(images.flatten(1), images.flatten(1))
        assert (distances + torch.eye(30) * 1e9).min() > 0.01


def test_augment_is_both_steps() -> None:
    """Augmentation moves pixels first, then changes colours, with numbers drawn in this order."""
    images = torch.rand(70, 3, SIZE, SIZE, generator=generator(0))
    numbers = generator(4)
    maps = sample_affine(70, size=SIZE, generator=numbers)
    factors = sample_jitter(70, generator=numbers)
    expected = jittered(moved_images(images, maps), *factors)
    torch.testing.assert_close(augment(images, generator(4)), expected, rtol=0, atol=1e-6)


def test_augment_takes_an_order_and_a_place() -> None:
    """Images can be taken in any order, which draws no numbers, and written to where one likes."""
    images = torch.rand(70, 3, SIZE, SIZE, generator=generator(0))
    order = torch.randperm(70, generator=generator(1))
    out = torch.empty_like(images)
    changed = augment(images, generator(4), order=order, out=out)
    assert changed is out
    assert torch.equal(out, augment(images[order], generator(4)))


def test_augment_takes_a_part_of_the_images() -> None:
    """An order that names few of the images gives as many copies, whatever the others are."""
    images = torch.rand(7, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    order = torch.tensor([5, 2, 5])
    few = augment(images, torch.Generator().manual_seed(1), order=order)
    assert few.shape == (3, 3, 16, 16)
    chosen = images[order]
    assert torch.equal(few, augment(chosen, torch.Generator().manual_seed(1)))


def test_batch_equals_image_by_image() -> None:
    """What happens to an image does not depend on the others of its batch."""
    images = torch.rand(6, 3, SIZE, SIZE, generator=generator(0))
    maps = sample_affine(6, size=SIZE, generator=generator(1))
    factors = sample_jitter(6, generator=generator(2))
    moved = [moved_images(images[i : i + 1], maps[i : i + 1]) for i in range(6)]
    assert torch.equal(moved_images(images, maps), torch.cat(moved))
    coloured = [jittered(images[i : i + 1], *factors[:, i : i + 1]) for i in range(6)]
    torch.testing.assert_close(jittered(images, *factors), torch.cat(coloured), rtol=0, atol=1e-5)
