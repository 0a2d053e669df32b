"""The two spaces of the autoencoder study: their sizes, ranges and configurations."""

from collections import Counter
from collections.abc import Mapping
from typing import Any, get_args

import optuna
import pytest
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from emoji_ae.config import Activation, AutoencoderConfig, Normalization, Schedule
from emoji_ae.errors import ConfigError
from search_spaces import SPACES, parse_params
from search_spaces.autoencoder import EXTENDED, NOTEBOOK, to_config, to_values
from search_spaces.base import Scalar, SearchSpace
from search_spaces.errors import SearchSpaceError

BOTH = pytest.mark.parametrize("space", [NOTEBOOK, EXTENDED], ids=["notebook", "extended"])
BRANCHES = {
    ("notebook", "CNN"): {"batch_normalization"},
    ("notebook", "linear"): {"bottleneck_dim"},
    ("extended", "CNN"): {"width", "depth", "latent_channels", "normalization"},
    ("extended", "linear"): {"bottleneck_dim"},
}
COMMON = {
    "notebook": {"auto_encoder", "epoch", "batch_size", "learning_rate", "weight_decay"},
    "extended": {
        *("auto_encoder", "epoch", "batch_size", "learning_rate", "weight_decay"),
        *("activation", "schedule"),
        *("edge_weight", "color_weight", "variational", "extra_images"),
    },
}


def names(space: SearchSpace, params: Mapping[str, Scalar]) -> set[str]:
    """Return the parameters that a point has, by its choices."""
    own = COMMON[space.name] | BRANCHES[space.name, str(params["auto_encoder"])]
    return own | ({"kl_weight"} if params.get("variational") else set())


def random_study(seed: int = 0) -> optuna.Study:
    """Return a study in memory whose sampler draws at random."""
    return optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=seed))


def sampled(
    space: SearchSpace, n: int, fixed: Mapping[str, Scalar] | None = None
) -> list[tuple[dict[str, Any], optuna.Trial]]:
    """Return what ``n`` trials at random were suggested, and the trials."""
    study = random_study()
    trials = [study.ask() for _ in range(n)]
    return [(space.suggest(trial, fixed or {}), trial) for trial in trials]


def frozen(point: Mapping[str, Scalar]) -> tuple[tuple[str, Scalar], ...]:
    """Return a point as a value that can be counted."""
    return tuple(sorted(point.items()))


def test_notebook_grid() -> None:
    """The original's 192 convolutional and 288 fully connected points, each exactly once."""
    points = list(NOTEBOOK.grid({}))
    assert len({frozen(point) for point in points}) == len(points) == 480
    assert Counter(point["auto_encoder"] for point in points) == {"CNN": 192, "linear": 288}
    values = {name: {point[name] for point in points if name in point} for name in points[0]}
    assert values == {
        "auto_encoder": {"CNN", "linear"},
        "epoch": {100, 200},
        "batch_size": {16, 32, 64},
        "learning_rate": {1e-4, 1e-3, 1e-2, 1e-1},
        "weight_decay": {1e-5, 1e-4, 1e-3, 1e-2},
        "batch_normalization": {False, True},
    }
    assert {point.get("bottleneck_dim") for point in points} == {None, 16, 32, 64}
    for point in points:
        branch = BRANCHES["notebook", str(point["auto_encoder"])]
        assert set(point) == COMMON["notebook"] | branch
    assert points == list(NOTEBOOK.grid({}))


def test_notebook_grid_is_valid_and_distinct() -> None:
    """Each point is a configuration of its own; epochs are prefixes, so half as many courses."""
    configs = [to_config(point) for point in NOTEBOOK.grid({})]
    assert len(set(configs)) == 480
    assert len({config.identity() for config in configs}) == 240


def test_extended_ranges() -> None:
    """The ranges are those that studies are documented with."""
    ranges: dict[str, BaseDistribution] = {
        "auto_encoder": CategoricalDistribution(["CNN", "linear"]),
        "epoch": CategoricalDistribution([200]),
        "batch_size": IntDistribution(8, 64, log=True),
        "learning_rate": FloatDistribution(1e-4, 1e-1, log=True),
        "weight_decay": FloatDistribution(1e-8, 1e-2, log=True),
        "activation": CategoricalDistribution(get_args(Activation)),
        "schedule": CategoricalDistribution(get_args(Schedule)),
        "width": IntDistribution(8, 64, log=True),
        "depth": IntDistribution(2, 5),
        "latent_channels": IntDistribution(16, 256, log=True),
        "normalization": CategoricalDistribution(get_args(Normalization)),
        "bottleneck_dim": IntDistribution(16, 256, log=True),
        "edge_weight": FloatDistribution(0.0, 1.0),
        "color_weight": FloatDistribution(0.0, 1.0),
        "variational": CategoricalDistribution([False, True]),
        "kl_weight": FloatDistribution(1e-5, 1e-1, log=True),
        "extra_images": CategoricalDistribution([True, False]),
    }
    assert {p.name: p.distribution for p in EXTENDED.parameters} == ranges


