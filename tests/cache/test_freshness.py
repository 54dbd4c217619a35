"""Freshness: how far a picture may be believed."""

import math

import pytest

from pbxapi.cache.freshness import MAX_AGE_S, Freshness
from pbxapi.errors import PbxUnavailable


def test_before_the_first_list_nothing_is_believed() -> None:
    freshness = Freshness()
    assert freshness.age_s(5.0) == math.inf
    with pytest.raises(PbxUnavailable, match="there is no list of peers yet"):
        freshness.require(5.0, "peers")


def test_a_picture_that_follows_the_events_has_no_age() -> None:
    freshness = Freshness()
    freshness.listed()
    assert freshness.age_s(1e9) == 0
    freshness.require(1e9, "peers")


def test_the_age_counts_from_the_first_loss_until_the_next_list() -> None:
    freshness = Freshness()
    freshness.listed()
    freshness.lost(100.0)
    freshness.lost(120.0)
    assert freshness.unseen_since == 100.0
    freshness.require(100.0 + MAX_AGE_S, "peers")
    with pytest.raises(PbxUnavailable, match="is 31 s old"):
        freshness.require(131.0, "peers")
    freshness.listed()
    freshness.require(131.0, "peers")
    assert freshness.unseen_since == -math.inf


def test_a_loss_before_the_first_list_leaves_nothing_to_believe() -> None:
    freshness = Freshness()
    freshness.lost(100.0)
    assert freshness.age_s(100.0) == math.inf
