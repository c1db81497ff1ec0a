"""What the program itself writes into README.md: its help, and the transcript of its demo.

`make docs` puts both there; `test_docs.py` holds the page to them. Times of day, seconds and ports differ from run to
run: where nothing else changed, the page stays as it is.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "README.md"
#: Marker -> the command whose output stands below it.
BLOCKS = {
    "transcript": ("demo", "--companies", "200", "--contacts", "1000"),
    "help": ("--help",),
}
_WIDTH = 100
_CHANGING = [
    (re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d"), "<moment>"),
    (re.compile(r"\d+\.\d s\b"), "<seconds> s"),
    (re.compile(r"(127\.0\.0\.1):\d+"), r"\1:<port>"),
]


def output(arguments: tuple[str, ...]) -> str:
    """Return what the program prints, in a process that knows nothing of this machine's terminal and settings."""
    environment = {"PATH": os.environ["PATH"], "TZ": "UTC", "COLUMNS": str(_WIDTH), "PYTHONUTF8": "1"}
    environment["PYTHONPATH"] = str(ROOT)  # the program beside the page, whichever is installed
    command = [sys.executable, "-c", "from reconciler.cli.app import main; main()", *arguments]
    return subprocess.run(command, check=True, capture_output=True, encoding="utf-8", env=environment).stdout


def normal(text: str) -> str:
    """Return the text without what differs from run to run."""
    for pattern, word in _CHANGING:
        text = pattern.sub(word, text)
    return text


def written(text: str, marker: str, shown: str) -> str:
    """Return the page with this output below the marker; the page as it is where only times differ."""
    command = " ".join(("reconciler", *BLOCKS[marker]))
    block = f"```console\n$ {command}\n{shown.rstrip()}\n```\n"
    before, begin, rest = re.split(rf"(<!-- {marker}: .*? -->\n)", text, maxsplit=1)
    old, end, after = re.split(rf"(<!-- end of {marker} -->\n)", rest, maxsplit=1)
    return text if normal(old) == normal(block) else before + begin + block + end + after


def main() -> None:
    """Put both blocks into the page."""
    text = PAGE.read_text(encoding="utf-8")
    for marker, arguments in BLOCKS.items():
        text = written(text, marker, output(arguments))
    PAGE.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
