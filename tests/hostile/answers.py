"""Answers that no portal would give, near enough to what it does give to get past the first checks.

A tiny honest portal answers each command; then something is done to the answer: to its values, to its shape, to its
bytes. Everything follows from the random numbers that are handed in, so that a case can be repeated.
"""

from __future__ import annotations

import json
from copy import deepcopy
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from reconciler.portal.rest.batch_codec import Found

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from random import Random

    from reconciler.portal.rest.batch_codec import Command

BEGAN = "2026-01-01T03:00:00+03:00"
OLD, NEW = "2025-06-01T10:00:00+03:00", "2026-01-01T02:59:30+03:00"
FLAG = "UF_CRM_LEFT"
TOKEN = "simulatedtoken0"
#: Rows on a page, as the portal has it.
PAGE = 50
UPDATE = "crm.contact.update"

#: JSON as it is written, for what `json.dumps` would not write.
RAW = (
    *("1e400", "-1e400", "NaN", "Infinity", "-Infinity", "9" * 5000, "9" * 4000, "-" + "9" * 300, "1e308", "1e18"),
    *("9223372036854775807", "9223372036854775808", "18446744073709551616", "1.5", "-0", "0.0", "-1", "1E2"),
    *("[" * depth + "]" * depth for depth in (3, 90, 300, 470, 520, 700, 900, 20_000)),
    *('{"a":' * depth + "1" + "}" * depth for depth in (2, 300, 480, 700, 900)),
    *(r'"\ud800"', r'"x\udfff"', r'"\ud83d\ude00"', r'"\u0000"', '{"a":1,"a":2}', '{"ID":"1","ID":"2"}', '"\\"', "'a'"),
)
#: Values that were never asked for.
ODD: tuple[Any, ...] = (
    *(None, True, False, 0, 1, 2, -1, 7, 50, 51, 10**6, 10**12, 2**31, 2**32, 2**53, 0.5, "", "0", "1", "2", "-1"),
    *("1.0", " 1", "1 ", "+1", "1_0", "0x10", "1e3", "٣", "x", "9" * 30, "9" * 4000, "A" * 20_000, "N", "Y", "TRUE"),
    *([], {}, [[]], [None], [{}], {"0": 1}, {"c0": 1}, ["1"], [1, 2], {"ID": "1"}, {"result": []}, {"error": ""}),
    *(
        "0001-01-01T00:00:00+14:00",
        "9999-12-31T23:59:59-14:00",
        "2026-02-30T00:00:00Z",
        "2026-01-01",
        "20260101T000000Z",
    ),
    *("0001-01-01T00:00:00Z", "9999-12-31T23:59:59.999999Z", "2026-W01-1T00:00:00+03:00", "24:00", BEGAN, NEW),
    *(
        "\x1b[2Jgone",
        "\u202etxet",
        "=HYPERLINK(1)",
        "<script>",
        "[red]",
        f"https://x.example/rest/1/{TOKEN}/",
        "a\x00b",
    ),
    *(1e15, 1e300, 253402300800, 4102444800, "1e15", "inf", "nan"),
)
CODES = (
    *("QUERY_LIMIT_EXCEEDED", "OPERATION_TIME_LIMIT", "OVERLOAD_LIMIT", "INTERNAL_SERVER_ERROR", "expired_token"),
    *("INVALID_CREDENTIALS", "insufficient_scope", "ACCESS_DENIED", "NOT_FOUND", "ERROR_CORE", "100", "", "0"),
    *("WRONG_ENCODING", "PORTAL_DELETED", "ERROR_METHOD_NOT_FOUND", "x" * 3000, "\x1b[31m"),
)
STATUSES = (200, 200, 200, 200, 200, 200, 200, 400, 401, 403, 404, 429, 500, 502, 503, 599, 100, 204, 206, 304)
PAGES_OF_OTHERS = (
    *(b"", b" ", b"<html><h1>502 Bad Gateway</h1></html>", b"null", b"[]", b"{}", b"7", b'"x"', b"\xef\xbb\xbf{}"),
    *(b"\xff\xfe{\x00}\x00", b"\x00" * 40, b"[" * 100_000, b'{"a":' * 50_000, b'{"result":', b"nul", b"{" * 3),
    *(b"\x1f\x8b\x08\x00", b'{"error": 1e400}', b'{"error": ["x"]}', b'{"error": {}, "error_description": [1]}'),
)


