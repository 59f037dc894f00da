"""Where alerts go: the rows of ``reference/alert_channels.csv``, and the secrets that the environment holds for them."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from urllib.parse import SplitResult, unquote, urlsplit

from pipelines.paths import DataRoot
from pipelines.reference.files import current_frame

TABLE = "alert_channels"
GRADES: Mapping[str, int] = {"info": 1, "warning": 2, "critical": 3}
_SCHEMES = {
    "email": ("smtp", "smtps"),
    "webhook": ("http", "https"),
    "slack": ("http", "https"),
    "teams": ("http", "https"),
}
_PORTS = {"smtp": 587, "smtps": 465, "http": 80, "https": 443}
_LOOPBACK = ("localhost", "127.0.0.1", "::1")
_REDACTED = "***"


class ChannelFault(ValueError):
    """A channel cannot be used as it is configured; the message says where, what was found and what to do."""


@dataclass(frozen=True)
class Channel:
    """One row: who is told by which road, and of what."""

    name: str
    kind: str
    address: str
    address_env: str
    token_env: str
    sender: str
    recipients: tuple[str, ...]
    least_severity: str
    owners: tuple[str, ...]
    place: str

    def wants(self, severity: str, owner: str) -> bool:
        return GRADES[severity] >= GRADES[self.least_severity] and (not self.owners or owner in self.owners)


@dataclass(frozen=True)
class Address:
    """Where a channel's messages go, with the secrets. Never printed: ``shown`` is."""

    url: SplitResult
    token: str
    shown: str

    @property
    def host(self) -> str:
        return self.url.hostname or ""

    @property
    def port(self) -> int:
        return self.url.port or _PORTS[self.url.scheme]

    @property
    def user(self) -> str:
        return unquote(self.url.username or "")

    @property
    def password(self) -> str:
        return unquote(self.url.password or "")

    @property
    def is_loopback(self) -> bool:
        return self.host in _LOOPBACK

    def redacted(self, text: str) -> str:
        """A text of the other side without what the environment holds: it may repeat what it was sent."""
        path = f"{self.url.path}?{self.url.query}" if self.url.query else self.url.path
        secrets = {self.url.geturl(), path, self.url.query, self.password, self.user, self.token}
        secrets |= {part for part in self.url.path.split("/") if len(part) >= 8}
        for secret in sorted((one for one in secrets if len(one) > 2), key=len, reverse=True):
            text = text.replace(secret, _REDACTED)
        return " ".join(text.split())


def read_channels(root: DataRoot, today: date) -> tuple[list[Channel], list[str]]:
    """The channels that hold today, and what is wrong with others."""
    frame, problems = current_frame(root, TABLE)
    if problems:
        return [], [f"{problem}. No channel is served until it is mended." for problem in problems]
    found: list[Channel] = []
    faults: list[str] = []
    for row in frame.to_dicts():
        first, end = row["valid_from_date"], row["valid_to_date"]
        if (first and today < first) or (end and today >= end):
            continue
        channel = Channel(
            name=row["channel"],
            kind=row["kind"],
            address=row["address"] or "",
            address_env=row["address_env"] or "",
            token_env=row["token_env"] or "",
            sender=row["sender"] or "",
            recipients=_words(row["recipients"]),
            least_severity=row["least_severity"] or "warning",
            owners=_words(row["owners"]),
            place=f"{row['reference_file']}, channel {row['channel']}",
        )
        fault = _fault(channel)
        if any(one.name == channel.name for one in found):
            fault = "two rows hold today; give one of them a valid_to_date"
        if fault:
            faults.append(f"{channel.place}: {fault}.")
        else:
            found.append(channel)
    return found, faults


def _words(cell: str | None) -> tuple[str, ...]:
    return tuple(word for part in (cell or "").split(";") if (word := part.strip()))


def _fault(channel: Channel) -> str:
    if bool(channel.address) == bool(channel.address_env):
        return "give either an address or, where it is a secret, the name of the variable that holds it (address_env)"
    if channel.address and channel.kind in ("slack", "teams"):
        return f"the address of a {channel.kind} webhook is a secret: put it into an environment variable, and its name into address_env"
    if channel.address and "@" in urlsplit(channel.address).netloc:
        return (
            "the address holds a user or a password: put it into an environment variable, and its name into address_env"
        )
    if channel.kind == "email" and not (channel.sender and channel.recipients):
        return "an e-mail channel needs a sender and recipients (several are set apart by semicolons)"
    return ""


def address_of(channel: Channel, environment: Mapping[str, str] = os.environ) -> Address:
    """Where the messages of a channel go. Raises ChannelFault where that is not known or not safe."""
    source = f"${channel.address_env}" if channel.address_env else f"address in {channel.place}"
    text = _variable(channel, channel.address_env, environment) if channel.address_env else channel.address
    schemes = _SCHEMES[channel.kind]
    example = "smtp://user:password@mail.example.com:587" if channel.kind == "email" else "https://host/path"
    try:
        url = urlsplit(text.strip())
        is_one = url.scheme in schemes and bool(url.hostname) and (url.port is None or url.port > 0)
    except ValueError:
        is_one = False
    if not is_one:
        raise ChannelFault(
            f"{source} is no address that begins with {' or '.join(schemes)}, expected such as {example}"
        )
    token = _variable(channel, channel.token_env, environment) if channel.token_env else ""
    address = Address(url, token, f"{url.hostname} ({source})")
    if url.scheme == "http" and (channel.address_env or token) and not address.is_loopback:
        raise ChannelFault(f"{source} begins with http, which would show the secret to all between: use https")
    return address


def _variable(channel: Channel, name: str, environment: Mapping[str, str]) -> str:
    if not (found := environment.get(name, "")):
        raise ChannelFault(
            f"the environment variable {name} is not set; {channel.place} names it. Set it, then send again"
        )
    return found


def channel_names(channels: Sequence[Channel]) -> list[str]:
    return [channel.name for channel in channels]