def test_extended_space_has_no_grid() -> None:
    """A continuous parameter has no grid, and the error says which and what to do."""
    with pytest.raises(
        SearchSpaceError,
        match=r"^The extended space has no grid: `learning_rate` is continuous\. .*--set\.$",
    ):
        next(EXTENDED.grid({}))
    with pytest.raises(SearchSpaceError, match="`weight_decay` is continuous"):
        next(EXTENDED.grid({"learning_rate": 0.01}))


def test_extended_space_has_a_grid_when_fixed() -> None:
    """With its continuous parameters fixed the extended space is finite."""
    fixed: dict[str, Scalar] = {
        "learning_rate": 0.01,
        "weight_decay": 1e-5,
        "batch_size": 16,
        "width": 16,
        "latent_channels": 128,
        "edge_weight": 0.0,
        "color_weight": 0.0,
        "variational": False,
        "kl_weight": 0.0,
        "extra_images": True,
    }
    points = list(EXTENDED.grid(fixed))
    n_cnn, n_linear = 4 * 3 * 4 * 3, 4 * 3 * 241
    assert Counter(point["auto_encoder"] for point in points) == {"CNN": n_cnn, "linear": n_linear}
    assert len({frozen(point) for point in points}) == len(points)
    assert {point["bottleneck_dim"] for point in points if "bottleneck_dim" in point} == set(
        range(16, 257)
    )
    assert all(point["learning_rate"] == 0.01 for point in points)
    assert all("width" not in point for point in points if point["auto_encoder"] == "linear")


@BOTH
def test_every_name_has_one_distribution(space: SearchSpace) -> None:
    """Over 200 random trials a name never has two ranges, and all names appear."""
    distributions: dict[str, list[BaseDistribution]] = {}
    for _, trial in sampled(space, 200):
        for name, distribution in trial.distributions.items():
            distributions.setdefault(name, []).append(distribution)
    assert set(distributions) == {parameter.name for parameter in space.parameters}
    for parameter in space.parameters:
        assert all(found == parameter.distribution for found in distributions[parameter.name])


@BOTH
def test_conditional_parameters(space: SearchSpace) -> None:
    """A branch has its own parameters and none of the other's, in what is stored too."""
    branches: Counter[str] = Counter()
    for params, trial in sampled(space, 60):
        branch = str(params["auto_encoder"])
        branches[branch] += 1
        assert set(params) == names(space, params)
        assert trial.params == params
        assert isinstance(space.to_config(params), AutoencoderConfig)
    assert min(branches.values()) > 15
    assert set(branches) == {"CNN", "linear"}


@BOTH
def test_stored_parameters_rebuild_the_configuration(space: SearchSpace) -> None:
    """What a trial stores is all that its configuration needs."""
    for params, trial in sampled(space, 20):
        config = space.to_config(trial.params)
        assert config == space.to_config(params)
        for name in set(params) - {"batch_normalization", "variational"}:
            assert getattr(config, name) == params[name]


@pytest.mark.parametrize(("flag", "normalization"), [(True, "batch"), (False, "none")])
def test_batch_normalization(flag: bool, normalization: str) -> None:
    """The notebook's flag stands for two of the normalizations, and is no field itself."""
    config = to_config({"auto_encoder": "CNN", "batch_normalization": flag})
    assert config == AutoencoderConfig(normalization=normalization)  # type: ignore[arg-type]


def test_variational() -> None:
    """The flag decides whether the weight counts, and is no field itself."""
    assert to_config({"variational": False}) == AutoencoderConfig()
    assert to_config({"variational": True, "kl_weight": 0.01}) == AutoencoderConfig(kl_weight=0.01)
    for weight in (0.0, 0.01):
        point = EXTENDED.point(to_values(AutoencoderConfig(kl_weight=weight)))
        assert point["variational"] == (weight > 0)
        assert point.get("kl_weight", 0.0) == weight
        assert to_config(point) == AutoencoderConfig(kl_weight=weight)


