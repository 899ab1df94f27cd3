"""The command line: parse, call, print, exit code. Nothing else.

Commands import what they need when they run, so that ``harness leaderboard`` starts without torch and Ray.
Exit codes: 0 done, 1 done with something to look at, 2 an error a user can mend, 130 stopped by Ctrl-C.
"""

from harness.cli.app import main

__all__ = ["main"]
