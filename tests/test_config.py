"""Settings: where they come from, which one wins, and one clear sentence for each mistake."""

from __future__ import annotations

import os
import re
import ssl
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import trustme
from pydantic import BaseModel

from reconciler.errors import UsageError
from reconciler.settings import files as settings_files
from reconciler.settings.model import Limits, Settings, load_settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

EXAMPLE = Path(__file__).parents[1] / "config.example.toml"
TOKEN = "k3yk3yk3yk3yk3y0"
WITHOUT_DEFAULT = {
    "webhook_url": "portal",
    "name": "portal",
    "proxy": "portal",
    "ca_bundle": "portal",
    "successor": "policy",
    "leave_company_field": "policy",
    "leave_contact_field": "policy",
}
WEBHOOK = f"https://acme.bitrix24.com/rest/17/{TOKEN}/"


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No file, secret or variable of the machine takes part."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(settings_files, "DEFAULT_SECRETS", tmp_path / "run-secrets")
    for name in [*os.environ]:
        if name.upper().startswith("RECONCILER_") or name == "CREDENTIALS_DIRECTORY":
            monkeypatch.delenv(name)


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str], Path]:
    """Write a settings file and return its path."""

    def write(text: str) -> Path:
        path = tmp_path / "settings.toml"
        path.write_text(text, encoding="utf-8")
        return path

    return write