def test_to_config_checks() -> None:
    """Values and names obey the configuration's rules, and the mapping stays as it was."""
    params: dict[str, Scalar] = {"batch_normalization": True, "depth": 3}
    to_config(params)
    assert params == {"batch_normalization": True, "depth": 3}
    with pytest.raises(ConfigError, match=r"`depth` must be .*, but got 9\."):
        to_config({"depth": 9})
    with pytest.raises(ConfigError, match="`dropout` must be one of"):
        to_config({"dropout": 0.5})


@pytest.mark.parametrize(
    ("space", "fixed"),
    [
        (NOTEBOOK, {"epoch": 7, "learning_rate": 0.5, "batch_normalization": True}),
        (EXTENDED, {"epoch": 7, "batch_size": 2, "weight_decay": 0.0, "width": 3, "depth": 1}),
    ],
    ids=["notebook", "extended"],
)
def test_fixed_parameters(space: SearchSpace, fixed: dict[str, Scalar]) -> None:
    """A fixed value is stored like any other, with a range of itself alone."""
    for params, trial in sampled(space, 30, fixed):
        active = {name: value for name, value in fixed.items() if name in params}
        assert active.items() <= params.items()
        assert trial.params == params
        for name, value in active.items():
            assert trial.distributions[name] == CategoricalDistribution([value])
            assert type(trial.params[name]) is type(value)
        free = set(params) - set(fixed)
        ranges = {p.name: p.distribution for p in space.parameters}
        assert {name: trial.distributions[name] for name in free} == {
            name: ranges[name] for name in free
        }
        space.to_config(params)


@BOTH
@pytest.mark.parametrize("branch", ["CNN", "linear"])
def test_fixed_branch(space: SearchSpace, branch: str) -> None:
    """With the architecture fixed, the other's parameters do not exist, even if fixed too."""
    fixed: dict[str, Scalar] = {"auto_encoder": branch, "bottleneck_dim": 5}
    for params, trial in sampled(space, 10, fixed):
        assert params["auto_encoder"] == branch
        assert set(params) == names(space, params)
        assert set(trial.params) == set(params)
        assert params.get("bottleneck_dim", 5) == 5


@BOTH
def test_suggestion_gives_a_wanted_point_back(space: SearchSpace) -> None:
    """A point that was enqueued is suggested exactly, type and last bit included."""
    study = random_study()
    units = [[((7 * i + 3 * j) % 11 + 0.37) / 11.5 for j in range(24)] for i in range(40)]
    wanted = [space.at(unit[: len(space.parameters)], {}) for unit in units]
    for point in wanted:
        study.enqueue_trial(point)
    for point in wanted:
        params = space.suggest(study.ask(), {})
        assert params == point
        assert [type(value) for value in params.values()] == [type(v) for v in point.values()]


def test_extra_images() -> None:
    """Whether to use extra images is asked only where there are some."""
    without = EXTENDED.without("extra_images")
    names = {parameter.name for parameter in EXTENDED.parameters}
    assert names - {parameter.name for parameter in without.parameters} == {"extra_images"}
    assert NOTEBOOK.without("extra_images") is NOTEBOOK
    assert to_config({"extra_images": False}) == AutoencoderConfig(extra_images=False)


def test_spaces_by_name() -> None:
    """Spaces know their name."""
    for spaces in SPACES.values():
        for name, space in spaces.items():
            assert space.name == name


def test_conditions_look_back() -> None:
    """A condition names an earlier parameter and some of its values; names are unique."""
    for space in (space for spaces in SPACES.values() for space in spaces.values()):
        by_name = {parameter.name: parameter for parameter in space.parameters}
        names = list(by_name)
        assert len(names) == len(space.parameters)
        for i, parameter in enumerate(space.parameters):
            for name, values in parameter.when.items():
                assert name in names[:i]
                assert values
                assert set(values) <= set(by_name[name].values())


def test_parameters_of_any_space() -> None:
    """Values for the parameters of every space of a kind are read together."""
    params = parse_params(
        SPACES["autoencoder"],
        {"batch_normalization": "true", "width": "8", "epoch": "3", "learning_rate": "1e-3"},
    )
    assert params == {"batch_normalization": True, "width": 8, "epoch": 3, "learning_rate": 0.001}
    with pytest.raises(SearchSpaceError, match=r"^There is no parameter 'lr'; .*learning_rate"):
        parse_params(SPACES["autoencoder"], {"lr": "1"})
    with pytest.raises(SearchSpaceError, match="`width` must be a whole number, but got 'x'"):
        parse_params(SPACES["autoencoder"], {"width": "x"})
