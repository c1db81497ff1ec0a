"""Any answer is a value or one of the program's own errors: some thousand here, a million with `make fuzz`."""

from __future__ import annotations

import json
from random import Random

import pytest
from hostile.episodes import Broken, HastyClient, episode
from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler.clock import VirtualClock
from reconciler.core.model import Change
from reconciler.errors import PortalError
from reconciler.portal.entities import CONTACT_UPDATE
from reconciler.portal.rest.batch_codec import BatchAnswer, Command, decode_batch
from reconciler.portal.write.conditional import compose

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(), max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=12,
)
KEYS = st.sampled_from(["result", "result_error", "result_total", "result_time", "error", "time", "c0", "date_start"])
NEARLY = st.recursive(JSON, lambda inner: st.dictionaries(KEYS, inner, max_size=5), max_leaves=8)


@pytest.mark.parametrize("start", range(1_000, 1_048, 8))
def test_any_answer_is_a_value_or_an_error(start: int) -> None:
    """Sweeps, writes and checks against a portal that lies: nothing but our own errors, no write on a wrong answer."""
    assert sum(episode(seed) for seed in range(start, start + 8)) > 30


@settings(max_examples=100)
@given(body=st.binary(max_size=40) | NEARLY.map(lambda value: json.dumps(value).encode()), status=st.integers(100, 599))
def test_any_bytes_are_a_batch_or_an_error(body: bytes, status: int) -> None:
    """F1.2, F6: whatever comes, with whatever status."""
    try:
        assert isinstance(decode_batch(body, status, 2), BatchAnswer)
    except PortalError as error:
        assert str(error)  # noqa: PT017 - either is right


def test_an_oracle_that_sees_nothing_would_find_nothing() -> None:
    """An update without a precondition is found: the rule that the episodes hold the writer to is a rule."""
    client = HastyClient(Random(1), VirtualClock())
    planned = Change(contact=3, company=5, before=1, after=2)
    client.line.planned = {3: planned}
    batch = compose([planned]).commands
    bare = [Command(one.method, one.params | {"id": 3}) if one.method == CONTACT_UPDATE else one for one in batch]
    with pytest.raises(Broken, match="without a precondition"):
        client.send(bare)
