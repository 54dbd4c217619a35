"""DeviceState: by Asterisk's names and numbers."""

import pytest

from pbxapi.cache.device_state import DeviceState, from_name, from_number


@pytest.mark.parametrize("state", DeviceState)
def test_each_state_is_found_by_name_and_number(state: DeviceState) -> None:
    assert from_name(state.name) is state
    assert from_number(str(int(state))) is state


@pytest.mark.parametrize("odd", ["", "in use", "9", "-1", "x" * 5000, "9" * 5000])
def test_what_no_asterisk_says_is_unknown(odd: str) -> None:
    assert from_name(odd) is DeviceState.UNKNOWN
    assert from_number(odd) is DeviceState.UNKNOWN
