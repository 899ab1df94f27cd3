"""What an error of Ray means: a process, its node, or memory. Every kind of Ray's error is accounted for."""

from __future__ import annotations

_NODE_WORDS = ("its node has died", "node has died", "node was unexpectedly", "Owner's node has crashed")


def is_of_node(error: BaseException) -> bool:
    """Whether a node died, and its worker with it."""
    import ray.exceptions as of_ray

    if isinstance(error, of_ray.NodeDiedError):
        return True
    return isinstance(error, of_ray.RayError) and any(words in str(error) for words in _NODE_WORDS)


def is_memory(error: BaseException) -> bool:
    """Whether Ray's memory monitor ended the worker."""
    import ray.exceptions as of_ray

    return isinstance(error, of_ray.OutOfMemoryError)


def is_process(error: BaseException) -> bool:
    """Whether a worker's process ended, rather than an error in what it ran."""
    import ray.exceptions as of_ray

    if isinstance(error, of_ray.RayActorError):
        return not error.actor_init_failed
    gone = (of_ray.OutOfMemoryError, of_ray.WorkerCrashedError, of_ray.LocalRayletDiedError)
    return isinstance(error, (*gone, of_ray.OwnerDiedError, of_ray.ObjectLostError))


def line(error: BaseException) -> str:
    """The one line of an error that says most: of a traceback the last, of Ray's lists the first."""
    import ray.exceptions as of_ray

    if isinstance(error, of_ray.RayTaskError) and getattr(error, "cause", None) is not None:
        return line(error.cause)
    lines = [text.strip() for text in str(error).splitlines() if text.strip()]
    if not lines:
        return type(error).__name__
    named = [text for text in lines if "Error:" in text and not text.startswith("ray")]
    if named:
        return named[-1][:400]
    ended = [text for text in lines if "exit" in text.lower() or "died" in text.lower()]
    return (ended or lines)[-1][:400]


def chain(error: BaseException | None) -> str:
    """All that an error and its causes say."""
    said = []
    while error is not None:
        said.append(str(error))
        error = error.__cause__ or error.__context__
    return "\n".join(said)
