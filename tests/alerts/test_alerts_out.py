"""Alerts are really sent: to a web server and a mail server on loopback, once when they start and once when they are over."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from pipelines import alerting
from pipelines.alerting import messages, sending
from pipelines.alerting.changes import Change
from pipelines.alerting.channels import Channel, read_channels
from pipelines.cli import app
from pipelines.cli.run import send_alerts as after_a_run
from pipelines.engine import connect, rows_of
from pipelines.lake import Lake, LakeError
from pipelines.models import models
from pipelines.paths import DataRoot
from pipelines.reference import write_frame
from pipelines.settings import Settings
from tests.alerts.receivers import Mailbox, Taken, mail_server, webhook
from tests.tables import create

NOW = datetime(2026, 11, 20, 8, tzinfo=UTC)
HEADER = "channel,kind,address,address_env,token_env,sender,recipients,least_severity,owners,valid_from_date"
# Nobody listens on it: port 9 is reserved for throwing things away.
DEAD = "http://127.0.0.1:9/x"


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("no_proxy", "127.0.0.1")


@pytest.fixture
def hook() -> Iterator[Taken]:
    with webhook() as taken:
        yield taken


@pytest.fixture
def mailbox() -> Iterator[Mailbox]:
    with mail_server() as box:
        yield box


def alert(
    name: str, owner: str = "care", severity: str = "warning", usd: str | None = "10", **more: Any
) -> dict[str, Any]:
    return {
        "alert_id": f"{name}-1",
        "dedupe_key": name,
        "rule": "cache_drop",
        "entity_type": "feature",
        "entity_id": name,
        "dimension": "",
        "alert_state": "resolved" if more.get("resolved_date") else "open",
        "severity": severity,
        "is_possible": False,
        "opened_date": date(2026, 11, 16),
        "last_opened_date": date(2026, 11, 16),
        "reopened_count": 0,
        "breaches": 1,
        "dollars_at_stake_usd": None if usd is None else Decimal(usd),
        "breached_usd": None if usd is None else Decimal(usd),
        "owner": owner,
        "sentence": f"{name} caches less.",
        "remedy": "Look at the prompt.",
        "evidence_query": "select 1",
    } | more


def books(root: DataRoot, *alerts: dict[str, Any], failed: bool = False) -> DataRoot:
    """A data root whose mart_alerts has these rows."""
    root.path.mkdir(exist_ok=True)
    types = models()["mart_alerts"].types
    with connect(Settings(threads=2), root.scratch) as con:
        create(con, "given", types, list(alerts))
        lake = Lake(root)
        write_frame(con, root, lake, "mart_alerts", pl.DataFrame(rows_of(con, "from given")), "given")
        lake.save_index()
    return root


def channels(root: DataRoot, *rows: str) -> None:
    root.reference.mkdir(parents=True, exist_ok=True)
    cells = HEADER.count(",")
    lines = [row + "," * (cells - row.count(",")) for row in rows]
    (root.reference / "alert_channels.csv").write_text("\n".join([HEADER, *lines, ""]), encoding="utf-8")


def send(root: DataRoot, **more: Any) -> alerting.Sent:
    return alerting.send(root, now=NOW, pauses_s=(0, 0), **more)


def told(taken: Taken) -> list[list[tuple[str, str]]]:
    """Of each message, what it says of which thing."""
    return [[(one["change"], one["entity"]) for one in json.loads(body)["alerts"]] for body in taken.bodies]


# ---- what is told, and when


def test_an_alert_is_told_when_it_starts_when_it_gets_graver_and_when_it_is_over_and_at_no_other_time(root, hook):
    """The first message tells what is open: $40 before $10, both of one owner; the one that was over is not told."""
    channels(root, f"ops,webhook,{hook.url}")
    old = alert("old", resolved_date=date(2026, 10, 1), last_opened_date=date(2026, 9, 1))

    steps: list[list[dict[str, Any]]] = [
        [old, alert("chat"), alert("agent", usd="40"), alert("quiet", severity="info")],
        [old, alert("chat"), alert("agent", usd="45")],
        [old, alert("chat", severity="critical", usd="90"), alert("agent"), alert("new", usd=None)],
        [old, alert("chat", severity="critical", resolved_date=date(2026, 11, 19)), alert("agent"), alert("new")],
        [old, alert("chat", reopened_count=1, last_opened_date=date(2026, 11, 20)), alert("agent"), alert("new")],
    ]
    for rows in steps:
        for _ in range(2):
            assert send(books(root, *rows)).is_well

    assert told(hook) == [
        [("opened", "feature agent"), ("opened", "feature chat")],
        [("opened", "feature new"), ("escalated", "feature chat")],
        [("resolved", "feature chat")],
        [("reopened", "feature chat")],
    ]
    first, second, over, _ = (json.loads(body) for body in hook.bodies)
    assert (first["is_first"], second["is_first"]) == (True, False)
    assert first["subject"] == "tokenbooks, care: 2 alerts open, the dearest $40.00"
    assert second["subject"] == "tokenbooks, care: 1 alert new and 1 graver, the dearest $90.00"
    assert second["alerts"][0]["dollars_at_stake_usd"] is None
    assert over["subject"] == "tokenbooks, care: 1 alert over"
    assert len(set(hook.keys)) == 4


def test_what_came_and_went_between_two_messages_is_told_once_also_where_late_files_move_its_days(root, hook):
    channels(root, f"ops,webhook,{hook.url}")
    send(books(root, alert("chat")))
    passed = alert("spike", last_opened_date=date(2026, 11, 17), resolved_date=date(2026, 11, 19))
    moved = passed | {"last_opened_date": date(2026, 11, 18), "alert_id": "spike-2"}

    for row in (passed, moved):
        send(books(root, alert("chat"), row))

    assert told(hook)[1:] == [[("passed", "feature spike")]]


def test_what_the_books_no_longer_find_and_what_has_another_owner_is_said(root, hook):
    channels(root, f"care,webhook,{hook.url},,,,,,care")
    send(books(root, alert("chat"), alert("agent"), alert("other", owner="search")))
    send(books(root, alert("agent", owner="search")))

    assert told(hook)[1:] == [[("withdrawn", "feature chat"), ("moved", "feature agent")]]
    assert "Another team owns it now: search." in hook.bodies[1].decode()


def test_a_message_is_for_one_owner_and_a_channel_says_whose_and_how_grave(root, hook, mailbox):
    channels(
        root,
        f"ops,webhook,{hook.url},,,,,critical",
        f"care,email,smtp://127.0.0.1:{mailbox.port},,,books@example.com,lee@example.com; kim@example.com,,care",
    )
    send(
        books(
            root, alert("chat"), alert("agent", owner="search", severity="critical"), alert("x", owner="unattributed")
        )
    )

    assert told(hook) == [[("opened", "feature agent")]]
    [mail] = mailbox.mails
    assert mailbox.recipients == [["lee@example.com", "kim@example.com"]]
    assert mail["Subject"] == "tokenbooks, care: 1 alert open, $10.00"
    text, page = (mail.get_body((kind,)).get_content() for kind in ("plain", "html"))
    for part in (
        "Open: warning, $10.00, owner care, since 2026-11-16",
        "chat caches less.",
        "Look at the prompt.",
        "select 1",
    ):
        assert part in text
        assert part in page


def test_nothing_new_is_told_while_a_critical_check_fails(root, hook, monkeypatch):
    channels(root, f"ops,webhook,{hook.url}")
    books(root, alert("chat"))
    monkeypatch.setattr("pipelines.alerting.RunReport.cause", "mart_showback_weekly failed")

    result = send(root)

    assert (result.held_back, hook.bodies) == ("mart_showback_weekly failed", [])
    monkeypatch.undo()
    send(root)
    assert len(hook.bodies) == 1


# ---- what goes wrong


def test_a_receiver_that_is_down_for_a_moment_is_tried_again_with_the_same_key(root, hook):
    hook.answers = [500, 429, 200]
    channels(root, f"ops,webhook,{hook.url}")

    assert send(books(root, alert("chat"))).is_well

    assert len(hook.bodies) == 3
    assert len(set(hook.keys)) == 1
    assert send(root).sent == []


@pytest.mark.parametrize(
    ("row", "said"),
    [
        (f"bad,webhook,{DEAD}", "port 9, takes no connection or broke it off. See whether host and port are right"),
        ("bad,webhook,http://no-such-host.invalid/x", "no host is known by the name no-such-host.invalid"),
        ("bad,email,smtp://127.0.0.1:9,,,a@example.com,b@example.com", "port 9, takes no connection"),
        ("bad,slack,,SLACK_NOT_SET", "the environment variable SLACK_NOT_SET is not set; reference/alert_channels.csv"),
        ("bad,slack,,SLACK_OF_TEST", "127.0.0.1 ($SLACK_OF_TEST) answered 404 (no_service for ***). Make a new webhook there"),
        ("bad,webhook,http://192.0.2.1/x,,A_TOKEN", "begins with http, which would show the secret to all between"),
    ],
)  # fmt: skip
def test_a_channel_that_fails_is_named_with_what_to_do_and_the_others_are_served(root, hook, monkeypatch, row, said):
    """Its message waits, and is sent when the channel is mended."""
    monkeypatch.setenv("A_TOKEN", "token-of-test")
    with webhook() as gone:
        gone.answers, gone.says = [404], "no_service for /services/T0-secret-path"
        monkeypatch.setenv("SLACK_OF_TEST", gone.url)
        channels(root, row, f"ops,webhook,{hook.url}")

        result = send(books(root, alert("chat")))

    assert told(hook) == [[("opened", "feature chat")]]
    [problem] = result.problems
    assert problem.startswith("Channel bad (")
    assert said in problem
    assert [one["channel"] for one in result.waiting] == ["bad"]
    assert b"secret-path" not in root.outbox.read_bytes()
    assert "secret-path" not in json.dumps(result.as_dict())

    channels(root, f"bad,webhook,{hook.url}", f"ops,webhook,{hook.url}")
    assert [one["channel"] for one in send(root).sent] == ["bad"]


def test_a_receiver_that_does_not_answer_is_left_after_a_while(root, hook, monkeypatch):
    monkeypatch.setattr(sending, "ANSWER_S", 0.2)
    hook.waits_s = 0.6
    channels(root, f"slow,webhook,{hook.url}")
    with socket.create_server(("127.0.0.1", 0)) as silent:
        channels(
            root,
            f"slow,webhook,{hook.url}",
            f"mute,email,smtp://127.0.0.1:{silent.getsockname()[1]},,,a@example.com,b@example.com",
        )
        result = alerting.send(books(root, alert("chat")), now=NOW, pauses_s=())

    assert [problem.partition(" (address")[0] for problem in result.problems] == [
        "Channel slow (webhook): 127.0.0.1",
        "Channel mute (email): 127.0.0.1",
    ]
    assert all("did not answer within 0.2 seconds" in problem for problem in result.problems)


def test_a_recipient_that_is_refused_is_named_and_the_others_have_the_mail(root, mailbox):
    mailbox.refuses = {"old@example.com"}
    channels(root, f"m,email,smtp://127.0.0.1:{mailbox.port},,,a@example.com,old@example.com; lee@example.com")

    result = send(books(root, alert("chat")))

    assert mailbox.recipients == [["lee@example.com"]]
    assert "did not take the recipients old@example.com; the others have it" in result.problems[0]
    assert (len(result.sent), result.waiting) == (1, [])


def test_a_row_that_cannot_be_is_named_by_its_channel_and_the_others_are_served(root, hook):
    channels(
        root,
        "a,slack,https://hooks.example.com/x",
        "b,email,smtp://user:secret@host.example.com,,,x@example.com,y@example.com",
        "c,email,smtp://host.example.com",
        "d,webhook",
        f"later,webhook,{hook.url},,,,,,,2027-01-01",
        f"ops,webhook,{hook.url}",
    )

    result = send(books(root, alert("chat")))

    assert [one["channel"] for one in result.sent] == ["ops"]
    said = dict(
        problem.removeprefix("reference/alert_channels.csv, channel ").split(": ", 1) for problem in result.problems
    )
    assert said["a"].startswith("the address of a slack webhook is a secret")
    assert said["b"].startswith("the address holds a user or a password")
    assert said["c"].startswith("an e-mail channel needs a sender and recipients")
    assert said["d"].startswith("give either an address or")
    assert "secret@" not in str(result)


def test_a_file_of_channels_with_a_fault_names_line_and_column(root):
    channels(root, "ops,pigeon,https://x.example.com")

    [problem] = send(books(root, alert("chat"))).problems

    assert problem.startswith("reference/alert_channels.csv, line 2, column kind: 'pigeon', expected webhook or slack")


def test_the_channels_of_the_page_can_be_served(root):
    page = (Path(__file__).parents[2] / "docs" / "alerts_out.md").read_text(encoding="utf-8")
    root.reference.mkdir(parents=True)
    (root.reference / "alert_channels.csv").write_text(page.split("```csv\n")[1].split("```")[0], encoding="utf-8")

    found, faults = read_channels(root, NOW.date())

    assert faults == []
    assert [one.owners for one in found] == [(), (), ("care", "support"), ()]


# ---- crashes and two at once


def command(root: DataRoot, *words: str) -> list[str]:
    return [str(Path(sys.executable).with_name("tokenbooks")), "alerts", "send", *words, "--root", str(root.path)]


def test_a_send_that_is_killed_between_the_message_and_its_mark_loses_nothing(root, hook):
    """Two owners, two messages. The first is taken and the sender dies: it comes again under its key, the second once."""
    channels(root, f"ops,webhook,{hook.url}")
    books(root, alert("chat", owner="a"), alert("agent", owner="b"))
    process = subprocess.Popen(command(root), stdout=subprocess.DEVNULL)

    def kill() -> None:
        hook.when_taken = lambda: None
        os.kill(process.pid, signal.SIGKILL)

    hook.when_taken = kill
    assert process.wait(60) == -signal.SIGKILL
    assert len(hook.keys) == 1

    assert len(send(root).sent) == 2
    assert send(root).sent == []
    assert hook.keys[1] == hook.keys[0]
    assert hook.bodies[1] == hook.bodies[0]
    assert told(hook)[1:] == [[("opened", "feature chat")], [("opened", "feature agent")]]


def test_two_processes_at_once_do_not_send_twice(root, hook):
    channels(root, f"ops,webhook,{hook.url}")
    books(root, alert("chat"))
    is_taken, may_go_on = threading.Event(), threading.Event()

    def hold() -> None:
        is_taken.set()
        may_go_on.wait(60)

    hook.when_taken = hold
    with subprocess.Popen(command(root), stdout=subprocess.DEVNULL) as process:
        assert is_taken.wait(60)
        with pytest.raises(LakeError, match=r"are being sent just now \(process \d+\)"):
            send(root)
        may_go_on.set()
        assert process.wait(60) == 0

    assert send(root).sent == []
    assert len(hook.bodies) == 1


# ---- the command


def run_command(*words: str) -> int:
    try:
        app([*words], standalone_mode=False)
    except SystemExit as ended:
        return int(str(ended.code))
    except Exception as error:
        return int(getattr(error, "exit_code", -1))
    return 0


def test_a_dry_run_prints_what_is_sent_and_keeps_nothing(root, hook, monkeypatch, capsys):
    """What is printed is the body that then comes in, byte for byte; the token is not."""
    monkeypatch.setenv("A_TOKEN", "token-of-test")
    channels(root, f"ops,webhook,{hook.url},,A_TOKEN")
    books(root, alert("chat"))

    assert run_command("alerts", "send", "--dry-run", "--root", str(root.path)) == 0
    printed = capsys.readouterr().out
    assert not root.outbox.exists()
    assert hook.bodies == []

    assert run_command("alerts", "send", "--to", "ops", "--root", str(root.path)) == 0
    assert hook.bodies[0].decode() in printed
    assert f"Idempotency-Key: {hook.keys[0]}" in printed
    assert hook.headers[0]["Authorization"] == "Bearer token-of-test"
    assert "token-of-test" not in printed
    assert "Sent         ops: tokenbooks, care: 1 alert open, $10.00" in capsys.readouterr().out


def test_the_command_lists_ends_with_1_where_a_channel_failed_and_with_2_for_a_wrong_name(root, capsys):
    channels(root, f"ops,webhook,{DEAD}")
    books(root, alert("chat"), alert("quiet", severity="info", usd="2"))

    assert run_command("alerts", "--json", "--root", str(root.path)) == 0
    assert [row["entity_id"] for row in json.loads(capsys.readouterr().out)] == ["chat", "quiet"]
    assert run_command("alerts", "send", "--to", "opps", "--root", str(root.path)) == 2


def test_after_a_run_alerts_are_sent_only_where_the_settings_say_so(root, hook):
    channels(root, f"ops,webhook,{hook.url}")
    books(root, alert("chat"))

    assert after_a_run(root) is None
    assert hook.bodies == []
    root.settings.write_text("send_alerts = true\n", encoding="utf-8")
    sent = after_a_run(root)
    assert sent is not None
    assert len(sent.sent) == len(hook.bodies) == 1


def test_without_a_channel_the_command_says_what_to_do_and_makes_nothing(root, capsys):
    books(root, alert("chat"))

    assert run_command("alerts", "send", "--root", str(root.path)) == 0
    assert capsys.readouterr().out.strip() == alerting.NO_CHANNELS


# ---- forms


def content_of(*found: Change) -> dict[str, Any]:
    channel = Channel("c", "webhook", "", "X", "", "", (), "warning", (), "reference/alert_channels.csv")
    return messages.message(channel, "care", found, 0, is_first=False)


def change(name: str, **more: Any) -> Change:
    row = alert(name, **more)
    return Change("opened", name, row["owner"], row["severity"], row["rule"], f"feature {name}", row["sentence"], row)


def test_slack_and_teams_get_what_they_can_take():
    """A name that would call everybody in Slack, or be a link in Teams, stays text; of 40 long alerts 12 are shown, 28 counted."""
    hostile = change("<!channel> [x](y)", sentence="z" * 5_000)
    content = content_of(hostile, *(change(f"f{number}", sentence="long " * 500) for number in range(39)))

    blocks = messages.slack(content)["blocks"]
    card = messages.teams(content)

    assert len(blocks) <= 50
    assert max(len(block.get("text", {}).get("text", "")) for block in blocks) <= 3_000
    assert "<!channel>" not in json.dumps(blocks)
    assert "28 more alerts: tokenbooks alerts" in json.dumps(blocks)
    assert len(json.dumps(card)) < 28_000
    assert "[x](y)" not in json.dumps(card)
    assert card["attachments"][0]["content"]["type"] == "AdaptiveCard"
