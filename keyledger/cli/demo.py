"""`keyledger demo`: the main job, told as it happens."""

import secrets
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import click

from keyledger import Actor, APIKey, KeyLedger, LedgerClosed, Use
from keyledger.acting import ActingLedger
from keyledger.cli.demo_story import Story, event_facts, event_table, expect, masked
from keyledger.cli.entries import entry_table
from keyledger.cli.key_tables import key_table
from keyledger.cli.options import Globals, global_options
from keyledger.cli.output import moment, show, show_json
from keyledger.domain.secret import ALPHABET

_USED_WITHIN_SECONDS = 10.0
_POLL_SECONDS = 0.02

_KEYS = (
    ("CI deployments", ("deploy:write", "builds:read"), 90 * 86_400),
    ("Billing export", ("invoices:read",), None),
    ("Staging deployments", ("deploy:write",), 7 * 86_400),
)
_REQUEST = Use(ip_address="203.0.113.7", user_agent="deploy-bot/2.1", method="POST", path="/v1/deployments")


@click.command()
@global_options
@click.pass_obj
def demo(target: Globals) -> None:
    """Show the main job in a few seconds.

    Keys are created, listed, searched, verified and revoked; one is shown as it was before that, and its events as
    they stand in the table.
    Without --dsn and --data-dir it runs in a temporary directory that is gone afterwards, whatever KEYLEDGER_DSN
    says.
    """
    started = time.monotonic()
    story = Story(silent=target.json)
    with _folder(target) as data_dir, KeyLedger.open(target.dsn, data_dir=data_dir) as ledger:
        _tell(story, ledger, Globals.at(target.dsn, data_dir))
    gone = ""
    if target.temporary and data_dir is not None:
        expect(not Path(data_dir).exists(), "the temporary directory to be gone")
        gone = f" {data_dir} was stopped and removed."
    seconds = round(time.monotonic() - started, 1)
    if target.json:
        show_json({"ok": True, "seconds": seconds, "steps": story.steps})
    else:
        show(f"Every step went as it should, in {seconds} s.{gone}")


def _tell(story: Story, ledger: KeyLedger, again: Globals) -> None:
    store = ledger.status().store
    story.tell(
        "start",
        f"PostgreSQL {store.server_version} answers; the schema is at version {store.schema_version}.",
        server_version=store.server_version,
        schema_version=store.schema_version,
    )
    actor = Actor(user_id="user_ada", organization_id=f"org_{secrets.token_hex(4)}", ip_address="198.51.100.20")
    acting = ledger.on_behalf_of(actor)
    keys = _create(story, acting, actor)
    _list(story, acting, keys)
    key = keys[0]
    assert key.secret is not None
    _verify(story, ledger, key, key.secret)
    _tamper(story, again, key.secret)
    _revoke(story, acting, key, key.secret)
    _list_again(story, acting, key, len(keys))
    _replay(story, ledger, key)
    _events(story, ledger, key)
    _audit(story, ledger, key, actor)


def _create(story: Story, acting: ActingLedger, actor: Actor) -> list[APIKey]:
    keys = [
        acting.api_keys.create(name=name, scopes=scopes, seconds_until_expiration=seconds)
        for name, scopes, seconds in _KEYS
    ]
    expect(all(key.secret and key.subject == actor.organization_id for key in keys), "keys of the organization")
    story.tell(
        "create",
        f"{actor.user_id} created {len(keys)} keys for {actor.organization_id}. Each secret is given this once:",
        *(f"{key.name}: {masked(key.secret or '')}" for key in keys),
        organization_id=actor.organization_id,
        user_id=actor.user_id,
        api_key_ids=[key.id for key in keys],
    )
    return keys


def _list(story: Story, acting: ActingLedger, keys: list[APIKey]) -> None:
    page = acting.api_keys.get_all()
    expect([key.id for key in page.data] == [key.id for key in reversed(keys)], "all keys, newest first")
    story.tell(
        "list",
        f"The organization's {page.total_count} keys, newest first:",
        key_table(page.data),
        total_count=page.total_count,
        api_key_ids=[key.id for key in page.data],
    )
    query = "DEPLOY"
    found = acting.api_keys.get_all(query=query)
    wanted = [key.id for key in reversed(keys) if query.lower() in key.name.lower()]
    expect([key.id for key in found.data] == wanted, f"the keys with {query} in their name")
    story.tell(
        "search",
        f"A search for {query!r} finds {found.total_count}:",
        *(key.name for key in found.data),
        query=query,
        total_count=found.total_count,
        api_key_ids=[key.id for key in found.data],
    )


