"""The settings: one frozen value, made once at the start.

From weak to strong: the defaults below, the TOML file, secret files, the environment, the command line's flags
(`reconciler.settings.loading` collects them). `config.example.toml` documents every one; a test compares the two.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from pathlib import Path  # noqa: TC003 - pydantic reads the annotations
from typing import TYPE_CHECKING, Annotated, Any, Literal
from urllib.parse import unquote, urlsplit

from pydantic import (
    BeforeValidator,
    Field,
    SecretStr,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_settings import BaseSettings, NoDecode, PydanticBaseSettingsSource, SettingsConfigDict

from reconciler.errors import UsageError
from reconciler.settings import loading as sources
from reconciler.settings.address import Webhook, parse_webhook
from reconciler.settings.journal_url import DEFAULT_URL, named_path, parse_url
from reconciler.settings.policy import Guard, Notify, Policy, Section, split_commas

if TYPE_CHECKING:
    from collections.abc import Mapping


#: What may be the token in an address that could not be parsed, wherever it stands.
_LIKE_A_CODE = re.compile(r"[A-Za-z0-9_-]{12,}")
#: A host as it stands in an address, or an IPv4 address.
_HOST_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9_.-]{0,251}[A-Za-z0-9])?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The portal's meters (F5). None: no such limit."""

    #: Requests that the leaky bucket holds.
    burst: float | None = None
    #: Requests that drain from it in a second.
    per_second: float | None = None
    #: Seconds that one method may use in ten minutes.
    operating_seconds: float | None = None


_NAMED_LIMITS = {
    "cloud": {"burst": 50, "per_second": 2, "operating_seconds": 480},
    "enterprise": {"burst": 250, "per_second": 5, "operating_seconds": 480},
    "self-hosted": {},
}


def _by_name(value: object) -> object:
    if not isinstance(value, str):
        return value
    if value.strip().lower() not in _NAMED_LIMITS:
        raise ValueError(
            "should be 'cloud', 'enterprise', 'self-hosted' or a table {burst, per_second, operating_seconds}"
        )
    return _NAMED_LIMITS[value.strip().lower()]


def _strip(value: object) -> object:
    return value.strip() if isinstance(value, str) else value


def _lower(value: object) -> object:
    return value.strip().lower() if isinstance(value, str) else value


class LimitsTable(Section):
    """`portal.limits`, its name resolved to numbers."""

    burst: Annotated[float, Field(ge=2)] | None = None
    per_second: Annotated[float, Field(ge=0.01)] | None = None
    #: Ten seconds of it are never used, so less than that would stop all work.
    operating_seconds: Annotated[float, Field(gt=10)] | None = None

    @model_validator(mode="after")
    def _bucket_is_whole(self) -> LimitsTable:
        if (self.burst is None) != (self.per_second is None):
            raise ValueError("should have both burst and per_second, or neither")
        return self


class Portal(Section):
    """The portal and the way to it."""

    webhook_url: SecretStr | None = None
    name: Annotated[str, Field(min_length=1, max_length=100)] | None = None
    limits: Annotated[LimitsTable, NoDecode, BeforeValidator(_by_name)] = LimitsTable(**_NAMED_LIMITS["cloud"])
    margin: float = Field(default=0.2, ge=0, le=0.9)
    proxy: SecretStr | None = None
    ca_bundle: Path | None = None
    # NoDecode: in the environment the hosts stand with commas between, not as JSON.
    http_hosts: Annotated[tuple[str, ...], NoDecode, BeforeValidator(split_commas)] = ()
    connect_timeout: float = Field(default=10.0, gt=0, le=300)
    read_timeout: float = Field(default=75.0, gt=0, le=600)
    body_limit: int = Field(default=512_000, ge=10_000)
    answer_limit: int = Field(default=50_000_000, ge=1_000_000)

    @field_validator("proxy")
    @classmethod
    def _proxy_is_http(cls, proxy: SecretStr | None) -> SecretStr | None:
        if proxy is not None:
            try:
                url = urlsplit(proxy.get_secret_value())
                usable = url.scheme in {"http", "https"} and bool(url.hostname) and url.port != 0
            except ValueError:
                usable = False
            if not usable:
                raise ValueError("should be an address like http://proxy.example:3128, or with user:password@")
        return proxy

    @field_validator("ca_bundle")
    @classmethod
    def _ca_bundle_loads(cls, path: Path | None) -> Path | None:
        if path is not None:
            import ssl  # noqa: PLC0415 - most portals have a public certificate and never need it here

            try:
                ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cafile=path)
            except ssl.SSLError:
                raise ValueError("should be a PEM file with at least one certificate") from None
            except OSError as error:
                raise ValueError(f"should be a file that can be read ({error.strerror})") from None
        return path

    @property
    def resolved_limits(self) -> Limits:
        """The limits as numbers, whether a name or a table was given."""
        return Limits(**self.limits.model_dump())

    def webhook(self) -> Webhook:
        """Return the parsed address. Raises `UsageError` where there is none or a wrong one."""
        if self.webhook_url is None or not (text := self.webhook_url.get_secret_value().strip()):
            raise UsageError(
                "No webhook address is set: give it as RECONCILER_PORTAL__WEBHOOK_URL in the environment, as "
                "webhook_url under [portal] in config.toml, or in a secret file portal__webhook_url "
                "(`reconciler demo` needs none)."
            )
        return parse_webhook(text, self.http_hosts)

    @property
    def key(self) -> str:
        """What the journal calls this portal: its name, or the host of the address, with a port of its own."""
        return self.name or self.webhook().name

    def secrets(self) -> tuple[str, ...]:
        """Return what must never be written anywhere, for the `Redactor`; also of an address that cannot be used."""
        found = []
        if self.webhook_url is not None:
            found.append(self.webhook_url.get_secret_value().strip())
            try:
                found.append(self.webhook().token)
            except UsageError:
                found += _LIKE_A_CODE.findall(found[0])
        if self.proxy is not None:
            password = urlsplit(self.proxy.get_secret_value()).password or ""
            found += [password, unquote(password)]
        return tuple(filter(None, found))


