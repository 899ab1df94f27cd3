"""The ``harness`` application and the one place where errors become lines and exit codes."""

from __future__ import annotations

import os
import signal
import sys
from types import FrameType

import typer

from harness import __version__
from harness.cli import data, results, simulate, studies
from harness.cli.console import console, stderr
from harness.errors import HarnessError

app = typer.Typer(
    name="harness",
    help="Hyperparameter search and honest benchmarks for spiking neural networks.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
studies.register(app)
results.register(app)
simulate.register(app)
app.add_typer(data.app, name="data")


@app.callback(invoke_without_command=True)
def _root(version: bool = typer.Option(False, "--version", help="Print the version and stop.")) -> None:
    if version:
        console.print(f"harness {__version__}")
        raise typer.Exit


def main() -> None:
    """Run the command line and exit."""
    signal.signal(signal.SIGTERM, _terminate)
    try:
        app()
    except HarnessError as error:
        stderr.print(f"error: {error}", highlight=False)
        sys.exit(2)
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:  # "harness status | head"
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)


def _terminate(_signal: int, _frame: FrameType | None) -> None:
    """SIGTERM (a scheduler's preemption) stops as Ctrl-C does."""
    raise KeyboardInterrupt
