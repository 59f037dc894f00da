"""One message to one channel: HTTP by requests, e-mail by the library's own SMTP. What goes wrong is said in words."""

from __future__ import annotations

import json
import smtplib
import socket
import ssl
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any

from pipelines.alerting import messages
from pipelines.alerting.channels import Address, Channel
from pipelines.alerting.outbox import Kept

# Between tries, in seconds. A try that fails after the last one leaves the message in the outbox.
PAUSES_S: Sequence[float] = (1, 4, 16)
CONNECT_S, ANSWER_S = 5.0, 20.0
# A receiver may ask for patience; for more than this the next send is the better try.
_LONGEST_PAUSE_S = 60.0
_BUSY = (408, 425, 429)
_WRONG_ADDRESS = (401, 403, 404, 405, 410)
_TEXT_SHOWN = 160


class Undelivered(Exception):
    """The other side did not take a message. ``pause_s`` is what it asked for, None where another try has no sense now."""

    def __init__(self, found: str, remedy: str, *, pause_s: float | None = None) -> None:
        super().__init__(f"{found}. {remedy}")
        self.pause_s = pause_s


def deliver(
    channel: Channel,
    address: Address,
    message: Kept,
    pauses_s: Sequence[float] = PAUSES_S,
    wait: Callable[[float], None] = time.sleep,
) -> str:
    """Send a message, again after each pause where that may help. A remark comes back, such as a recipient that was refused.

    Raises Undelivered with what was found the last time.
    """
    send = _mail if channel.kind == "email" else _post
    for pause_s in (*pauses_s, None):
        try:
            return send(channel, address, message)
        except Undelivered as error:
            if error.pause_s is None or pause_s is None or error.pause_s > _LONGEST_PAUSE_S:
                raise
            wait(max(pause_s, error.pause_s))
    raise AssertionError


# ---- HTTP
def request_of(channel: Channel, message: Kept) -> tuple[Mapping[str, str], bytes]:
    """Headers (without the secret one) and body, as they are sent."""
    headers = {
        "Content-Type": "application/json; charset=utf-8",
        "User-Agent": "tokenbooks",
        "Idempotency-Key": message.key,
    }
    return headers, json.dumps(messages.body_of(channel, message.content), ensure_ascii=False).encode()


def _post(channel: Channel, address: Address, message: Kept) -> str:
    # It takes a tenth of a second to import.
    import requests

    headers, body = request_of(channel, message)
    if address.token:
        headers = {**headers, "Authorization": f"Bearer {address.token}"}
    try:
        answer = requests.post(
            address.url.geturl(), data=body, headers=headers, timeout=(CONNECT_S, ANSWER_S), allow_redirects=False
        )
    except requests.RequestException as error:
        raise _unreached(address, error) from None
    if 200 <= answer.status_code < 300:
        return ""
    said = address.redacted(answer.text[:2_000])[:_TEXT_SHOWN]
    found = f"{address.shown} answered {answer.status_code}" + (f" ({said})" if said else "")
    if answer.status_code >= 500 or answer.status_code in _BUSY:
        raise Undelivered(found, "It stays in the outbox; send again later", pause_s=_asked_for(answer.headers))
    if answer.status_code in _WRONG_ADDRESS:
        raise Undelivered(found, "Make a new webhook there, put its address in place of this one, then send again")
    if answer.status_code < 400:
        raise Undelivered(found, "It sends elsewhere, which is not followed: put the new address in place of this one")
    raise Undelivered(found, f"It does not take messages of the kind {channel.kind}: see whether the kind is right")


def _asked_for(headers: Mapping[str, str]) -> float:
    with suppress(ValueError):
        return max(0.0, float(headers.get("Retry-After", "0")))
    return 0.0


def _unreached(address: Address, error: Exception) -> Undelivered:
    import requests
    from urllib3.exceptions import NameResolutionError

    if isinstance(error, requests.exceptions.SSLError):
        return Undelivered(
            f"the certificate of {address.shown} is not one that this machine trusts",
            "See whether the host is right; an authority of your own goes into $REQUESTS_CA_BUNDLE",
        )
    if isinstance(error, requests.exceptions.ConnectTimeout):
        return _timed_out(address, CONNECT_S, "accept a connection")
    if isinstance(error, requests.exceptions.Timeout):
        return _timed_out(address, ANSWER_S, "answer")
    if any(isinstance(one, NameResolutionError) for one in _causes(error)):
        return _unknown_host(address)
    if isinstance(error, (requests.exceptions.InvalidURL, requests.exceptions.InvalidSchema)):
        return Undelivered(f"{address.shown} is no address that can be used", "Mend it, then send again")
    return _no_connection(address)


