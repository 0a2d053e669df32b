"""Names that can be chosen beside a configuration, each set once; imports nothing."""

from typing import Literal

SplitMethod = Literal["group", "random"]
Vendor = Literal["apple", "google", "joypixels", "meta", "samsung", "twitter", "windows"]
Way = Literal["slerp", "lerp"]
"""How to go from one latent to another: along a great circle, or straight."""
