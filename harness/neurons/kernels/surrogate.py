"""Surrogate gradients: what stands in for the derivative of the spike function.

A surrogate is a frozen value (name, width, shift). ``u`` is the potential above threshold,
``h - v_threshold``; every curve has unit area. The larger the width, the flatter the curve:

========== ===================================================== ==============================
name       derivative at u                                       width
========== ===================================================== ==============================
atan       a/2 / (1 + (pi/2 a u)^2), as SpikingJelly's ATan      1/a (their alpha=2: 0.5)
sigmoid    a s(au) (1 - s(au)), as SpikingJelly's Sigmoid        1/a (their alpha=4: 0.25)
rect       1/(2 w) where abs(u) < w                              the half window ("lens")
gaussian   N(u; shift, w), centred off the threshold             the standard deviation
========== ===================================================== ==============================

Sources: arXiv 2203.01158 (rect; gaussian, centre V_th + 0.2), SpikingJelly 2.0.0 (atan, sigmoid).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, get_args

import torch
from torch import Tensor

from harness.errors import HarnessError, UnknownNameError

SurrogateName = Literal["atan", "sigmoid", "rect", "gaussian"]
SURROGATES: tuple[SurrogateName, ...] = get_args(SurrogateName)
CUSTOMARY_WIDTH: dict[str, float] = {"atan": 0.5, "sigmoid": 0.25, "rect": 0.5, "gaussian": 1.0}


@dataclass(frozen=True, slots=True)
class Surrogate:
    """One surrogate gradient; see the table of the module.

    ``width`` is in units of the membrane potential; ``shift`` moves the centre above the
    threshold and is used by ``gaussian`` alone. Raises UnknownNameError for a name that is
    not in the table and HarnessError for a width that is not a positive number.
    """

    name: SurrogateName = "atan"
    width: float = 0.5
    shift: float = 0.0

    def __post_init__(self) -> None:
        if self.name not in SURROGATES:
            raise UnknownNameError("surrogate", self.name, SURROGATES)
        if not (math.isfinite(self.width) and self.width > 0):
            raise HarnessError(
                f"surrogate '{self.name}': width {self.width} is not a positive number; "
                f"the customary width is {CUSTOMARY_WIDTH[self.name]}."
            )

    def derivative(self, u: Tensor) -> Tensor:
        """The derivative at ``u`` (any shape), a new tensor."""
        return self.backward(torch.ones_like(u), u, 0.0)

    def backward(self, grad: Tensor, h: Tensor, threshold: float) -> Tensor:
        """``grad * derivative(h - threshold)`` as a new tensor, in few passes over memory."""
        return _BACKWARD[self.name](self, grad, h, threshold)


def named(name: str, width: float | None = None, shift: float | None = None) -> Surrogate:
    """The surrogate with its customary width and shift (gaussian 0.2) unless given."""
    if name not in SURROGATES:
        raise UnknownNameError("surrogate", name, SURROGATES)
    customary = 0.2 if name == "gaussian" else 0.0
    return Surrogate(
        name,
        CUSTOMARY_WIDTH[name] if width is None else width,
        customary if shift is None else shift,
    )


def atan(alpha: float = 2.0) -> Surrogate:
    """SpikingJelly's ``ATan(alpha)``."""
    return Surrogate("atan", 1.0 / alpha)


def rect(lens: float = 0.5) -> Surrogate:
    """The rectangular window ``abs(u) < lens`` of height ``1/(2 lens)``."""
    return Surrogate("rect", lens)


def _atan(surrogate: Surrogate, grad: Tensor, h: Tensor, threshold: float) -> Tensor:
    # grad / (2/a + (2/a) (pi/2 a u)^2): the factor a/2 moves into the denominator.
    alpha = 1.0 / surrogate.width
    u = h - threshold
    square = math.pi * math.pi / 2.0 * alpha
    constant = torch.tensor(2.0 / alpha, dtype=u.dtype, device=u.device)
    denominator = torch.addcmul(constant, u, u, value=square, out=u)
    return torch.div(grad, denominator, out=denominator)


def _sigmoid(surrogate: Surrogate, grad: Tensor, h: Tensor, threshold: float) -> Tensor:
    alpha = 1.0 / surrogate.width
    s = torch.sigmoid_((h - threshold).mul_(alpha))
    slope: Tensor = torch.ops.aten.sigmoid_backward(grad, s)
    return slope.mul_(alpha)


def _rect(surrogate: Surrogate, grad: Tensor, h: Tensor, threshold: float) -> Tensor:
    # hardtanh's backward passes the gradient strictly inside its bounds and is one pass.
    width = surrogate.width
    inside: Tensor = torch.ops.aten.hardtanh_backward(grad, h, threshold - width, threshold + width)
    return inside if width == 0.5 else inside.mul_(0.5 / width)


def _gaussian(surrogate: Surrogate, grad: Tensor, h: Tensor, threshold: float) -> Tensor:
    width = surrogate.width
    u = h - (threshold + surrogate.shift)
    bell = u.mul_(u).mul_(-0.5 / (width * width)).exp_()
    return bell.mul_(grad).mul_(1.0 / (width * math.sqrt(2.0 * math.pi)))


_BACKWARD = {"atan": _atan, "sigmoid": _sigmoid, "rect": _rect, "gaussian": _gaussian}
