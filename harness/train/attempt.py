"""An attempt that always ends in one TrialEnd: whatever a trial raises becomes a state with a reason."""

from __future__ import annotations

import gc
import os
import socket
import traceback
from collections.abc import Callable, Generator
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from typing import Any

import torch

from harness import __version__
from harness.contracts.choices import Record, recording
from harness.contracts.registry import load_plugins
from harness.errors import DataError, HarnessError, ResourceError, StoreError, StudyFileError, TrialError
from harness.layers.malloc import keep_freed_memory, release_freed_memory
from harness.neurons.kernels import choice
from harness.train import metadata
from harness.train.feed import died
from harness.train.loop import TrialLoop
from harness.train.peak import Peak
from harness.train.probes import ASSUMPTIONS
from harness.train.task import ENVIRONMENT, OUT_OF_MEMORY, Task
from harness.trial import Report, State, TrialEnd

_DEVICE_FULL = ("CUDA out of memory", "CUDNN_STATUS_ALLOC_FAILED", "CUBLAS_STATUS_ALLOC_FAILED")
_HOST_FULL = ("can't allocate memory", "Cannot allocate memory")


def run_attempt(
    task: Task, make: Callable[[Task, torch.device], TrialLoop] = TrialLoop
) -> Generator[Report, bool, TrialEnd]:
    """Run one attempt; yields the rows of each epoch, is sent whether to go on, returns how it ended.

    Never raises for what happens inside a trial. What is wrong with the machine (missing or other data, a
    package that is not installed, no CUDA where a GPU was asked for, a results folder that cannot be written)
    ends INTERRUPTED with reason ``environment``: it says nothing of the trial.
    """
    begun = datetime.now(UTC)
    device, peak, record = torch.device("cpu"), None, Record(given=dict(task.choices))
    loop: TrialLoop | None = None
    try:
        device = clean_device(task)
        peak = Peak(device)
        record.aside = peak.aside
        load_plugins(task.plugins)
        with recording(record):
            loop = make(task, device)
            loop.peak = peak
        end = yield from _with_machine(loop.run(), record, partial(_machine, task, device, peak, record))
    except (StoreError, DataError, ResourceError, StudyFileError) as error:
        end = TrialEnd(State.INTERRUPTED, ENVIRONMENT, str(error))
    except TrialError as error:
        other_data = error.reason == "data"
        state = State.INTERRUPTED if other_data else State.FAILED
        end = TrialEnd(state, ENVIRONMENT if other_data else error.reason, str(error))
    except HarnessError as error:
        end = TrialEnd(State.FAILED, "refused", str(error))
    except ImportError as error:
        end = TrialEnd(State.INTERRUPTED, ENVIRONMENT, _line(error))
    except Exception as error:  # a trial is code of strangers: whatever it raises is its row's reason
        end = _failure(error)
    finally:
        if loop is not None:
            loop.close()
    machine = {**_machine(task, device, peak, record), "started_at": begun}
    if peak is not None:
        peak.close()
    return replace(end, metadata={**machine, **end.metadata})


def _failure(error: Exception) -> TrialEnd:
    """FAILED with its reason; what lacked memory says where, a lost process that read data is no failure."""
    gone = died(error)
    if gone:
        return TrialEnd(State.INTERRUPTED, ENVIRONMENT, gone)
    where = _full(error)
    if where is None:
        trace = traceback.format_exc(limit=-6)
        return TrialEnd(State.FAILED, "error", _line(error), metadata={"traceback": trace})
    return TrialEnd(State.FAILED, OUT_OF_MEMORY, _line(error), metadata={"memory": where})


def _full(error: Exception) -> str | None:
    """``device`` or ``host`` if an error says that memory ran out there."""
    text = str(error)
    if isinstance(error, torch.OutOfMemoryError) or any(words in text for words in _DEVICE_FULL):
        return "device"
    full = isinstance(error, MemoryError) or any(words in text for words in _HOST_FULL)
    return "host" if full else None


def _with_machine(
    run: Generator[Report, bool, TrialEnd], record: Record, machine: Callable[[], dict[str, Any]]
) -> Generator[Report, bool, TrialEnd]:
    """The same reports, their ends completed by what the machine is and gave so far."""
    go_on: bool | None = None
    while True:
        try:
            with recording(record):
                report = next(run) if go_on is None else run.send(go_on)
        except StopIteration as stop:
            end: TrialEnd = stop.value
            return end
        so_far = replace(report.so_far, metadata={**machine(), **report.so_far.metadata})
        go_on = yield replace(report, so_far=so_far)


def _line(error: BaseException) -> str:
    first = (str(error).strip().splitlines() or [""])[0]
    return f"{type(error).__name__}: {first}"[:500]


def clean_device(task: Task) -> torch.device:
    """A worker as if new: threads, generators, memory. Reused workers keep nothing of the trial before.

    Raises ResourceError where the task holds a GPU and torch sees none.
    """
    gc.collect()
    gc.freeze()  # what is alive between trials are modules: collecting costs 0.3 s a trial with them
    torch.set_num_threads(max(1, task.resources.cpus))
    torch.set_default_dtype(torch.float32)
    torch.manual_seed(0)
    if task.resources.gpus > 0 and not task.logical_gpus and not torch.cuda.is_available():
        build = "was built without CUDA" if torch.version.cuda is None else "finds no CUDA device"
        raise ResourceError(
            f"the trial holds {task.resources.gpus:g} GPU, and torch {torch.__version__} {build} on "
            f"{socket.gethostname()}. Install CUDA there or ask gpus: 0."
        )
    if not (torch.cuda.is_available() and task.resources.gpus > 0):
        keep_freed_memory()
        release_freed_memory()  # else the next trial's peak hides in what this one left
        return torch.device("cpu")
    device = torch.device("cuda", 0)
    torch.cuda.empty_cache()
    share = 1.0 if task.exclusive else min(1.0, task.resources.gpus)
    torch.cuda.set_per_process_memory_fraction(share, device)
    torch.backends.cudnn.deterministic = True
    torch.backends.cudnn.benchmark = False
    return device


def _machine(task: Task, device: torch.device, peak: Peak | None, record: Record) -> dict[str, Any]:
    return {
        "device": device.type,
        "device_name": metadata.device_name(device),
        "cpus": task.resources.cpus,
        "gpu_share": task.resources.gpus,
        "peak_mib": None if peak is None else peak.mib(),
        "pid": os.getpid(),
        "node": socket.gethostname(),
        "threads": torch.get_num_threads(),
        "neurons": choice.used(record),
        "choices": dict(record.taken),
        "packages": metadata.packages(),
        "git": metadata.git_state(),
        "harness": __version__,
        "code": metadata.code_version(),
        "energy_assumptions": ASSUMPTIONS,
    }
