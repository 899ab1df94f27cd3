"""Matrix products at the rate the machine has.

On x86 CPUs torch's own product runs on MKL, which on other makers' processors reaches less than half
of what oneDNN reaches (measured: 100 against 207 GFLOP/s a core on an AMD EPYC). oneDNN is reached
through the operator that torch's compiler emits; where it is missing, the ordinary product is used.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import torch
from torch import Tensor


@lru_cache(maxsize=1)
def _onednn() -> Any:
    """The oneDNN product, None where this build has none or it does not give x w^T."""
    try:
        product = torch.ops.mkldnn._linear_pointwise
        x, w = torch.eye(3), torch.arange(6.0).view(2, 3)
        good = torch.equal(product(x, w, None, "none", [], ""), w.t())
    except (AttributeError, RuntimeError):
        return None
    return product if good else None


def rows_times(x: Tensor, w: Tensor) -> Tensor:
    """``x @ w.T`` for x (M, K) and w (N, K), float32; either may be a transposed view."""
    product = _onednn() if x.device.type == "cpu" and x.dtype == torch.float32 else None
    if product is None:
        return torch.mm(x, w.t())
    out: Tensor = product(x, w, None, "none", [], "")
    return out
