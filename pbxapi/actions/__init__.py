"""The operations of the API, one module each; they know neither HTTP nor SQL."""

from pbxapi.actions import (
    agentadd,
    agentlogin,
    agentlogout,
    agentpause,
    agentstatus,
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
    "agentadd",
    "agentlogin",
    "agentlogout",
    "agentpause",
    "agentstatus",
    "dial",
    "hangupcall",
    "listcalls",
    "moverecord",
    "originate",
    "queuestatus",
    "sipstatus",
    "spying",
]
