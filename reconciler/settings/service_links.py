"""Variables that Kubernetes and Docker set for other services, which are no settings of ours.

Kubernetes sets some in each pod for each Service of the namespace, and Docker's old links for each linked container.
The names start with the service's name, so that a service called "reconciler" or "reconciler-svc" gives names that
look like settings. Name and value must both have the documented shape; else it is a slip, and an error.
"""

from __future__ import annotations

import ipaddress
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_SERVICE = r"RECONCILER(?:_[A-Z0-9]+)*?"
_PORT = rf"{_SERVICE}_PORT_\d{{1,5}}_(?:TCP|UDP|SCTP)"


def _is_address(value: str) -> bool:
    try:
        ipaddress.ip_address(value.removeprefix("[").removesuffix("]"))
    except ValueError:
        return False
    return True


def _is_port(value: str) -> bool:
    return re.fullmatch(r"[0-9]{1,5}", value) is not None


def _is_url(value: str) -> bool:
    """As tcp://10.0.0.1:9464."""
    protocol, _, rest = value.partition("://")
    address, _, port = rest.rpartition(":")
    return protocol in {"tcp", "udp", "sctp"} and _is_address(address) and _is_port(port)


def _is_link_name(value: str) -> bool:
    return re.fullmatch(r"/[\w.-]+/[\w.-]+", value) is not None


#: Pattern of the name -> whether a value is one of that kind.
_SHAPES: Mapping[str, Callable[[str], bool]] = {
    rf"{_SERVICE}_SERVICE_HOST": _is_address,
    rf"{_SERVICE}_SERVICE_PORT(_[A-Z0-9_]+)?": _is_port,
    rf"{_SERVICE}_PORT": _is_url,
    _PORT: _is_url,
    rf"{_PORT}_PROTO": lambda value: value in {"tcp", "udp", "sctp"},
    rf"{_PORT}_PORT": _is_port,
    rf"{_PORT}_ADDR": _is_address,
    # Docker alone: /our-container/their-name.
    rf"{_SERVICE}_NAME": _is_link_name,
}


def service_links(environment: Mapping[str, str]) -> set[str]:
    """Return the names of the variables that Kubernetes or Docker has set for a service."""
    found = {
        name
        for name, value in environment.items()
        if any(re.fullmatch(pattern, name) and fits(value) for pattern, fits in _SHAPES.items())
    }
    # Docker also repeats the environment of a linked container, after the name of the link.
    links = {name.removesuffix("_NAME") for name in found if name.endswith("_NAME")}
    return found | {name for name in environment if name.partition("_ENV_")[0] in links and "_ENV_" in name}
