"""Which line a request means: four ways to name it, one set of faults an action."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

from pbxapi.actions.ports import Lines
from pbxapi.directory.lines import Line
from pbxapi.faults import Fault


@dataclass(frozen=True, slots=True)
class LineChoice:
    """The parameters that name a line, and the codes of what can be wrong with them.

    Attributes:
        dialplans: Names of the parameter that narrows the internal number; the seed spells it in
            two ways, the first one that is present counts.
        conflict: Code for more than one way at once.
        ambiguous: Code for an internal number that several dial plans have.
        missing: Code for a line that does not exist.
        no_dialplan: Code for a dial plan that does not exist.
    """

    public_num: str
    internal_num: str
    id: str
    sip_username: str
    dialplans: tuple[str, ...]
    conflict: int
    ambiguous: int
    missing: int
    no_dialplan: int

    @property
    def selectors(self) -> tuple[str, ...]:
        """The four parameters, of which exactly one has to be there."""
        return (self.public_num, self.internal_num, self.id, self.sip_username)

    @property
    def errors(self) -> tuple[int, ...]:
        """The codes, in their order."""
        return (self.conflict, self.ambiguous, self.missing, self.no_dialplan)


ORIGINATE_SOURCE: Final = LineChoice(
    public_num="srcExtenPublicNum",
    internal_num="srcExtenInternalNum",
    id="srcExtenId",
    sip_username="srcSipUsername",
    dialplans=("dialplanName", "dialPlanName"),
    conflict=200,
    ambiguous=201,
    missing=202,
    no_dialplan=203,
)


def given_selectors(choice: LineChoice, params: Mapping[str, str]) -> list[str]:
    """Which of the four ways the request uses."""
    return [name for name in choice.selectors if name in params]


async def choose_line(choice: LineChoice, params: Mapping[str, str], lines: Lines) -> Line:
    """The one line that the request names; by its account's name only with that account.

    Raises:
        Fault: with the codes of `choice`.
        DatabaseUnavailable: the directory cannot be asked.
    """
    given = given_selectors(choice, params)
    if len(given) != 1:
        raise Fault(choice.conflict)
    found = await _find(choice, given[0], params, lines)
    if len(found) > 1:
        raise Fault(choice.ambiguous)
    if not found or not found[0].accounts:
        raise Fault(choice.missing)
    return found[0]


async def _find(
    choice: LineChoice, selector: str, params: Mapping[str, str], lines: Lines
) -> tuple[Line, ...]:
    value = params[selector]
    if selector == choice.public_num:
        return await lines.by_public_num(value)
    if selector == choice.id:
        return await lines.by_id(value)
    if selector == choice.sip_username:
        found = await lines.by_sip_username(value)
        return tuple(_only_account(line, value) for line in found)
    dialplan = next((params[name] for name in choice.dialplans if name in params), None)
    if dialplan is None:
        return await lines.by_internal_num(value, None)
    dialplan_id = await lines.dialplan_id(dialplan)
    if dialplan_id is None:
        raise Fault(choice.no_dialplan)
    return await lines.by_internal_num(value, dialplan_id)


def _only_account(line: Line, sip_username: str) -> Line:
    only = tuple(account for account in line.accounts if account.sip_username == sip_username)
    return replace(line, accounts=only)
