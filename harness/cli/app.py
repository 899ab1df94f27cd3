"""The ``harness`` application and the one place where errors become lines and exit codes."""

from __future__ import annotations

import logging
import os
import signal
import sys
from contextlib import suppress
from types import FrameType

import typer

from harness import __version__
from harness.cli import boards, data, models, new, results, simulate, studies, trackers
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
boards.register(app)
results.register(app)
models.register(app)
simulate.register(app)
trackers.register(app)
app.add_typer(data.app, name="data")
app.add_typer(new.app, name="new")
data.app.command(epilog="Example: harness data inspect my.npz")(new.inspect)


@app.callback(invoke_without_command=True)
def _root(version: bool = typer.Option(False, "--version", help="Print the version and stop.")) -> None:
    if version:
        console.print(f"harness {__version__}")
        raise typer.Exit


def main() -> None:
    """Run the command line and exit."""
    if sys.platform == "win32":
        sys.exit("error: Windows is not supported: run harness on Linux or macOS, or inside WSL 2.")
    signal.signal(signal.SIGTERM, _terminate)
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # "nohup harness ..." stays what it is
        signal.signal(signal.SIGHUP, _terminate)
    _show_notices()
    try:
        app()
    except HarnessError as error:
        with suppress(OSError):  # a terminal that was closed
            stderr.print(f"error: {error}", highlight=False)
        sys.exit(2)
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:  # "harness status | head"
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)


def _terminate(_signal: int, _frame: FrameType | None) -> None:
    """SIGTERM (a scheduler's preemption) and SIGHUP (a closed terminal) stop as Ctrl-C does."""
    raise KeyboardInterrupt


class _Notices(logging.Handler):
    """What an engine notices (a node lost, a node left out), a line each on stderr."""

    def emit(self, record: logging.LogRecord) -> None:
        """Print; nobody may be there to read."""
        with suppress(OSError):
            stderr.print(record.getMessage(), highlight=False)


def _show_notices() -> None:
    logger = logging.getLogger("harness")
    logger.handlers, logger.propagate = [_Notices()], False
    logger.setLevel(logging.INFO)
