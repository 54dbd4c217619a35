"""As much SIP as a test has to speak itself: registration, OPTIONS, and reading SIPp's traces.

Source: RFC 3261 (messages), RFC 2617 (digest); the trace is what SIPp 3.6 and 3.7 write with
-trace_msg.
"""

import asyncio
import hashlib
import re
import secrets
import socket
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

#: RFC 3261's T1, made shorter: everything here is on loopback.
_RETRANSMIT_S: Final = 0.1
_TIMEOUT_S: Final = 5
#: What a phone calls itself where a test does not care.
USER_AGENT: Final = "pbxapi-lab"

_TRACE_ENTRY: Final = re.compile(r"^-{20,} .*\n", re.MULTILINE)
_ADDRESS: Final = re.compile(r'^(?:"(?P<name>(?:[^"\\]|\\.)*)"\s*)?<sip:(?:(?P<user>[^@>]*)@)?')


class SipError(AssertionError):
    """The other side did not answer, or answered something that the test did not expect."""


@dataclass(frozen=True, slots=True)
class SipMessage:
    """A request or a response."""

    first_line: str
    headers: tuple[tuple[str, str], ...]

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read the head of a message; the body is left out."""
        head = text.replace("\r\n", "\n").partition("\n\n")[0]
        first_line, *rest = head.split("\n")
        pairs = (line.partition(":") for line in rest if ":" in line)
        return cls(first_line, tuple((name.strip(), value.strip()) for name, _, value in pairs))

    def get(self, name: str) -> str:
        """The first header of that name, or ""."""
        return next((v for n, v in self.headers if n.lower() == name.lower()), "")

    @property
    def method(self) -> str:
        """Of a request; "" of a response."""
        return "" if self.status else self.first_line.split(" ", 1)[0]

    @property
    def status(self) -> int:
        """Of a response; 0 of a request."""
        return int(self.first_line.split()[1]) if self.first_line.startswith("SIP/2.0 ") else 0


@dataclass(frozen=True, slots=True)
class Invite:
    """An INVITE as a phone got it: what the phone's display would show.

    Attributes:
        name, number: Of the From header; "" where it says nothing.
        dialled: User part of the request's address.
    """

    name: str
    number: str
    dialled: str
    user_agent: str
    call_id: str
    message: SipMessage

    @classmethod
    def of(cls, message: SipMessage) -> Self:
        """Read the addresses of an INVITE."""
        match = _ADDRESS.match(message.get("From"))
        dialled = re.match(r"INVITE sips?:([^@;>]*)@", message.first_line)
        name = re.sub(r"\\(.)", r"\1", match["name"] or "") if match else ""
        return cls(
            name=name,
            number=(match["user"] or "") if match else "",
            dialled=dialled[1] if dialled else "",
            user_agent=message.get("User-Agent"),
            call_id=message.get("Call-ID"),
            message=message,
        )


def received(trace: Path) -> Iterator[SipMessage]:
    """Messages that a SIPp process received, oldest first, out of its trace."""
    return (message for direction, message in _trace(trace) if direction == "received")


def sent(trace: Path) -> Iterator[SipMessage]:
    """Messages that a SIPp process sent, oldest first, out of its trace."""
    return (message for direction, message in _trace(trace) if direction == "sent")


def _trace(trace: Path) -> Iterator[tuple[str, SipMessage]]:
    if not trace.exists():
        return
    text = trace.read_text(encoding="utf-8", errors="replace").replace("\r\n", "\n")
    for entry in _TRACE_ENTRY.split(text):
        title, _, message = entry.partition("\n\n")
        if message:
            yield ("received" if "received" in title else "sent"), SipMessage.parse(message)


@dataclass(frozen=True, slots=True)
class Account:
    """What a phone needs to know to register.

    Attributes:
        server: Where Asterisk receives.
        contact: Where the phone receives.
        source_host: Address that the registration comes from.
        user_agent: What the phone calls itself.
    """

    username: str
    secret: str
    server: tuple[str, int]
    contact: tuple[str, int]
    source_host: str = "127.0.0.1"
    user_agent: str = USER_AGENT


async def register(account: Account, *, expires_s: int) -> None:
    """Register the contact; `expires_s` = 0 takes the registration back.

    Raises:
        SipError: refused, or no answer.
    """
    async with _Exchange(account.server, account.source_host) as exchange:
        dialog = secrets.token_hex(8)
        answer = await exchange.ask(_register(account, exchange, dialog, expires_s=expires_s))
        if answer.status == 401:
            proof = _digest(answer.get("WWW-Authenticate"), account)
            again = _register(account, exchange, dialog, expires_s=expires_s, proof=proof)
            answer = await exchange.ask(again)
        if answer.status != 200:
            raise SipError(f"REGISTER of {account.username}: {answer.first_line}")


async def ping(address: tuple[str, int]) -> None:
    """Wait until whoever receives there answers OPTIONS.

    Raises:
        SipError: nobody does.
    """
    async with _Exchange(address, "127.0.0.1") as exchange:
        # A dialog of its own each time: SIPp knows calls by their Call-ID alone.
        dialog = secrets.token_hex(8)
        await exchange.ask(_request(f"OPTIONS sip:{address[0]}:{address[1]}", exchange, dialog))


def poke(address: tuple[str, int], call: SipMessage) -> None:
    """Send MESSAGE in the name of a call: the scenarios in `sipp/` take it as a sign to go on.

    Args:
        address: Where the SIPp process receives.
        call: Any message of the call.
    """
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        port = sender.getsockname()[1]
        lines = (
            f"MESSAGE sip:phone@{address[0]}:{address[1]} SIP/2.0",
            f"Via: SIP/2.0/UDP 127.0.0.1:{port};branch=z9hG4bK{secrets.token_hex(8)}",
            f"From: {call.get('From')}",
            f"To: {call.get('To')}",
            f"Call-ID: {call.get('Call-ID')}",
            "CSeq: 77 MESSAGE",
            "Content-Length: 0",
        )
        sender.sendto(("\r\n".join(lines) + "\r\n\r\n").encode(), address)


def _register(
    account: Account, exchange: "_Exchange", dialog: str, *, expires_s: int, proof: str = ""
) -> str:
    """A REGISTER; the one with the proof is the second of its dialog."""
    host, port = account.contact
    server = f"{account.server[0]}:{account.server[1]}"
    extra = [f"Contact: <sip:{account.username}@{host}:{port}>", f"Expires: {expires_s}"]
    if proof:
        extra.append(f"Authorization: {proof}")
    return _request(
        f"REGISTER sip:{server}",
        exchange,
        dialog,
        cseq=2 if proof else 1,
        address=f"sip:{account.username}@{server}",
        extra=extra,
        user_agent=account.user_agent,
    )


def _request(
    what: str,
    exchange: "_Exchange",
    dialog: str,
    *,
    cseq: int = 1,
    address: str = "sip:test@127.0.0.1",
    extra: Sequence[str] = (),
    user_agent: str = USER_AGENT,
) -> str:
    host, port = exchange.local
    lines = [
        f"{what} SIP/2.0",
        f"Via: SIP/2.0/UDP {host}:{port};branch=z9hG4bK{secrets.token_hex(8)}",
        "Max-Forwards: 70",
        f"From: <{address}>;tag={secrets.token_hex(4)}",
        f"To: <{address}>",
        f"Call-ID: {dialog}@{host}:{port}",
        f"CSeq: {cseq} {what.partition(' ')[0]}",
        f"User-Agent: {user_agent}",
        *extra,
        "Content-Length: 0",
    ]
    return "\r\n".join(lines) + "\r\n\r\n"


def _digest(challenge: str, account: Account) -> str:
    fields = {k: v.strip('"') for k, v in re.findall(r'(\w+)=("[^"]*"|[^,\s]+)', challenge)}
    uri = f"sip:{account.server[0]}:{account.server[1]}"
    realm, nonce = fields["realm"], fields["nonce"]
    secret = _md5(f"{account.username}:{realm}:{account.secret}")
    request = _md5(f"REGISTER:{uri}")
    parts = [f'username="{account.username}"', f'realm="{realm}"', f'nonce="{nonce}"']
    parts += [f'uri="{uri}"', "algorithm=MD5"]
    if "qop" in fields:
        cnonce = secrets.token_hex(8)
        response = _md5(f"{secret}:{nonce}:00000001:{cnonce}:auth:{request}")
        parts += ["qop=auth", "nc=00000001", f'cnonce="{cnonce}"']
    else:
        response = _md5(f"{secret}:{nonce}:{request}")
    if "opaque" in fields:
        parts.append(f'opaque="{fields["opaque"]}"')
    return "Digest " + ", ".join([*parts, f'response="{response}"'])


def _md5(text: str) -> str:
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()


class _Answers(asyncio.DatagramProtocol):
    """Queues the responses that come in; requests (Asterisk's OPTIONS) are not for us."""

    def __init__(self) -> None:
        self.queue: asyncio.Queue[SipMessage] = asyncio.Queue()

    def datagram_received(self, data: bytes, addr: object) -> None:
        message = SipMessage.parse(data.decode("utf-8", "replace"))
        if message.status >= 200:
            self.queue.put_nowait(message)


class _Exchange:
    """A UDP socket of ours and one server: requests go out until an answer comes."""

    def __init__(self, server: tuple[str, int], source_host: str) -> None:
        self._server = server
        self._source_host = source_host

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        self._transport, self._answers = await loop.create_datagram_endpoint(
            _Answers, local_addr=(self._source_host, 0)
        )
        self.local: tuple[str, int] = self._transport.get_extra_info("sockname")
        return self

    async def __aexit__(self, *_: object) -> None:
        self._transport.close()

    async def ask(self, request: str) -> SipMessage:
        """The final answer."""
        cseq = SipMessage.parse(request).get("CSeq")
        for _ in range(int(_TIMEOUT_S / _RETRANSMIT_S)):
            self._transport.sendto(request.encode(), self._server)
            try:
                async with asyncio.timeout(_RETRANSMIT_S):
                    while (answer := await self._answers.queue.get()).get("CSeq") != cseq:
                        pass
            except TimeoutError:
                continue
            return answer
        raise SipError(f"no answer from {self._server} to {request.splitlines()[0]}")