def leaves(values: BaseModel, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield every setting by its dotted name."""
    for name in type(values).model_fields:
        value = getattr(values, name)
        if isinstance(value, BaseModel) and f"{prefix}{name}" != "portal.limits":
            yield from leaves(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def test_the_example_loads_as_it_is_and_changes_nothing() -> None:
    """Whoever copies the example starts with the defaults."""
    assert load_settings(EXAMPLE) == Settings()


def test_the_example_names_every_setting_with_its_default(write: Callable[[str], Path], tmp_path: Path) -> None:
    """With its comment signs removed the example is complete, and equal to the defaults where it does not say none."""
    text = re.sub(r"(?m)^#(?=\w+ = )", "", EXAMPLE.read_text(encoding="utf-8"))
    bundle = tmp_path / "ca.pem"
    trustme.CA().cert_pem.write_to_path(str(bundle))
    text = text.replace("/etc/ssl/certs/internal-ca.pem", str(bundle))
    documented = {f"{table}.{name}" for table, content in tomllib.loads(text).items() for name in content}
    defaults = dict(leaves(Settings()))
    assert documented == set(defaults)
    # A successor goes with another rule than the default one, and fields of one's own have no default name.
    loaded = dict(leaves(load_settings(write(text.replace("successor = 17", "")))))
    without_default = {f"{WITHOUT_DEFAULT[name]}.{name}" for name in WITHOUT_DEFAULT}
    assert {name for name, value in defaults.items() if value is None} == without_default
    assert {n: v for n, v in loaded.items() if n not in without_default} == {
        n: v for n, v in defaults.items() if n not in without_default
    }
    # Types too: the example writes 10.0 where a fraction is allowed and 6 where it is not.
    for table, content in tomllib.loads(text).items():
        for name, value in content.items():
            if isinstance(value, int | float) and name not in WITHOUT_DEFAULT:
                assert type(value) is type(defaults[f"{table}.{name}"]), name


def test_the_example_explains_every_setting() -> None:
    """A comment stands above each, and says so where there is no default."""
    for block in EXAMPLE.read_text(encoding="utf-8").split("\n\n"):
        if named := re.search(r"(?m)^#(\w+) = ", block):
            assert re.search(r"(?m)^# .{20,}", block), named[1]
            assert ("Default: none" in block) == (named[1] in WITHOUT_DEFAULT), named[1]


def test_each_source_wins_over_the_weaker_ones(
    write: Callable[[str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Defaults, file, secret files, environment, flags."""
    names = ["connect_timeout", "read_timeout", "body_limit", "answer_limit", "margin"]
    path = write("[portal]\nread_timeout = 1\nbody_limit = 10_001\nanswer_limit = 1_000_001\nmargin = 0.11")
    secrets = tmp_path / "secrets"
    secrets.mkdir()
    for name, value in {"body_limit": "10002", "answer_limit": "1000002", "margin": "0.12"}.items():
        (secrets / f"portal__{name}").write_text(f"{value}\n", encoding="utf-8")
    monkeypatch.setenv("RECONCILER_SECRETS_DIR", str(secrets))
    monkeypatch.setenv("RECONCILER_PORTAL__ANSWER_LIMIT", "1000003")
    monkeypatch.setenv("RECONCILER_PORTAL__MARGIN", "0.13")
    portal = load_settings(path, {"portal": {"margin": 0.14, "name": None}, "log.level": "debug"}).portal
    assert [getattr(portal, name) for name in names] == [10, 1, 10_002, 1_000_003, 0.14]
    assert portal.name is None


def test_the_file_is_the_given_one_or_the_variable_s_or_the_one_here(
    write: Callable[[str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """--config, then RECONCILER_CONFIG, then ./config.toml, then none."""
    level = "[log]\nlevel = '{}'".format
    assert load_settings(None).log.level == "info"
    (tmp_path / "config.toml").write_text(level("error"), encoding="utf-8")
    assert load_settings(None).log.level == "error"
    (tmp_path / "other.toml").write_text(level("warning"), encoding="utf-8")
    monkeypatch.setenv("RECONCILER_CONFIG", "other.toml")
    assert load_settings(None).log.level == "warning"
    assert load_settings(write(level("debug"))).log.level == "debug"


@pytest.mark.parametrize("variable", ["RECONCILER_SECRETS_DIR", "CREDENTIALS_DIRECTORY", None])
def test_the_webhook_may_stand_in_a_secret_file(
    variable: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In our own folder, in systemd's, or where container engines mount secrets; other files there are left alone."""
    folder = tmp_path / "run-secrets"
    folder.mkdir()
    (folder / "portal__webhook_url").write_text(f"{WEBHOOK}\n", encoding="utf-8")
    for name in ("somebody-else-s", "name", "proxy.pem", "users"):
        (folder / name).write_bytes(b"\xff")
    (folder / "kubernetes.io").mkdir()
    (folder / "..data").mkdir()
    if variable:
        monkeypatch.setattr(settings_files, "DEFAULT_SECRETS", tmp_path / "nowhere")
        monkeypatch.setenv(variable, str(folder))
    assert load_settings(None).portal.webhook().token == TOKEN


def test_the_environment_is_read_leniently(monkeypatch: pytest.MonkeyPatch) -> None:
    """Names in any case, lists in two ways, empty means not set; a Service called reconciler is no mistake."""
    monkeypatch.setenv("reconciler_log__level", "WARNING")
    monkeypatch.setenv("RECONCILER_PORTAL__HTTP_HOSTS", "a.example, b.example")
    monkeypatch.setenv("RECONCILER_WEB__ALLOWED_HOSTS", '["c.example", "d.example"]')
    monkeypatch.setenv("RECONCILER_POLICY__LEAVE_COMPANIES", "[17,42]")
    monkeypatch.setenv("RECONCILER_PORTAL__PROXY", "")
    monkeypatch.setenv("RECONCILER_SERVICE_HOST", "10.0.0.1")
    monkeypatch.setenv("RECONCILER_PORT_8080_TCP_ADDR", "10.0.0.1")
    monkeypatch.setenv("RECONCILER_RETRY", '{"attempts": 2}')
    settings = load_settings(None)
    assert (settings.log.level, settings.portal.proxy, settings.retry.attempts) == ("warning", None, 2)
    assert settings.portal.http_hosts == ("a.example", "b.example")
    assert settings.web.allowed_hosts == ("c.example", "d.example")
    assert settings.policy.leave_companies == (17, 42)


@pytest.mark.parametrize(
    ("toml", "limits"),
    [
        ("", Limits(burst=50, per_second=2, operating_seconds=480)),
        ('limits = "Cloud"', Limits(burst=50, per_second=2, operating_seconds=480)),
        ('limits = "enterprise"', Limits(burst=250, per_second=5, operating_seconds=480)),
        ('limits = "self-hosted"', Limits()),
        ("limits = { operating_seconds = 420 }", Limits(operating_seconds=420)),
        ("limits = { burst = 9, per_second = 0.5 }", Limits(burst=9, per_second=0.5)),
    ],
)
def test_limits_by_name_or_number(toml: str, limits: Limits, write: Callable[[str], Path]) -> None:
    """A name stands for its numbers; what a table leaves out is unlimited."""
    assert load_settings(write(f"[portal]\n{toml}")).portal.resolved_limits == limits


def test_numbers_in_a_stronger_source_replace_a_name(
    write: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file says cloud, the environment counts."""
    monkeypatch.setenv("RECONCILER_PORTAL__LIMITS__OPERATING_SECONDS", "420")
    settings = load_settings(write('[portal]\nlimits = "cloud"'))
    assert settings.portal.resolved_limits == Limits(operating_seconds=420)


def test_a_small_batch_max_needs_no_second_setting(write: Callable[[str], Path]) -> None:
    """The first batch is never larger than the largest."""
    assert load_settings(write("[write]\nbatch_max = 4")).write.batch_start == 4


def test_the_portal_s_key_is_its_name_or_its_host() -> None:
    """The journal knows a portal by a name that survives a change of the address."""
    assert load_settings(None, {"portal.webhook_url": WEBHOOK}).portal.key == "acme.bitrix24.com"
    assert load_settings(None, {"portal.name": "head office"}).portal.key == "head office"


def test_the_journal_s_file() -> None:
    """Three slashes are relative, four start at the root."""
    assert Settings().journal.path == Path.cwd() / "reconciler.sqlite3"
    assert load_settings(None, {"journal.url": "sqlite:////data/r.sqlite3"}).journal.path == Path("/data/r.sqlite3")


def test_a_ca_bundle_is_read_where_keys_of_connections_cannot_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SSLKEYLOGFILE is not looked at: a folder that is missing says nothing about the bundle."""
    bundle = tmp_path / "ca.pem"
    trustme.CA().cert_pem.write_to_path(str(bundle))
    monkeypatch.setenv("SSLKEYLOGFILE", str(tmp_path / "missing" / "keys"))
    assert load_settings(None, {"portal.ca_bundle": bundle}).portal.ca_bundle == bundle


def test_a_ca_bundle_that_loads_is_accepted(tmp_path: Path) -> None:
    """A real certificate passes, and is what a TLS context takes."""
    bundle = tmp_path / "ca.pem"
    trustme.CA().cert_pem.write_to_path(str(bundle))
    settings = load_settings(None, {"portal.ca_bundle": bundle})
    assert settings.portal.ca_bundle == bundle
    assert ssl.create_default_context(cafile=settings.portal.ca_bundle).get_ca_certs()


def test_secrets_are_known_by_value_and_never_shown(capsys: pytest.CaptureFixture[str]) -> None:
    """The token and the proxy's password go to the redactor; printing the settings shows neither."""
    proxy = "http://me:p%40ssw0rd@proxy.example:3128"
    settings = load_settings(None, {"portal": {"webhook_url": WEBHOOK, "proxy": proxy}})
    assert {TOKEN, WEBHOOK, "p%40ssw0rd", "p@ssw0rd"} == set(settings.portal.secrets())
    print(settings, repr(settings), settings.model_dump())  # noqa: T201 - what somebody debugging does
    shown = capsys.readouterr().out
    assert TOKEN not in shown
    assert "ssw0rd" not in shown


def test_the_token_of_a_wrong_address_is_a_secret_too() -> None:
    """Redaction starts before the address is found to be wrong."""
    secrets = load_settings(None, {"portal.webhook_url": f"acme.example/{TOKEN}?x"}).portal.secrets()
    assert TOKEN in secrets
    assert Settings().portal.secrets() == ()
    assert load_settings(None, {"portal.proxy": "http://proxy.example:1"}).portal.secrets() == ()


def refusal(path: Path | None = None, flags: dict[str, Any] | None = None) -> str:
    """Load what must not load, and return the sentence."""
    with pytest.raises(UsageError) as raised:
        load_settings(path, flags).portal.webhook()
    assert raised.value.exit_code == 2
    assert raised.value.__cause__ is None
    assert TOKEN not in str(raised.value)
    assert "\n" not in str(raised.value)
    return str(raised.value)


@pytest.mark.parametrize("flags", [{}, {"portal.webhook_url": " "}])
def test_no_settings_at_all(flags: dict[str, Any]) -> None:
    """The way out names all three places, and the demo that needs none."""
    says = refusal(None, flags)
    for way in ("RECONCILER_PORTAL__WEBHOOK_URL", "config.toml", "portal__webhook_url", "reconciler demo"):
        assert way in says


@pytest.mark.parametrize(
    ("toml", "says"),
    [
        (
            f'[portal]\nwebhok_url = "{WEBHOOK}"',
            "`portal.webhok_url` (settings.toml): did you mean `portal.webhook_url`",
        ),
        ("[portl]\nmargin = 0.1", "`portl.margin` (settings.toml): did you mean `portal.margin`?"),
        ("journal_url = 5", "did you mean `journal.url`?"),
        ("interval_minutes = 5", "did you mean `service.interval_minutes`?"),
        ("[log]\nattemps = 5", "did you mean `retry.attempts`?"),
        ("[portal.limits]\nbursts = 5", "did you mean `portal.limits.burst`?"),
        ("[portal]\nzzz = 5", "config.example.toml lists them all."),
        (f'[portal]\n"{WEBHOOK}" = 5', "`portal.https://acme.bitrix24.com/rest/17/***/`"),
        ("a = 1\n_env_file = 2\nc = 3", "Unknown too: _env_file, c."),
        ("[portal]\nmargin.x = 1", "`portal.margin.x`"),
        ("retry = 3", "`retry` (settings.toml) should be a table of settings"),
    ],
)
def test_an_unknown_key_is_refused_with_the_nearest_known_one(
    toml: str, says: str, write: Callable[[str], Path]
) -> None:
    """Slips of the key, of the table, and a key in the wrong table."""
    write(toml)
    assert says in refusal(Path("settings.toml"))


@pytest.mark.parametrize(
    ("toml", "says"),
    [
        (f"[portal]\nwebhook_url = {WEBHOOK}", "settings.toml, line 2, column 15: "),
        ("[portal", "settings.toml, line 1, column 8: "),
        ('a = 1\nb = """\n', "settings.toml, line 3: "),
        ("a = 1\na = 2", "settings.toml, line 2, column 6: "),
    ],
)
def test_bad_toml_is_refused_with_line_and_column(toml: str, says: str, write: Callable[[str], Path]) -> None:
    """File, place and what to do; never the line itself."""
    write(toml)
    assert refusal(Path("settings.toml")).startswith(says)


@pytest.mark.parametrize("text", [r"C:\Users\x\ca.pem", r"C:\certs\ca.pem", r"\\server\ca.pem"])
def test_a_text_with_backslashes_is_named(text: str, write: Callable[[str], Path]) -> None:
    """It does stand in quotes: in those of the wrong kind."""
    write(f'[portal]\nca_bundle = "{text}"')
    assert "; a text with backslashes stands in single quotes, as in ca_bundle = " in refusal(Path("settings.toml"))


def test_a_file_that_cannot_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Missing, a folder, or in another encoding; a byte order mark does no harm."""
    assert "nowhere.toml does not exist" in refusal(Path("nowhere.toml"))
    assert "is a folder: put the file in its place (Docker makes a folder where" in refusal(tmp_path)
    (tmp_path / "utf16.toml").write_text("[log]", encoding="utf-16")
    assert "not in UTF-8" in refusal(Path("utf16.toml"))
    (tmp_path / "bom.toml").write_text("[log]\nlevel = 'error'", encoding="utf-8-sig")
    assert load_settings(Path("bom.toml")).log.level == "error"
    monkeypatch.setenv("RECONCILER_CONFIG", "gone\x1b[31m.toml")
    assert "gone[31m.toml does not exist" in refusal()


@pytest.mark.parametrize(
    ("policy", "says"),
    [
        ({"dismissed_owner": "successor"}, 'should name policy.successor, since policy.dismissed_owner is "successor"'),
        ({"successor": 7}, 'should have dismissed_owner = "successor", or no successor'),
        ({"only_companies": [3, 4], "leave_companies": [4]}, "should not both allow and leave alone company 4"),
        (
            {"dismissed_owner": "successor", "successor": 7, "leave_owners": [7]},
            "should not leave the successor's records alone",
        ),
        ({"settle_minutes": 5, "person_edit": "respect"}, "should not have settle_minutes where people's edits"),
    ],
    ids=["no successor", "successor of nobody", "company both ways", "successor left alone", "settled and respected"],
)
def test_policies_that_contradict_each_other_are_refused(policy: dict[str, Any], says: str) -> None:
    """At start, by name."""
    assert says in refusal(None, {f"policy.{name}": value for name, value in policy.items()})


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        ({"retry.attempts": "many"}, "`retry.attempts` (command line) should be a whole number"),
        ({"retry.attempts": 0}, "should be greater than or equal to 1"),
        ({"retry.max_seconds": float("nan")}, "should be a finite number"),
        ({"log.level": "loud"}, "should be 'debug', 'info', 'warning' or 'error'"),
        ({"log.format": 3}, "should be 'auto', 'console' or 'json'"),
        ({"portal.limits": "clod"}, "should be 'cloud', 'enterprise', 'self-hosted' or a table"),
        ({"portal.limits": {"burst": 5}}, "should have both burst and per_second, or neither"),
        ({"portal.limits": {"operating_seconds": 5}}, "`portal.limits.operating_seconds` (command line) should be"),
        ({"portal.limits": 5}, "`portal.limits` (command line) should be"),
        ({"portal.proxy": f"proxy/{TOKEN}"}, "should be an address like http://proxy.example:3128"),
        ({"portal.proxy": f"http://[{TOKEN}"}, "should be an address like http://proxy.example:3128"),
        ({"portal.ca_bundle": "nowhere.pem"}, "should be a file that can be read (No such file or directory)"),
        ({"portal.ca_bundle": str(EXAMPLE)}, "should be a PEM file with at least one certificate"),
        ({"portal.http_hosts": 5}, "`portal.http_hosts` (command line) should be a list"),
        ({"portal.http_hosts": [3]}, "`portal.http_hosts` (command line), entry 1, should be a valid string."),
        (
            {"policy.leave_companies": 42},
            "`policy.leave_companies` (command line) should be a list, in square brackets.",
        ),
        ({"policy.leave_companies": [1, "x", "y"]}, "(command line), entry 2, should be a whole number."),
        ({"service.interval_minutes": 0}, "should be greater than or equal to 0.01667."),
        ({"portal.name": ""}, "should have at least 1 character"),
        ({"portal.webhook_url": 5}, "`portal.webhook_url` (command line) should be a valid string"),
        ({"portal.webhook_url": TOKEN}, "has no https:// in front"),
        ({"write.batch_start": 11, "write.batch_max": 5}, "should not be above write.batch_max"),
        ({"write.batch_start": 11, "write.batch_max": 50}, "less than or equal to 25"),
        ({"journal.url": "postgresql://me:pw@db/x"}, "should begin with sqlite:///"),
        ({"journal.url": "sqlite:///"}, "should name a file: write sqlite:///journal.db"),
        ({"retry.attempts": 0, "log.level": 1, "portal.margin": 3}, "; wrong too: `retry.attempts`, `log.level`."),
    ],
)
def test_a_wrong_value_is_refused_by_name_and_place(flags: dict[str, Any], says: str) -> None:
    """The dotted name, where it stands, what is expected; never the value."""
    assert says in refusal(None, {"portal.webhook_url": WEBHOOK} | flags)


def test_a_wrong_variable_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Unknown ones with the nearest known one; a whole table must be JSON; a wrong value names its variable."""
    with monkeypatch.context() as patch:
        patch.setenv("RECONCILER_PORTAL_WEBHOOK_URL", WEBHOOK)
        assert "did you mean RECONCILER_PORTAL__WEBHOOK_URL?" in refusal()
        patch.setenv("RECONCILER_ZZZ", WEBHOOK)
        assert "Unknown too: RECONCILER_ZZZ." in refusal()
    with monkeypatch.context() as patch:
        patch.setenv("RECONCILER_ZZZ", WEBHOOK)
        assert "config.example.toml lists them all." in refusal()
    with monkeypatch.context() as patch:
        patch.setenv("RECONCILER_PORTAL", WEBHOOK)
        assert "RECONCILER_PORTAL is no JSON object" in refusal()
    with monkeypatch.context() as patch:
        patch.setenv("RECONCILER_RETRY__ATTEMPTS", TOKEN)
        assert "`retry.attempts` (RECONCILER_RETRY__ATTEMPTS in the environment)" in refusal()


def test_a_secret_file_that_cannot_be_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A missing folder, an unreadable file, bytes that are no text, a wrong value: by the file's name."""
    folder = tmp_path / "secrets"
    monkeypatch.setenv("RECONCILER_SECRETS_DIR", str(folder))
    assert "which is no folder" in refusal()
    secret = folder / "portal__proxy"
    secret.mkdir(parents=True)
    assert "The secret file" in refusal()
    assert "portal__proxy is a folder: put the file in its place (Docker makes a folder where" in refusal()
    secret.rmdir()
    secret.symlink_to("gone")
    assert "portal__proxy is a link to gone, which does not exist: put the file there, or remove the link" in refusal()
    secret.unlink()
    secret.symlink_to(secret)
    assert "cannot be read (Too many levels of symbolic links): give the worker's user (" in refusal()
    secret.unlink()
    secret.write_bytes(b"\xff")
    assert "portal__proxy is not in UTF-8" in refusal()
    secret.write_text(TOKEN, encoding="utf-8")
    assert "`portal.proxy` (secret file portal__proxy) should be" in refusal()


@pytest.mark.parametrize(
    "name",
    [
        *("portal__webhok_url", "portal_webhook_url", "PORTAL__WEBHOOK_URL", "portal__webhook_url.txt"),
        *("portal.webhook_url", "webhook_url", "webhook-url", "portal__webhookurl"),
    ],
)
@pytest.mark.parametrize("variable", ["RECONCILER_SECRETS_DIR", "CREDENTIALS_DIRECTORY", None])
def test_a_misspelt_secret_file_is_refused(
    variable: str | None, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody would read it, and the program would go on without; what it holds is not shown."""
    folder = tmp_path / "run-secrets"
    folder.mkdir()
    (folder / name).write_text(WEBHOOK, encoding="utf-8")
    if variable:
        monkeypatch.setenv(variable, str(folder))
    says = refusal(None, {"portal.webhook_url": WEBHOOK})
    assert f"/{name} belongs to no setting: did you mean portal__webhook_url? Rename it" in says


def test_an_old_copy_of_a_secret_file_does_no_harm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beside the right one an editor or a person may have left it."""
    (tmp_path / "portal__webhook_url").write_text(WEBHOOK, encoding="utf-8")
    (tmp_path / "portal__webhook_url.bak").write_text("https://old.example/rest/1/x/", encoding="utf-8")
    monkeypatch.setenv("RECONCILER_SECRETS_DIR", str(tmp_path))
    assert load_settings(None).portal.webhook().token == TOKEN


def test_a_secrets_folder_that_may_be_entered_and_not_listed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The known names are read; there is nothing to say of others."""
    (tmp_path / "portal__webhook_url").write_text(WEBHOOK, encoding="utf-8")
    (tmp_path / "webhook_url").write_text(WEBHOOK, encoding="utf-8")
    monkeypatch.setenv("RECONCILER_SECRETS_DIR", str(tmp_path))

    def denied(_folder: object) -> list[str]:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "listdir", denied)
    assert load_settings(None).portal.webhook().token == TOKEN


@pytest.mark.parametrize("variable", [False, True], ids=["found", "named"])
def test_a_settings_file_that_leads_nowhere_is_refused(
    variable: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A link whose target is not mounted does not mean that nobody has settings."""
    (tmp_path / "config.toml").symlink_to("real/config.toml")
    if variable:
        monkeypatch.setenv("RECONCILER_CONFIG", "config.toml")
    assert "config.toml is a link to real/config.toml, which does not exist: put the file there, or" in refusal()
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "config.toml").write_text("[log]\nlevel = 'error'", encoding="utf-8")
    assert load_settings(None).log.level == "error"


SERVICE = {
    "SERVICE_HOST": "10.0.0.1",
    "SERVICE_PORT": "9464",
    "SERVICE_PORT_HTTP_METRICS": "9464",
    "PORT": "tcp://10.0.0.1:9464",
    "PORT_9464_TCP": "tcp://10.0.0.1:9464",
    "PORT_9464_TCP_PROTO": "tcp",
    "PORT_9464_TCP_PORT": "9464",
    "PORT_9464_TCP_ADDR": "fd00::1",
    "PORT_53_UDP": "udp://[fd00::1]:53",
    "NAME": "/worker_1/reconciler_1",
    "ENV_PYTHON_VERSION": "3.13",
}


@pytest.mark.parametrize("service", ["RECONCILER", "RECONCILER_SVC", "RECONCILER_PORTAL_2"])
def test_what_kubernetes_and_docker_set_for_a_service_is_no_setting(
    service: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A Service called "reconciler-svc" stops nobody."""
    for name, value in SERVICE.items():
        monkeypatch.setenv(f"{service}_{name}", value)
    assert load_settings(None) == Settings()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("RECONCILER_PORT", "9000"),
        ("RECONCILER_PORT", "tcp://reconciler:9000"),
        ("RECONCILER_PORT", "http://10.0.0.1:9464"),
        ("RECONCILER_PORT_X_TCP", "tcp://10.0.0.1:9464"),
        ("RECONCILER_SERVICE_HOST", "crm.example"),
        ("RECONCILER_SERVICE_PORT", "http"),
        ("RECONCILER_NAME", "head office"),
        ("RECONCILER_ENV_X", "1"),
        ("reconciler_port", "tcp://10.0.0.1:9464"),
    ],
)
def test_a_variable_that_only_looks_like_a_service_is_refused(
    name: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """RECONCILER_PORT=9000 is somebody who meant web.port."""
    monkeypatch.setenv(name, value)
    assert f"Unknown variable {name}" in refusal()


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("SERVICE__INTERVAL_MINUTES", '"5"', "should be a number; the quotes belong to its value there"),
        (
            "WEB__ENABLED",
            "'false'",
            "should be true or false; the quotes belong to its value there, so leave",
        ),
        ("LOG__LEVEL", '"info"', "should be 'debug', 'info', 'warning' or 'error'; the quotes belong to its value"),
        ("WEB__ENABLED", "never", "(RECONCILER_WEB__ENABLED in the environment) should be true or false."),
    ],
)
def test_quotes_that_docker_keeps_are_named(name: str, value: str, says: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """`docker run --env-file` takes quotes for a part of the value."""
    monkeypatch.setenv("RECONCILER_PORTAL__WEBHOOK_URL", WEBHOOK)
    monkeypatch.setenv(f"RECONCILER_{name}", value)
    assert says in refusal()


def test_making_settings_directly_reads_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only `load_settings` looks at the machine."""
    monkeypatch.setenv("RECONCILER_LOG__LEVEL", "error")
    assert Settings().log.level == "info"


def test_a_working_directory_that_cannot_be_looked_into_holds_no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """A container's volume may belong to somebody else; a name too long fails in the same way, also for root."""
    monkeypatch.setattr(settings_files, "DEFAULT_FILE", Path("c" * 300))
    assert load_settings(None) == Settings()


@pytest.mark.parametrize(("name", "there"), [("no.sqlite3", False), ("j" * 300, True)], ids=["none", "out-of-reach"])
def test_a_journal_out_of_reach_is_not_taken_for_none(name: str, there: bool) -> None:
    """Whoever opens it says why it cannot be; a name too long fails as a folder of somebody else does."""
    assert Settings(journal={"url": f"sqlite:///{name}"}).journal.is_there is there


@pytest.mark.parametrize("where", ["file", "secret file"])
def test_an_allow_list_may_name_most_companies_of_a_large_portal(
    where: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """190,000 companies with numbers of eight digits."""
    companies = range(10_000_001, 10_190_001)
    if where == "file":
        (tmp_path / "long.toml").write_text(f"[policy]\nonly_companies = {list(companies)}\n")
    else:
        (tmp_path / "long.toml").write_text("")
        (tmp_path / "policy__only_companies").write_text(",".join(map(str, companies)))
        monkeypatch.setenv("RECONCILER_SECRETS_DIR", str(tmp_path))
    policies = load_settings(tmp_path / "long.toml").policy.policies
    assert policies.only_companies == set(companies)


def test_a_number_that_no_record_has_is_refused(tmp_path: Path) -> None:
    """More digits than a database stores."""
    (tmp_path / "c.toml").write_text(f"[policy]\nonly_companies = [{2**63}]\n")
    with pytest.raises(UsageError, match=r"`policy\.only_companies` .*entry 1, should be less than"):
        load_settings(tmp_path / "c.toml")