class TinyPortal:
    """Some companies and contacts, answered for as the portal would (F1.3, F2); changed by updates."""

    def __init__(self, random: Random) -> None:
        few = random.random() < 0.95
        companies = random.randint(0, 6) if few else random.randint(60, 130)
        contacts = random.randint(0, 8) if few else random.randint(60, 130)
        step = random.choice((1, 1, 3, 40))
        self.people = {1: True, 2: True, 3: True, 4: False}
        self.companies = {5 + step * number: random.choice((1, 2, 3, 4)) for number in range(companies)}
        known = list(self.companies) or [9]
        self.contacts = {
            3 + step * number: (random.choice(known), random.choice((0, 1, 2, 3, 4))) for number in range(contacts)
        }

    def answer(self, command: Command) -> tuple[Any, int | None]:  # noqa: C901, PLR0911 - one for each method
        """Return the result and, of a list, how many rows match."""
        params: Any = command.params
        match command.method:
            case "crm.company.list":
                return self._page(self.companies, self._company, params)
            case "crm.contact.list":
                return self._page(self.contacts, self._contact, params)
            case "user.get":
                wanted = params["FILTER"].get("@ID", [params["FILTER"].get("ID")])
                active = {True, not params["FILTER"].get("ACTIVE")}
                return self._page({n: a for n, a in self.people.items() if n in wanted and a in active}, self._user, {})
            case "department.get":
                return [{"ID": "1", "NAME": "all", "PARENT": "0", "UF_HEAD": "2"}] if not params["start"] else [], 1
            case "crm.item.list":
                wanted = params["filter"]["@id"]
                items = [{"id": n, "companyIds": [self.contacts[n][0]]} for n in wanted if n in self.contacts]
                return {"items": items}, len(items)
            case "crm.contact.company.items.get":
                linked = self.contacts.get(params["id"], (0, 0))[0]
                return [{"COMPANY_ID": linked, "IS_PRIMARY": "Y"}], None
            case "crm.contact.get":
                return self._contact(params["id"]), None
            case "crm.contact.update":
                company, _ = self.contacts[params["id"]]
                self.contacts[params["id"]] = (company, params["fields"]["ASSIGNED_BY_ID"])
                return True, None
            case "server.time":
                return BEGAN, None
            case "profile":
                return {"ID": "1", "NAME": "Ada", "LAST_NAME": "", "ADMIN": True}, None
            case "scope":
                return ["crm", "user_basic"], None
            case "bizproc.workflow.template.list":
                return [{"ID": "1", "NAME": "greet", "AUTO_EXECUTE": "2"}], 1
        return True, None

    def _page(
        self, table: dict[int, Any], row: Callable[[int], dict[str, Any]], params: Any
    ) -> tuple[list[dict[str, Any]], int]:
        rows = [row(number) for number in sorted(table)]
        rows = [one for one in rows if all(_passes(one, key, value) for key, value in params.get("filter", {}).items())]
        if params.get("order") == {"ID": "DESC"}:
            rows.reverse()
        return rows[:PAGE], len(rows)

    def _company(self, number: int) -> dict[str, Any]:
        return {
            "ID": str(number),
            "ASSIGNED_BY_ID": str(self.companies[number]),
            "IS_MY_COMPANY": "N",
            "DATE_MODIFY": NEW if number % 3 else OLD,
            "TITLE": f"Company {number}",
            "COMPANY_TYPE": "CUSTOMER",
            FLAG: "0",
        }

    def _contact(self, number: int) -> dict[str, Any]:
        company, owner = self.contacts[number]
        return {
            "ID": str(number),
            "COMPANY_ID": str(company),
            "ASSIGNED_BY_ID": str(owner),
            "NAME": "Ann",
            "LAST_NAME": "Lee",
            "DATE_CREATE": OLD,
            "DATE_MODIFY": NEW,
            "MODIFY_BY_ID": "2",
            "TYPE_ID": "CLIENT",
            FLAG: None,
        }

    def _user(self, number: int) -> dict[str, Any]:
        return {
            "ID": str(number),
            "ACTIVE": self.people[number],
            "NAME": f"Person {number}",
            "LAST_NAME": "",
            "UF_DEPARTMENT": [1],
        }


def _passes(row: dict[str, Any], key: str, value: Any) -> bool:
    operator, field = next((o, key[len(o) :]) for o in (">=", "<=", ">", "@", "!", "=", "") if key.startswith(o))
    has = row[field]
    match operator:
        case "@":
            return int(has) in value
        case "!":
            return int(has) != value
        case "=" | "":
            return bool(has == str(value))
        case ">=":
            return bool(has >= value[:19])
        case ">":
            return int(has) > value
    return int(has) <= value


def honest(portal: TinyPortal, commands: Sequence[Command]) -> dict[str, Any]:
    """Answer a batch as a portal does."""
    keys = [f"c{index}" for index in range(len(commands))]
    found: list[tuple[Any, int | None]] = []
    errors: dict[str, Any] = {}
    for key, command in zip(keys, commands, strict=True):
        try:
            found.append(portal.answer(replace(command, params=filled(command.params, found))))
        except KeyError:  # no such contact: most often 0, where a precondition found none
            found.append((None, None))
            errors[key] = {"error": "", "error_description": "ID is not defined or invalid."}
    time = {"start": 1.5, "duration": 0.05, "date_start": BEGAN, "operating": 0.2, "operating_reset_at": 1767226200}
    return {
        "result": {
            "result": {key: result for key, (result, _) in zip(keys, found, strict=True) if key not in errors} or [],
            "result_error": errors or [],
            "result_total": {k: total for k, (_, total) in zip(keys, found, strict=True) if total is not None} or [],
            "result_next": [],
            "result_time": dict.fromkeys(keys, time),
        },
        "time": time,
    }


