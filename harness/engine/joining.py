"""Joining a Ray cluster that runs: is anybody there, whose is it, and which token does it ask for."""

from __future__ import annotations

import logging
import os
import pwd
import socket
from pathlib import Path

from harness.errors import ResourceError

log = logging.getLogger("harness.engine")
ANSWER_S = 5.0
TOKEN_VARIABLES = ("RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH")
DEFAULT_TOKEN = Path(".ray") / "auth_token"
_LISTENS = "0A"


def prepare(address: str) -> None:
    """Before Ray is asked: find who answers, say whose it is, and use the token that there is.

    Raises ResourceError within five seconds if nobody answers, or if a token file cannot be read.
    """
    host, port = _endpoint(address)
    try:
        socket.create_connection((host, port), timeout=ANSWER_S).close()
    except OSError as error:
        why = error.strerror or str(error)
        raise ResourceError(
            f"no Ray cluster at {host}:{port}: {why}. Start one there (ray start --head --port={port}), "
            "or name another --cluster."
        ) from None
    if address == "auto":
        log.info("using the Ray cluster at %s:%d, %s", host, port, _owner(port))
    _use_token()


def _endpoint(address: str) -> tuple[str, int]:
    found = address
    if address == "auto":
        found = os.environ.get("RAY_ADDRESS", "") or _recorded()
        if not found:
            raise ResourceError(
                "no Ray cluster runs on this machine. Start one (ray start --head), join one "
                "(ray start --address=HOST:6379), or name its address: --cluster HOST:PORT."
            )
    host, _, port = found.removeprefix("ray://").rpartition(":")
    if not host or not port.isdecimal():
        raise ResourceError(f"'{found}' is no address of a Ray cluster. Write HOST:PORT or ray://HOST:10001.")
    return host, int(port)


def _recorded() -> str:
    """Where ``ray start`` wrote down the address of this machine's cluster."""
    try:
        return (
            (Path(os.environ.get("RAY_TMPDIR", "/tmp")) / "ray" / "ray_current_cluster").read_text().strip()
        )
    except OSError:
        return ""


def _owner(port: int) -> str:
    """Whose process listens on a port of this machine, in words."""
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        try:
            lines = Path(table).read_text().splitlines()[1:]
        except OSError:
            continue
        for line in lines:
            fields = line.split()
            if fields[3] == _LISTENS and int(fields[1].rpartition(":")[2], 16) == port:
                uid = int(fields[7])
                try:
                    name = pwd.getpwuid(uid).pw_name
                except KeyError:
                    name = f"user {uid}"
                return "yours" if uid == os.getuid() else f"which belongs to {name}"
    return "on another machine"


def token_source() -> str:
    """Where a token was found, in words; "" if there is none. Raises ResourceError for an empty file."""
    if os.environ.get("RAY_AUTH_TOKEN"):
        return "RAY_AUTH_TOKEN"
    named = os.environ.get("RAY_AUTH_TOKEN_PATH")
    path = Path(named) if named else Path.home() / DEFAULT_TOKEN
    try:
        text = path.read_text().strip()
    except OSError as error:
        if named:
            raise ResourceError(f"RAY_AUTH_TOKEN_PATH: {path} cannot be read: {error.strerror}.") from None
        return ""
    if not text:
        raise ResourceError(
            f"the token file {path} is empty. Write what `ray get-auth-token` says on the head."
        )
    return str(path)


def _use_token() -> None:
    if "RAY_AUTH_MODE" not in os.environ and token_source():
        os.environ["RAY_AUTH_MODE"] = "token"


def refusal(address: str, error: BaseException) -> ResourceError:
    """Ray's error in one line, with what to do."""
    text = str(error)
    line = (text.strip().splitlines() or [type(error).__name__])[0]
    if not address:
        return ResourceError(f"Ray does not start on this machine: {line}")
    return ResourceError(f"no Ray cluster at {address}: {line}")
