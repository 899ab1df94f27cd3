"""A function over many chunks on a Ray cluster: for work that is no trial, such as converting files."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

from harness.engine.cluster import RayCluster
from harness.errors import HarnessError, ResourceError
from harness.studyfile.values import ClusterSpec

Chunk = TypeVar("Chunk")
Result = TypeVar("Result")

WAITING = 2  # chunks a processor has in flight; more would only fill memory


def ray_map(
    cluster: ClusterSpec,
    apply: Callable[[Chunk], Result],
    chunks: Sequence[Chunk],
    *,
    cpus: int = 1,
    gpus: float = 0.0,
) -> Iterator[Result]:
    """Results of `apply` on every chunk, in the order they finish; so many processors a chunk.

    A chunk whose worker dies runs again; it must not mind. Raises ResourceError where there is no
    cluster, and what `apply` raised.
    """
    import ray  # the engine has it anyway; a command that maps nothing does not

    with RayCluster(cluster) as there:
        slots = max(1, int(there.capacity().cpus) // cpus)
        remote: Any = ray.remote(num_cpus=cpus, num_gpus=gpus, max_retries=3)(_call)
        function = ray.put(apply)
        waiting: list[Any] = []
        for chunk in chunks:
            waiting.append(remote.remote(function, chunk))
            if len(waiting) >= WAITING * slots:
                yield _next(ray, waiting)
        while waiting:
            yield _next(ray, waiting)


def _call(apply: Callable[[Chunk], Result], chunk: Chunk) -> Result:
    return apply(chunk)


def _next(ray: Any, waiting: list[Any]) -> Any:
    """The next result to be ready, taken off the list."""
    (ready,), _ = ray.wait(waiting, num_returns=1)
    waiting.remove(ready)
    try:
        return ray.get(ready)
    except ray.exceptions.RayTaskError as error:
        cause = error.cause
        raise cause if isinstance(cause, HarnessError) else error from None
    except ray.exceptions.RayError as error:
        raise ResourceError(f"a worker could not finish: {type(error).__name__}") from None
