"""A certificate for the embedded portal: an authority of its own, made anew each time and forgotten afterwards."""

from __future__ import annotations

import socket
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from cheroot.ssl.builtin import BuiltinSSLAdapter

from reconciler.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def certificate(host: str) -> Iterator[tuple[Path, BuiltinSSLAdapter]]:
    """Yield the file of the authority that a client must trust, and what makes the server speak TLS."""
    try:
        import trustme  # noqa: PLC0415 - an extra: plain HTTP must work without it
    except ImportError as missing:
        raise UsageError(
            "HTTPS needs the package trustme: pip install 'reconciler[simulator]', or serve plain HTTP."
        ) from missing
    names = {host, "localhost", "127.0.0.1", "::1", socket.gethostname()} - {""}
    authority = trustme.CA()
    server = authority.issue_cert(*sorted(names))
    with TemporaryDirectory(prefix="embedded-portal-") as folder:
        trusted, chain, key = (Path(folder, name) for name in ("authority.pem", "server.pem", "server.key"))
        authority.cert_pem.write_to_path(trusted)
        for number, blob in enumerate(server.cert_chain_pems):
            blob.write_to_path(chain, append=number > 0)
        server.private_key_pem.write_to_path(key)
        yield trusted, BuiltinSSLAdapter(str(chain), str(key))
