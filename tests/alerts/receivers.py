"""Receivers on loopback that alerts are really sent to: a web server, and a mail server that speaks SMTP."""

from __future__ import annotations

import socketserver
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Taken:
    """What came in, and what is answered: each answer once, then always the last."""

    answers: list[int] = field(default_factory=lambda: [200])
    bodies: list[bytes] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    port: int = 0
    says: str = ""
    waits_s: float = 0
    when_taken: Callable[[], None] = lambda: None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/services/T0-secret-path"

    @property
    def keys(self) -> list[str]:
        return [headers["Idempotency-Key"] for headers in self.headers]


@contextmanager
def webhook() -> Iterator[Taken]:
    taken = Taken()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            taken.bodies.append(self.rfile.read(int(self.headers["Content-Length"])))
            taken.headers.append(dict(self.headers))
            taken.when_taken()
            time.sleep(taken.waits_s)
            status = taken.answers.pop(0) if len(taken.answers) > 1 else taken.answers[0]
            try:
                self.send_response(status)
                self.end_headers()
                self.wfile.write(taken.says.encode())
            except OSError:
                pass

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    taken.port = server.server_address[1]
    with _running(server):
        yield taken


@dataclass
class Mailbox:
    """Mails that came in, with their recipients. ``refuses`` are recipients that are not known here."""

    mails: list[EmailMessage] = field(default_factory=list)
    recipients: list[list[str]] = field(default_factory=list)
    refuses: set[str] = field(default_factory=set)
    port: int = 0


@contextmanager
def mail_server() -> Iterator[Mailbox]:
    """As much of RFC 5321 as a client needs to hand over a mail."""
    box = Mailbox()

    class Handler(socketserver.StreamRequestHandler):
        def say(self, text: str) -> None:
            self.wfile.write(f"{text}\r\n".encode())

        def handle(self) -> None:
            self.say("220 mail.test ESMTP")
            recipients: list[str] = []
            while line := self.rfile.readline().decode().strip():
                word = line.upper()
                if word.startswith("EHLO"):
                    self.say("250 mail.test")
                elif word.startswith("RCPT TO:"):
                    address = line[8:].strip().strip("<>")
                    if address in box.refuses:
                        self.say("550 no such user here")
                    else:
                        recipients.append(address)
                        self.say("250 ok")
                elif word == "DATA":
                    self.say("354 end with a dot")
                    lines = []
                    while (row := self.rfile.readline()) not in (b".\r\n", b""):
                        lines.append(row.removeprefix(b".") if row.startswith(b"..") else row)
                    mail = message_from_bytes(b"".join(lines), policy=policy.default)
                    assert isinstance(mail, EmailMessage)
                    box.mails.append(mail)
                    box.recipients.append(recipients)
                    recipients = []
                    self.say("250 queued")
                elif word == "QUIT":
                    self.say("221 bye")
                    return
                else:
                    self.say("250 ok")

    server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    box.port = server.server_address[1]
    with _running(server):
        yield box


@contextmanager
def _running(server: socketserver.BaseServer) -> Iterator[None]:
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
