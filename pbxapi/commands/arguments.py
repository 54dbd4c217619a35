"""Types of command-line arguments that several commands take."""

import argparse
import math

from pbxapi import config_values

#: More than any PBX has; an Asterisk that is simulated would not come up in sensible time.
MAX_POPULATION = 100_000


def port(text: str) -> int:
    """A TCP port, or 0 for any that is free."""
    number = count(text)
    if number:
        try:
            config_values.port_number(number)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from None
    return number


def count(text: str) -> int:
    """A whole number that is not negative."""
    if not (text.isascii() and text.isdigit()):
        raise argparse.ArgumentTypeError(f"must be a whole number of at least 0: {text!r}")
    return int(text)


def population(text: str) -> int:
    """A number of things that all live in memory."""
    number = count(text)
    if number > MAX_POPULATION:
        raise argparse.ArgumentTypeError(f"must be at most {MAX_POPULATION}: {text}")
    return number


def rate(text: str) -> float:
    """How often a second something happens."""
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not (math.isfinite(number) and number >= 0):
        raise argparse.ArgumentTypeError(f"must be a number of at least 0: {text!r}")
    return number


def host(text: str) -> str:
    """A host name or an IP address."""
    try:
        return config_values.host_name(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
