"""The errors that cross module borders, each with the fault it shows to a client.

    PbxapiError                 anything this program raises on purpose
    ├── UsageError              the operator's: one line on standard error, exit 1
    ├── PbxUnavailable          no AMI session, or no answer within the deadline        → 900
    ├── PbxRefused              AMI answered `Response: Error`                          → 904
    ├── DatabaseUnavailable     a query failed or took too long                         → 901
    └── Fault (faults.py)       a numbered error of the legacy API

`pbxapi.web.envelope` turns them into the JSON a client sees, and nothing else does.
"""


class PbxapiError(Exception):
    """Base of all errors raised on purpose."""


class UsageError(PbxapiError):
    """Something that the operator gave us is wrong; the text says what to do about it."""


class PbxUnavailable(PbxapiError):
    """There is no AMI session, or Asterisk did not answer before the deadline."""


class PbxRefused(PbxapiError):
    """Asterisk answered `Response: Error`; the text is its `Message`."""


class DatabaseUnavailable(PbxapiError):
    """A query failed for a reason that is not its caller's, or took longer than allowed."""
