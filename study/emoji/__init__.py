"""The only room that knows ``emoji_ae``; its kinds are imported when they are asked for.

So its requests can be imported alone, which the help of commands needs, in no time.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from study.emoji.kinds import AUTOENCODER, LATENT_METRICS, MULTITASK

__all__ = ["AUTOENCODER", "LATENT_METRICS", "MULTITASK"]


def __getattr__(name: str) -> Any:
    if name in __all__:
        return getattr(import_module("study.emoji.kinds"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