class Retry(Section):
    """How stubborn a request is."""

    attempts: int = Field(default=6, ge=1, le=100)
    max_seconds: float = Field(default=300.0, ge=0)


class Write(Section):
    """How updates travel."""

    batch_max: int = Field(default=23, ge=1, le=25)
    batch_start: int = Field(default_factory=lambda known: min(10, known.get("batch_max", 10)), ge=1)
    target_seconds: float = Field(default=15.0, gt=0, le=50)
    conditional: bool = True

    @field_validator("batch_start")
    @classmethod
    def _start_fits(cls, start: int, info: Any) -> int:
        if start > info.data.get("batch_max", start):
            raise ValueError("should not be above write.batch_max")
        return start


class Sweep(Section):
    """How a portal is read."""

    strategy: Annotated[Literal["auto", "drift", "pages"], BeforeValidator(_lower)] = "auto"
    lanes: int = Field(default=3, ge=1, le=8)
    relist_hours: float = Field(default=6.0, gt=0, le=168)


class Service(Section):
    """The schedule."""

    #: At least a second.
    interval_minutes: float = Field(default=10.0, ge=1 / 60, le=1440)


class Web(Section):
    """The pages of the service: status, health, metrics."""

    enabled: bool = True
    address: Annotated[str, BeforeValidator(_strip)] = "127.0.0.1"
    #: 0: a free one, which the log tells.
    port: int = Field(default=9464, ge=0, le=65_535)
    # NoDecode: in the environment the hosts stand with commas between, not as JSON.
    allowed_hosts: Annotated[tuple[str, ...], NoDecode, BeforeValidator(split_commas)] = ()

    @field_validator("address")
    @classmethod
    def _is_an_address(cls, address: str) -> str:
        try:
            ipaddress.ip_address(address)
        except ValueError:
            raise ValueError("should be an IP address of this machine, as 127.0.0.1 or 0.0.0.0 for all") from None
        return address

    @field_validator("allowed_hosts")
    @classmethod
    def _are_names(cls, hosts: tuple[str, ...]) -> tuple[str, ...]:
        if any(not _HOST_NAME.fullmatch(host) for host in hosts):
            raise ValueError("should be host names without scheme and port, as reconciler.example")
        return hosts


class Journal(Section):
    """The journal database."""

    url: str = DEFAULT_URL
    #: More than an approval lasts, and than flapping looks back.
    keep_days: float = Field(default=365.0, ge=100, le=36_500)

    @field_validator("url")
    @classmethod
    def _is_an_sqlite_file(cls, url: str) -> str:
        parse_url(url)
        return url

    @property
    def path(self) -> Path:
        """The database file, absolute. Raises `UsageError` for the home of a user who does not exist."""
        return named_path(self.url)

    @property
    def is_there(self) -> bool:
        """Whether there is a journal. An empty file is none; one that we may not look at is reported when opened."""
        try:
            return self.path.stat().st_size > 0
        except (FileNotFoundError, NotADirectoryError):
            return False
        except OSError:
            return True


class Log(Section):
    """What is logged, and in which form."""

    level: Annotated[Literal["debug", "info", "warning", "error"], BeforeValidator(_lower)] = "info"
    format: Annotated[Literal["auto", "console", "json"], BeforeValidator(_lower)] = "auto"


class Settings(BaseSettings):
    """All settings. Making one reads neither files nor environment: `load_settings` does, in its order."""

    model_config = SettingsConfigDict(
        frozen=True, extra="forbid", hide_input_in_errors=True, env_prefix=sources.PREFIX, env_nested_delimiter="__"
    )

    portal: Portal = Portal()
    retry: Retry = Retry()
    sweep: Sweep = Sweep()
    write: Write = Write()
    policy: Policy = Policy()
    guard: Guard = Guard()
    notify: Notify = Notify()
    service: Service = Service()
    web: Web = Web()
    journal: Journal = Journal()
    log: Log = Log()

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003 - the hook's signature
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return (init_settings,)


def load_settings(path: Path | None, overrides: Mapping[str, Any] | None = None) -> Settings:
    """Read the settings from everywhere they may stand.

    `path` None: RECONCILER_CONFIG, else ./config.toml where there is one. `overrides` are the flags, nested
    (`{"log": {"level": "debug"}}`) or dotted (`{"log.level": "debug"}`); None means not given.
    Raises `UsageError`: one sentence with the setting's name, where it stands and the next step; never its value.
    """
    layers = sources.collect(Settings, path, overrides or {})
    try:
        return Settings(**sources.merged(layers))
    except ValidationError as error:
        # Neither told nor kept as the cause: its `errors()` hold the values.
        raise UsageError(sources.sentence(error, layers)) from None