def _verify(story: Story, ledger: KeyLedger, key: APIKey, secret: str) -> None:
    answer = ledger.verify(secret, scopes=["deploy:write"], use=_REQUEST)
    expect(answer.valid and answer.api_key is not None, "a valid secret to be accepted")
    story.tell(
        "verify",
        f"{_REQUEST.method} {_REQUEST.path} came with the secret of {key.name!r}: {answer.code}.",
        api_key_id=key.id,
        valid=answer.valid,
        code=answer.code,
    )
    began = time.monotonic()
    while (used := key.reload().last_used_at) is None:
        expect(time.monotonic() - began < _USED_WITHIN_SECONDS, "last_used_at soon after a use")
        time.sleep(_POLL_SECONDS)
    waited = round(time.monotonic() - began, 2)
    story.tell(
        "last_used",
        f"{waited} s later the key says that it was last used at {moment(used)}.",
        api_key_id=key.id,
        last_used_at=used,
        seconds=waited,
    )


def _tamper(story: Story, again: Globals, secret: str) -> None:
    position = len(secret) // 2
    other = ALPHABET[(ALPHABET.index(secret[position]) + 1) % len(ALPHABET)]
    tampered = f"{secret[:position]}{other}{secret[position + 1 :]}"
    with KeyLedger.open(again.dsn, data_dir=again.data_dir) as closed:
        pass
    try:
        closed.verify(secret)
        undecided = False
    except LedgerClosed:
        undecided = True
    expect(undecided, "a closed ledger to decide on no secret that it would have to look up")
    answer = closed.verify(tampered)
    expect(not answer.valid and answer.code == "malformed", "a tampered secret to be refused as malformed")
    story.tell(
        "tamper",
        f"With one character changed the secret is refused: {answer.code}. No query was needed:",
        "a ledger that was closed first gave this answer, and could give none on the whole secret.",
        valid=answer.valid,
        code=answer.code,
        asked_of_a_closed_ledger=undecided,
    )


def _revoke(story: Story, acting: ActingLedger, key: APIKey, secret: str) -> None:
    revoked = acting.api_keys.revoke(key.id, revocation_reason="leaked in a build log")
    expect(revoked.revoked, "the key to be revoked")
    story.tell(
        "revoke",
        f"{key.name!r} is revoked: {revoked.revocation_reason}.",
        api_key_id=key.id,
        revocation_reason=revoked.revocation_reason,
    )
    answer = acting.verify(secret, scopes=["deploy:write"], use=_REQUEST)
    expect(not answer.valid and answer.code == "revoked", "the secret of a revoked key to be refused as revoked")
    story.tell(
        "refusal",
        f"The same request with the same secret: {answer.code}.",
        api_key_id=key.id,
        valid=answer.valid,
        code=answer.code,
    )


def _list_again(story: Story, acting: ActingLedger, key: APIKey, created: int) -> None:
    active, every = acting.api_keys.get_all(), acting.api_keys.get_all(include_invalid=True)
    expect(key.id not in {found.id for found in active.data}, "the revoked key to be left out of the list")
    expect(every.total_count == created, "the revoked key in the list of all keys")
    story.tell(
        "list_again",
        f"{active.total_count} keys are left; with revoked and expired ones there are {every.total_count}:",
        key_table(every.data),
        active=active.total_count,
        total_count=every.total_count,
    )


def _replay(story: Story, ledger: KeyLedger, key: APIKey) -> None:
    now = key.reload()
    moment_before = now.updated_at - timedelta(microseconds=1)  # a revocation is the last that can happen to a key
    before = ledger.replay.key_as_of(key.id, moment_before)
    expect(before is not None and not before.revoked, "the key to have been active before its revocation")
    assert before is not None
    expect(ledger.replay.key_as_of(key.id, now.updated_at) == now, "the events to make the key that it is now")
    story.tell(
        "replay",
        "Out of the events alone: the key as it was just before it was revoked, and as it is now.",
        key_table((before, now)),
        api_key_id=key.id,
        at=moment_before,
        before=before.as_dict(),
        now=now.as_dict(),
    )


def _events(story: Story, ledger: KeyLedger, key: APIKey) -> None:
    rows = ledger.event_rows(key.id)
    expect([row.version for row in rows] == list(range(1, len(rows) + 1)), "versions without a gap")
    story.tell(
        "events",
        f"All of this is {len(rows)} events in the table keyledger.events, of {key.name!r}:",
        event_table(rows),
        api_key_id=key.id,
        events=[event_facts(row) for row in rows],
    )


def _audit(story: Story, ledger: KeyLedger, key: APIKey, actor: Actor) -> None:
    entries = ledger.audit.history(api_key_id=key.id, descending=False, fresh=True).entries
    expect([entry.actor for entry in entries if entry.event_type != "KeyUsed"] == [actor, actor], "who acted")
    story.tell(
        "audit",
        "The audit trail says who did what with it, and when, each use on a line of its own:",
        entry_table(entries),
        api_key_id=key.id,
        entries=[entry.as_dict() for entry in entries],
    )


@contextmanager
def _folder(target: Globals) -> Iterator[str | None]:
    """Where the embedded ledger lives: what the options say, else a directory for as long as the demo lasts."""
    if not target.temporary:
        yield target.data_dir
        return
    with tempfile.TemporaryDirectory(prefix="keyledger-demo-") as folder:
        yield folder