def _causes(error: BaseException) -> Iterator[BaseException]:
    left: list[Any] = [error]
    while left:
        one = left.pop()
        if isinstance(one, BaseException):
            yield one
            left += [*one.args, getattr(one, "reason", None)]


def _timed_out(address: Address, limit_s: float, what: str) -> Undelivered:
    found = f"{address.shown} did not {what} within {limit_s:g} seconds"
    return Undelivered(
        found, "See whether it is up and reachable from here; the message stays in the outbox", pause_s=0
    )


def _unknown_host(address: Address) -> Undelivered:
    return Undelivered(
        f"no host is known by the name {address.host} ({address.shown})",
        "See whether the name is right and this machine is on the network; the message stays in the outbox",
    )


def _no_connection(address: Address) -> Undelivered:
    found = f"{address.shown}, port {address.port}, takes no connection or broke it off"
    return Undelivered(
        found, "See whether host and port are right and the service is up; it stays in the outbox", pause_s=0
    )


# ---- SMTP
def _mail(channel: Channel, address: Address, message: Kept) -> str:
    mail = messages.email(channel, message.content, message.created_at)
    try:
        with _connected(address) as server:
            refused = server.send_message(mail, channel.sender, list(channel.recipients))
    except smtplib.SMTPRecipientsRefused as error:
        raise _refused(address, error.recipients) from None
    except smtplib.SMTPAuthenticationError as error:
        said = f"{address.shown} refused user and password ({_said(address, error)})"
        raise Undelivered(said, "Put the right ones into the variable, then send again") from None
    except smtplib.SMTPResponseException as error:
        said = f"{address.shown} answered {_said(address, error)}"
        if 400 <= error.smtp_code < 500:
            raise Undelivered(said, "It stays in the outbox; send again later", pause_s=0) from None
        raise Undelivered(said, f"See whether the sender {channel.sender} may send there, then send again") from None
    except ssl.SSLError:
        said = f"the encryption of {address.shown}, port {address.port}, is not one that this machine trusts"
        raise Undelivered(said, "See whether host and port are right (587 for smtp, 465 for smtps)") from None
    except socket.gaierror:
        raise _unknown_host(address) from None
    except TimeoutError:
        raise _timed_out(address, ANSWER_S, "answer") from None
    except smtplib.SMTPNotSupportedError:
        said = f"{address.shown} takes no user and password, or not letters beyond ASCII"
        raise Undelivered(said, "Leave user and password out of the address, or use a server that does") from None
    except (OSError, smtplib.SMTPException) as error:
        # What the library says of an answer that does not come is that the connection is closed.
        if isinstance(error.__context__, TimeoutError):
            raise _timed_out(address, ANSWER_S, "answer") from None
        raise _no_connection(address) from None
    if refused:
        return f"{address.shown} did not take the recipients {', '.join(sorted(refused))}; the others have it. Mend recipients"
    return ""


def _connected(address: Address) -> smtplib.SMTP:
    context = ssl.create_default_context()
    name = socket.gethostname()
    if address.url.scheme == "smtps":
        server: smtplib.SMTP = smtplib.SMTP_SSL(
            address.host, address.port, local_hostname=name, timeout=ANSWER_S, context=context
        )
    else:
        server = smtplib.SMTP(address.host, address.port, local_hostname=name, timeout=ANSWER_S)
    try:
        server.ehlo()
        if address.url.scheme == "smtp" and server.has_extn("starttls"):
            server.starttls(context=context)
            server.ehlo()
        elif address.url.scheme == "smtp" and address.user and not address.is_loopback:
            raise Undelivered(
                f"{address.shown} offers no encryption (STARTTLS), and the password would be sent as it is",
                "Use smtps, or a server that offers it",
            )
        if address.user:
            server.login(address.user, address.password)
    except BaseException:
        server.close()
        raise
    return server


def _refused(address: Address, recipients: Mapping[str, tuple[int, bytes]]) -> Undelivered:
    code = max(code for code, _ in recipients.values())
    found = f"{address.shown} refused all recipients ({', '.join(sorted(recipients))}: {code})"
    if code < 500:
        return Undelivered(found, "It stays in the outbox; send again later", pause_s=0)
    return Undelivered(found, "Mend the recipients, then send again")


def _said(address: Address, error: smtplib.SMTPResponseException) -> str:
    text = error.smtp_error.decode("utf-8", "replace") if isinstance(error.smtp_error, bytes) else str(error.smtp_error)
    return f"{error.smtp_code} {address.redacted(text)}"[:_TEXT_SHOWN]
