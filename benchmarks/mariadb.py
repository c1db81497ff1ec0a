"""A MariaDB server of our own, on a socket in a temporary folder, and statements measured in it.

Needs Debian's package `mariadb-server`; nothing of a server that runs already is used or changed.
"""

from __future__ import annotations

import getpass
import shutil
import statistics
import subprocess
import tempfile
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

#: Programs of the package.
SERVER, INSTALL, CLIENT = "mariadbd", "mariadb-install-db", "mariadb"
#: Seconds until a server that does not start is given up.
START_SECONDS = 60
#: How often a statement is timed, after a first time that fills the cache.
REPEATS = 3
_DATABASE = "portal"
_MARK = "@@"


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """What one statement took."""

    #: Rows and index entries that the server read for it (the sum of Handler_read%).
    examined: int
    milliseconds: float
    #: The index by which the first table is read; None: the table itself.
    index: str | None


class MariaDb:
    """A database behind a socket."""

    def __init__(self, socket: Path) -> None:
        self._client = [CLIENT, "--no-defaults", f"--socket={socket}", "--batch", "--raw", "--skip-column-names"]
        self._client += ["--local-infile=1", "--unbuffered"]

    def run(self, script: str, database: str = _DATABASE) -> list[str]:
        """Run statements; return the lines of their answers."""
        client = [*self._client, *([database] if database else [])]
        ended = subprocess.run(client, input=script, text=True, capture_output=True, check=False)
        if ended.returncode:
            raise SystemExit(f"MariaDB refuses: {ended.stderr.strip()}")
        return ended.stdout.splitlines()

    @property
    def version(self) -> str:
        """What the server calls itself."""
        return self.run("SELECT VERSION();")[0].partition("-")[0]

    def fill(self, table: str, columns: Iterable[str], rows: Iterable[Sequence[object]], folder: Path) -> None:
        """Put rows into a table, and let the server count how its values are spread."""
        file = folder / f"{table}.tsv"
        with file.open("w", encoding="utf-8") as stream:
            for row in rows:
                values = (r"\N" if value is None else str(value).replace("\\", " ").replace("\t", " ") for value in row)
                stream.write("\t".join(values) + "\n")
        self.run(f"LOAD DATA LOCAL INFILE '{file}' INTO TABLE {table} CHARACTER SET utf8mb4 ({', '.join(columns)});")
        file.unlink()
        self.run(f"ANALYZE TABLE {table};")

    def measure(self, sql: Sequence[str]) -> list[Measured]:
        """Run each statement with a warm cache, and count what it reads."""
        script = []
        for number, statement in enumerate(sql):
            script += [f"SELECT '{_MARK}', 'statement', {number}", statement, "FLUSH STATUS", statement]
            script += ["SHOW SESSION STATUS LIKE 'Handler_read%'"]
            for _ in range(REPEATS):
                script += ["SET @began = SYSDATE(6)", statement]
                script += [f"SELECT '{_MARK}', 'time', TIMESTAMPDIFF(MICROSECOND, @began, SYSDATE(6))"]
            script += [f"SELECT '{_MARK}', 'explain', 0", f"EXPLAIN {statement}"]
        return [_measured(part) for part in _parts(self.run(";\n".join(script) + ";\n"))]


def _parts(lines: Sequence[str]) -> Iterator[list[list[str]]]:
    part: list[list[str]] = []
    for line in lines:
        cells = line.split("\t")
        if cells[:2] == [_MARK, "statement"] and part:
            yield part
            part = []
        part.append(cells)
    yield part


def _measured(part: Sequence[Sequence[str]]) -> Measured:
    examined = sum(int(cells[1]) for cells in part if cells[0].startswith("Handler_read_"))
    times = [int(cells[2]) / 1000 for cells in part if cells[:2] == [_MARK, "time"]]
    # id, select_type, table, type, possible_keys, key, ...
    plan = part[[cells[:2] for cells in part].index([_MARK, "explain"]) + 1]
    index = plan[5] if len(plan) > 5 and plan[5] != "NULL" else None  # noqa: PLR2004
    return Measured(examined=examined, milliseconds=statistics.median(times), index=index)


def missing() -> list[str]:
    """Return the programs of the package that are not here."""
    return [program for program in (SERVER, INSTALL, CLIENT) if _program(program) is None]


@contextmanager
def running(tables: str, settings: Mapping[str, str]) -> Iterator[tuple[MariaDb, Path]]:
    """Start a server with these tables; the folder is for files of the caller, and goes with the server."""
    with tempfile.TemporaryDirectory(prefix="mariadb-") as name:
        folder = Path(name)
        user = f"--user={getpass.getuser()}"
        prepared = [_program(INSTALL) or INSTALL, "--no-defaults", f"--datadir={folder}/data", user]
        subprocess.run([*prepared, "--skip-test-db"], check=True, capture_output=True)
        socket, log = folder / "socket", folder / "log"
        command = [_program(SERVER) or SERVER, "--no-defaults", f"--datadir={folder}/data", f"--socket={socket}", user]
        command += ["--skip-networking", "--skip-grant-tables", "--local-infile=1", f"--pid-file={folder}/pid"]
        command += [f"--{option}={value}" for option, value in settings.items()]
        with log.open("wb") as output:
            process = subprocess.Popen(command, stdout=output, stderr=output)
        try:
            database = MariaDb(socket)
            _wait(process, socket, log)
            database.run(f"CREATE DATABASE {_DATABASE} CHARACTER SET utf8mb4;", "")
            database.run(tables)
            yield database, folder
        finally:
            process.terminate()
            try:
                process.wait(timeout=30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _wait(process: subprocess.Popen[bytes], socket: Path, log: Path) -> None:
    until = time.monotonic() + START_SECONDS
    ping = [CLIENT, "--no-defaults", f"--socket={socket}", "--execute", "SELECT 1"]
    while subprocess.run(ping, capture_output=True, check=False).returncode:
        if process.poll() is not None or time.monotonic() > until:
            raise SystemExit(f"MariaDB did not start:\n{log.read_text(errors='replace')[-2000:]}")
        time.sleep(0.1)


def _program(name: str) -> str | None:
    # Debian keeps a server where only root's path leads.
    return shutil.which(name) or shutil.which(name, path="/usr/sbin:/usr/local/sbin")
