"""What the garbage collector passes over comes back to it, so that nothing is kept for ever."""

from __future__ import annotations

import gc
import sys
import weakref
from collections.abc import Iterator

import pytest

from pages.common import collector


class Circle:
    """Only the collector finds it once it is let go."""

    def __init__(self) -> None:
        self.itself = self


@pytest.fixture(autouse=True)
def _unfrozen(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(collector, "_watch", collector._Watch())
    yield
    gc.callbacks.remove(collector._watch)
    gc.unfreeze()


def test_it_looks_at_little_afterwards():
    """What there is belongs to the frozen; a look at what came since is short."""
    collector.pass_over_the_lasting()
    assert gc.get_freeze_count() > 10_000
    assert len(gc.get_objects()) < gc.get_freeze_count() / 10
    gc.collect()
    assert collector._watch.seconds < collector.LONG


def test_what_was_passed_over_unseen_is_looked_at_later():
    """As garbage among what was loaded before the first page: once there is a quarter more."""
    lasting = Circle()
    kept = weakref.ref(lasting)
    collector.pass_over_what_there_is()
    del lasting
    assert collector._watch.objects == gc.get_freeze_count() > 10_000
    collector.pass_over_the_lasting()
    assert kept() is not None  # there is not a quarter more

    collector._watch.modules, collector._watch.objects = 0, collector._watch.objects // 2
    collector.pass_over_the_lasting()
    assert kept() is None


def test_nothing_is_done_without_need():
    """No module came, and the last look was short."""
    collector.pass_over_the_lasting()
    kept = [Circle() for _ in range(1000)]
    collector._watch.modules = len(sys.modules)
    before = gc.get_freeze_count()
    collector.pass_over_the_lasting()
    assert gc.get_freeze_count() <= before
    assert kept


def test_garbage_that_was_passed_over_is_found():
    """At the next look at everything, which is made when there is a quarter more."""
    lasting = Circle()
    kept = weakref.ref(lasting)
    collector.pass_over_the_lasting()
    del lasting
    gc.collect()
    assert kept() is not None  # it is passed over

    collector._watch.seconds = 2 * collector.LONG
    collector._watch.objects = gc.get_freeze_count()
    collector.pass_over_the_lasting()
    assert kept() is not None  # there is not a quarter more

    collector._watch.seconds = 2 * collector.LONG
    collector._watch.objects = gc.get_freeze_count() // 2
    collector.pass_over_the_lasting()
    assert kept() is None
