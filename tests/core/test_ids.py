"""Long sets of record numbers."""

from __future__ import annotations

import sys

from hypothesis import given
from hypothesis import strategies as st

from reconciler.core.ids import IdSet

IDS = st.lists(st.integers(min_value=1, max_value=2**63 - 1))


@given(IDS, st.integers())
def test_it_is_the_set_of_its_numbers(numbers: list[int], other: int) -> None:
    """The same members as a set, whatever the order and however often a number was named."""
    ids = IdSet(numbers)
    assert list(ids) == sorted(set(numbers))
    assert len(ids) == len(set(numbers))
    assert all(number in ids for number in numbers)
    assert (other in ids) == (other in set(numbers))
    assert "1" not in ids


@given(IDS)
def test_equal_sets_are_equal_values(numbers: list[int]) -> None:
    """Settings are compared, and their text names them."""
    assert IdSet(numbers) == IdSet(reversed(numbers))
    assert hash(IdSet(numbers)) == hash(IdSet(reversed(numbers)))
    assert eval(repr(IdSet(numbers))) == IdSet(numbers)  # noqa: S307 - what we have just made


def test_a_long_list_takes_few_bytes() -> None:
    """190,000 numbers are an allow-list of a large portal."""
    assert sys.getsizeof(IdSet(range(1, 190_001))._numbers) < 2_000_000
