"""SIP accounts of lines."""

from dataclasses import dataclass
from typing import Literal

Technology = Literal["SIP", "PJSIP"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """One SIP account of a line: a row of `extension_line`."""

    id: int
    sip_username: str
    technology: Technology
