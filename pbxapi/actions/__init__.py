"""The operations of the API, one module each; they know neither HTTP nor SQL."""

from pbxapi.actions import (
    dial,
    hangupcall,
    listcalls,
    moverecord,
    originate,
    queuestatus,
    sipstatus,
    spying,
)
from pbxapi.actions.registry import ACTIONS, Action, Parameters, Result

__all__ = [
    "ACTIONS",
    "Action",
    "Parameters",
    "Result",
    "dial",
    "hangupcall",
    "listcalls",
    "moverecord",
    "originate",
    "queuestatus",
    "sipstatus",
    "spying",
]
