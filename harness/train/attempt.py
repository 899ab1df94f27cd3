"""An attempt that always ends in one TrialEnd: whatever a trial raises becomes a state with a reason."""

from __future__ import annotations

import gc
import os
import traceback
from collections.abc import Generator
from dataclasses import replace
from typing import Any

import torch

from harness.contracts.registry import load_plugins
from harness.errors import DataError, HarnessError, StoreError, TrialError
from harness.layers.malloc import keep_freed_memory
from harness.neurons.kernels import choice
from harness.train import metadata
from harness.train.loop import TrialLoop
from harness.train.probes import ASSUMPTIONS
from harness.train.task import Task
from harness.trial import Report, State, TrialEnd

OUT_OF_MEMORY = "out-of-memory"
ENVIRONMENT = "environment"


def run_attempt(task: Task) -> Generator[Report, bool, TrialEnd]:
    """Run one attempt; yields the rows of each epoch, is sent whether to go on, returns how it ended.

    Never raises for what happens inside a trial. What is wrong with the machine (missing data, a results
    folder that cannot be written) ends INTERRUPTED with reason ``environment``: it says nothing of the trial.
    """
    device = clean_device(task)
    try:
        load_plugins(task.plugins)
        loop = TrialLoop(task, device)
        end = yield from _with_machine(loop.run(), _machine(task, device))
    except (StoreError, DataError) as error:
        end = TrialEnd(State.INTERRUPTED, ENVIRONMENT, str(error))
    except TrialError as error:
        end = TrialEnd(State.FAILED, error.reason, str(error))
    except HarnessError as error:
        end = TrialEnd(State.FAILED, "refused", str(error))
    except (torch.OutOfMemoryError, MemoryError) as error:
        end = TrialEnd(State.FAILED, OUT_OF_MEMORY, _line(error))
    except Exception as error:  # a trial is code of strangers: whatever it raises is its row's reason
        trace = traceback.format_exc(limit=-6)
        end = TrialEnd(State.FAILED, "error", _line(error), metadata={"traceback": trace})
    return replace(end, metadata={**_machine(task, device), **end.metadata})


def _with_machine(
    run: Generator[Report, bool, TrialEnd], machine: dict[str, Any]
) -> Generator[Report, bool, TrialEnd]:
    """The same reports, their ends completed by what the machine is."""
    go_on = True
    try:
        report = next(run)
        while True:
            so_far = replace(report.so_far, metadata={**machine, **report.so_far.metadata})
            go_on = yield replace(report, so_far=so_far)
            report = run.send(go_on)
    except StopIteration as stop:
        end: TrialEnd = stop.value
        return end


def _line(error: BaseException) -> str:
    first = (str(error).strip().splitlines() or [""])[0]
    return f"{type(error).__name__}: {first}"[:500]


def clean_device(task: Task) -> torch.device:
    """A worker as if new: threads, generators, memory. Reused workers keep nothing of the trial before."""
    gc.collect()
    gc.freeze()  # what is alive between trials are modules: collecting costs 0.3 s a trial with them
    torch.set_num_threads(max(1, task.resources.cpus))
    torch.set_default_dtype(torch.float32)
    torch.manual_seed(0)
    choice.forget()
    if not (torch.cuda.is_available() and task.resources.gpus > 0):
        keep_freed_memory()
        return torch.device("cpu")
    device = torch.device("cuda", 0)
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats(device)
    share = 1.0 if task.exclusive else min(1.0, task.resources.gpus)
    torch.cuda.set_per_process_memory_fraction(share, device)
    torch.backends.cudnn.deterministic = True
    torch.backends.cudnn.benchmark = False
    return device


def _machine(task: Task, device: torch.device) -> dict[str, Any]:
    return {
        "device": device.type,
        "device_name": metadata.device_name(device),
        "cpus": task.resources.cpus,
        "gpu_share": task.resources.gpus,
        "peak_mib": metadata.peak_mib(device),
        "pid": os.getpid(),
        "threads": torch.get_num_threads(),
        "neurons": choice.used(),
        "packages": metadata.packages(),
        "git": metadata.git_state(),
        "energy_assumptions": ASSUMPTIONS,
    }
