"""`reconciler simulate`, but no longer than whoever started it lives: it ends when its standard input does."""

from __future__ import annotations

import os
import signal
import sys
import threading

from reconciler.cli import main


def _end_with_input() -> None:
    sys.stdin.buffer.read()
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    threading.Thread(target=_end_with_input, daemon=True).start()
    sys.argv[1:1] = ["simulate"]
    main()
