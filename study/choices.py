"""Names that can be chosen for any kind of model, each set once."""

from typing import Literal

Sampler = Literal["grid", "random", "qmc", "tpe", "gp"]
Pruner = Literal["median", "halving", "hyperband", "none"]
Pictures = Literal["all", "best", "none"]
"""Trials that keep pictures; the best are ten, the median and the worst."""
Device = Literal["auto", "cpu", "cuda", "mps"]
Direction = Literal["minimize", "maximize"]
Backend = Literal["local", "dask"]
