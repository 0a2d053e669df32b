"""A process's share of the cores."""

import os
import sys

_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS")


def own_threads(threads: int) -> None:
    """Give this process its share of the cores, before any work starts.

    Two processes that both use all cores are many times slower than one. Libraries read the
    variables when they are imported; torch, where it has been, is told.
    """
    os.environ.update(dict.fromkeys(_VARIABLES, str(threads)))
    torch = sys.modules.get("torch")
    if torch is None:
        return
    torch.set_num_threads(threads)
    if torch.get_num_interop_threads() != 1:  # may be set only once in a process
        torch.set_num_interop_threads(1)
