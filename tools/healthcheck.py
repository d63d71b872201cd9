"""Is the server on this machine answering?  Exit code 0 if so: the container's health check."""

from __future__ import annotations

import http.client
import sys

import settings as configuration
from errors import BadSettings

TIMEOUT_S = 4.0


def main() -> int:
    try:
        connection = http.client.HTTPConnection(
            "127.0.0.1", configuration.load().port, timeout=TIMEOUT_S
        )
        connection.request("GET", "/health")
        answer = connection.getresponse()
        return 0 if (answer.status, answer.read()) == (200, b"ok") else 1
    except (OSError, http.client.HTTPException, BadSettings):
        return 1


if __name__ == "__main__":
    sys.exit(main())