def filled(value: Any, found: Sequence[tuple[Any, int | None]]) -> Any:
    """Fill in what a command takes from the answers before it; 0 where that is not there."""
    if isinstance(value, dict):
        return {key: filled(inner, found) for key, inner in value.items()}
    if not isinstance(value, Found):
        return value
    result, _ = found[value.command]
    try:
        for step in value.path:
            result = result[step]
        return int(result)
    except (LookupError, TypeError, ValueError):
        return 0


def hostile(random: Random, answer: dict[str, Any]) -> tuple[int, bytes]:
    """Do something to an answer, and return status and body."""
    status = random.choice(STATUSES)
    kind = random.random()
    if kind < 0.03:
        return status, random.choice(PAGES_OF_OTHERS)
    if kind < 0.06:
        return status, random.randbytes(random.randint(0, 60))
    if kind < 0.10:
        error = {"error": random.choice(CODES), "error_description": random.choice(CODES)}
        if random.random() < 0.4:
            error[random.choice((*error, "time"))] = _odd(random, raws := [])
            return status, _written(error, raws)
        return status, json.dumps(error).encode()
    raws: list[str] = []
    for _ in range(random.choice((1, 1, 1, 2, 3, 6))):
        _mutate(random, answer, raws)
    body = _written(answer, raws)
    if kind > 0.94:
        body = _rebytes(random, body)
    return status, body


def _written(answer: Any, raws: list[str]) -> bytes:
    text = json.dumps(answer)
    for index, raw in enumerate(raws):
        text = text.replace(f'"@raw{index}@"', raw)
    return text.encode()


def _odd(random: Random, raws: list[str]) -> Any:
    """Return a value that nobody asked for; one that cannot be had as a value is written later, as `raws`."""
    if random.random() < 0.35:
        raws.append(random.choice(RAW))
        return f"@raw{len(raws) - 1}@"
    return deepcopy(random.choice(ODD))


def _mutate(random: Random, answer: dict[str, Any], raws: list[str]) -> None:
    """Change one place of an answer."""
    target = random.random()
    maps = answer.get("result")
    if target < 0.55 and isinstance(maps, dict) and isinstance(maps.get("result"), dict) and maps["result"]:
        results = maps["result"]
        key = random.choice(list(results))
        if target < 0.10 and isinstance(maps.get("result_total"), dict):
            total = maps["result_total"].get(key, 0)
            near = (total + 1 if isinstance(total, int) else 1, 0, 51, 101, 10**4, 10**9, 10**15, None)
            maps["result_total"][key] = random.choice(near) if random.random() < 0.6 else _odd(random, raws)
        elif target < 0.16:
            code = {"error": random.choice(CODES), "error_description": random.choice(CODES)}
            maps["result_error"] = {key: code if random.random() < 0.7 else _odd(random, raws)}
        else:
            _inside(random, results, key, raws)
        return
    _inside(random, answer, random.choice(list(answer) or ["result"]), raws)


def _inside(random: Random, holder: Any, key: Any, raws: list[str]) -> None:
    """Go down at random from `holder[key]`, and change what is there."""
    for _ in range(8):
        try:
            inner = holder[key]
        except (KeyError, IndexError):
            return
        if not inner or not isinstance(inner, dict | list) or random.random() < 0.12:
            break
        holder = inner
        key = random.randrange(len(inner)) if isinstance(inner, list) else random.choice(list(inner))
    match random.randrange(8):
        case 0 if isinstance(holder, dict):
            del holder[key]
        case 1 if isinstance(holder, list):
            holder.insert(random.randrange(len(holder) + 1), holder[key])
        case 2 if isinstance(holder, list):
            del holder[key]
        case 3 if isinstance(holder, list):
            random.shuffle(holder)
        case 4 if isinstance(holder, dict):
            holder[random.choice(("ID", "c0", "c49", "result", "error", "x", "time"))] = holder[key]
        case 5 if isinstance(holder[key], str) and holder[key].isdigit():
            holder[key] = str(int(holder[key]) + random.choice((-1, 1, 2, 40, 10**9)))
        case _:
            holder[key] = _odd(random, raws)


def _rebytes(random: Random, body: bytes) -> bytes:  # noqa: PLR0911 - one for each way
    """Spoil a body on its way."""
    place = random.randrange(len(body) + 1)
    match random.randrange(7):
        case 0:
            return body[:place]
        case 1:
            return body[:place] + random.randbytes(random.randint(1, 4)) + body[place:]
        case 2:
            return body[:place] + bytes([random.randrange(256)]) + body[place + 1 :]
        case 3:
            return body.decode().encode(random.choice(("utf-16", "utf-16-le", "utf-32", "utf-8-sig")))
        case 4:
            return body + body
        case 5:
            return body[place:] + body[:place]
    return body.replace(b'"ID"', b'"id"')
