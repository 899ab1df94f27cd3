"""Identity and seeds: an id is the hash of content, a seed the hash of named parts."""

from __future__ import annotations

import hashlib
import json
from typing import Any

ID_DIGITS = 16


def canonical(value: Any) -> str:
    """The one JSON text of a value made of mappings, sequences and scalars.

    Keys are sorted, tuples equal lists, ``1.0`` differs from ``1``. Raises TypeError for
    anything else and ValueError for NaN and infinities.
    """
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)


def content_id(value: Any) -> str:
    """Sixteen hexadecimal digits of the SHA-256 of :func:`canonical`."""
    return hashlib.sha256(canonical(value).encode()).hexdigest()[:ID_DIGITS]


def derive_seed(*parts: int | str) -> int:
    """A seed in [0, 2**31) from named parts, for instance ``derive_seed(seed, "order", epoch)``."""
    digest = hashlib.blake2b(canonical(list(parts)).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 33
