"""The commands. They speak to AWS with the operator's own credentials, not to the HTTP API: the first key has to come from somewhere.

What is heavy (boto3, rich) is imported by the command that needs it, so that `--help` does not wait for it.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from tributary.cli.target import DEFAULT_STACK, LOCAL_STACK_FILE, TargetMissing

if TYPE_CHECKING:
    import msgspec

    from tributary.cli import report_tables
    from tributary.cli.rebuilding import Rebuild
    from tributary.cli.target import Target
    from tributary.entered.batches import Batches
    from tributary.entered.entering import Entering, Outcome
    from tributary.operator import Initialised, Operator
    from tributary.recent import RecentEvents
    from tributary.settings import Connection
    from tributary.sync.syncs import Sync, Syncs

POLL_SECONDS: Final = 2.0
"""Between two looks of `events --follow`."""

app = typer.Typer(
    name="tributary", help="Operate a Tributary stack.", no_args_is_help=True, pretty_exceptions_enable=False, add_completion=False, rich_markup_mode=None
)
keys_app = typer.Typer(help="API keys; write keys can be listed and revoked here too.", no_args_is_help=True, rich_markup_mode=None)
sources_app = typer.Typer(help="Where events come from.", no_args_is_help=True, rich_markup_mode=None)
connections_app = typer.Typer(help="Accounts that events are forwarded to, or read from.", no_args_is_help=True, rich_markup_mode=None)
sync_app = typer.Typer(help="Accounts that are asked for what they know.", rich_markup_mode=None)
contacts_app = typer.Typer(help="People.", no_args_is_help=True, rich_markup_mode=None)
ad_spend_app = typer.Typer(help="What advertisements cost, in batches that can be taken back.", no_args_is_help=True, rich_markup_mode=None)
rates_app = typer.Typer(help="What currencies were worth in one another, in batches too.", no_args_is_help=True, rich_markup_mode=None)
rebuild_app = typer.Typer(help="CONTACTS and FACTS made anew from the log, beside those that are served.", rich_markup_mode=None)
fixed_costs_app = typer.Typer(help="Costs that no advertisement has.", no_args_is_help=True, rich_markup_mode=None)
app.add_typer(keys_app, name="keys")
app.add_typer(sources_app, name="sources")
app.add_typer(connections_app, name="connections")
app.add_typer(contacts_app, name="contacts")
app.add_typer(sync_app, name="sync")
app.add_typer(ad_spend_app, name="ad-spend")
app.add_typer(rates_app, name="rates")
app.add_typer(fixed_costs_app, name="fixed-costs")
app.add_typer(rebuild_app, name="rebuild")


class Failed(Exception):
    """The command cannot go on; the text is one line for a person."""


@dataclass
class _Chosen:
    """Which stack the options name; looked up by the first command that needs it."""

    stack: str
    local: bool
    region: str | None
    profile: str | None

    def target(self) -> Target:
        from tributary.cli.target import of_local, of_stack  # noqa: PLC0415

        return of_local() if self.local else of_stack(self.stack, region=self.region, profile=self.profile)

    def operator(self) -> Operator:
        from tributary.cli.target import operator_of  # noqa: PLC0415

        return operator_of(self.target())


@app.callback()
def choose(
    context: typer.Context,
    stack: Annotated[str, typer.Option(help="The deployed stack.", envvar="TRIBUTARY_STACK")] = DEFAULT_STACK,
    local: Annotated[bool, typer.Option("--local", help="The stack that `make local` runs on this machine.")] = False,
    region: Annotated[str | None, typer.Option(help="AWS region; the configured one without it.")] = None,
    profile: Annotated[str | None, typer.Option(help="AWS profile; the configured one without it.")] = None,
) -> None:
    context.obj = _Chosen(stack, local, region, profile)


# ---------------------------------------------------------------- the first hour


@app.command()
def init(context: typer.Context) -> None:
    """Make what a new stack lacks: the digest key, a first source and a first API key. Safe to repeat."""
    target = _chosen(context).target()
    from tributary.cli.target import operator_of  # noqa: PLC0415

    _say_initialised(target, operator_of(target).init())


def _say_initialised(target: Target, made: Initialised) -> None:
    if made.digest_key:
        _say(f"Made the digest key ({target.prefix}/digest-key). Keep a copy in your backup: losing it is losing who is who.")
    if made.source is not None:
        _say(f"Write key of the source {made.source.source.value.id}, to send events with:  {made.source.write_key}")
    if made.api_key is not None:
        _say(f"API key with all scopes:  {made.api_key.secret}")
    if made.source is not None or made.api_key is not None:
        _say("These keys are shown this once.")
    if not made.digest_key and made.source is None and made.api_key is None:
        _say("Nothing to do: the digest key, a source and an API key are there.")
    if target.api_url:
        _say(f"Events go to {target.api_url}/v1, everything else is under {target.api_url}/api.")


@app.command("local-env")
def local_env(file: Annotated[Path, typer.Option(help="What the local stack says of itself.")] = LOCAL_STACK_FILE) -> None:
    """Print the local stack's addresses and keys as shell variables: eval "$(... local-env)"."""
    try:
        said = json.loads(file.read_text())
        variables = {"API_URL": said["api_url"], "WRITE_KEY": said["write_key"], "API_KEY": said["api_key"]}
        variables |= {f"{name.upper()}_URL": url for name, url in said["fakes"].items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise TargetMissing(f"No local stack is running ({file} is not there or not complete): start one with `make local`.") from error
    for name, value in variables.items():
        _say(f"export {re.sub('[^A-Z0-9_]', '_', name)}={shlex.quote(str(value))}")


# ---------------------------------------------------------------- keys


@keys_app.command("create")
def keys_create(
    context: typer.Context,
    *,
    label: Annotated[str, typer.Argument(help="What it is for.")] = "API key",
    scope: Annotated[list[str] | None, typer.Option("--scope", help="<resource>:<verb>; may be repeated. All scopes without it.")] = None,
    expires: Annotated[str | None, typer.Option(help="When it stops working: ISO 8601, or days from now as 90d.")] = None,
) -> None:
    """Make an API key. It is shown this once."""
    from tributary.access import ALL_SCOPES  # noqa: PLC0415
    from tributary.drafts import NewKey  # noqa: PLC0415

    made = _chosen(context).operator().create_key(NewKey(label=label, scopes=scope or [ALL_SCOPES], expires_at=_future(expires)))
    _note(f"{made.key.id} with {', '.join(made.key.scopes)}; the key is shown this once:")
    _say(made.secret)


@keys_app.command("list")
def keys_list(context: typer.Context) -> None:
    """List API keys and write keys, without the keys themselves."""
    from tributary.cli import show  # noqa: PLC0415

    show.console().print(show.keys(_chosen(context).operator().keys(), datetime.now(UTC)))


@keys_app.command("revoke")
def keys_revoke(context: typer.Context, key: Annotated[str, typer.Argument(help="Its id, key_…")]) -> None:
    """Revoke an API key or a write key: refused within 30 seconds, where it writes at once."""
    revoked = _chosen(context).operator().revoke_key(key)
    _say(f"{revoked.id} is revoked since {revoked.revoked_at:%Y-%m-%d %H:%M:%S}.")


# ---------------------------------------------------------------- sources


@sources_app.command("create")
def sources_create(context: typer.Context, label: Annotated[str, typer.Argument(help="A site, an app or a server.")] = "Source") -> None:
    """Make a source and its write key. The key is shown this once."""
    from tributary.drafts import NewSource  # noqa: PLC0415

    made = _chosen(context).operator().create_source(NewSource(label=label))
    _note(f"{made.source.value.id}; its write key is shown this once:")
    _say(made.write_key)


@sources_app.command("list")
def sources_list(context: typer.Context) -> None:
    """List sources."""
    from tributary.cli import show  # noqa: PLC0415

    show.console().print(show.sources(source.value for source in _chosen(context).operator().sources()))


@sources_app.command("rotate-key")
def sources_rotate(
    context: typer.Context,
    *,
    source: Annotated[str, typer.Argument(help="Its id or label.")],
    keep_old: Annotated[int, typer.Option(help="Hours for which the keys until now still work; 0 to refuse them at once.", min=0, max=720)] = 24,
) -> None:
    """Replace a source's write key. The new one is shown this once."""
    from tributary.drafts import KeyRotation  # noqa: PLC0415

    operator = _chosen(context).operator()
    made = operator.rotate_write_key(_source_id(operator, source), KeyRotation(keep_old_for_s=keep_old * 3600))
    _note(f"{made.key.id}; the new write key is shown this once:")
    _say(made.secret)


# ---------------------------------------------------------------- connections


@connections_app.command("create")
def connections_create(
    context: typer.Context,
    *,
    type: Annotated[str, typer.Argument(help="The destination, as kissmetrics.")],
    label: Annotated[str, typer.Argument()],
    setting: Annotated[list[str] | None, typer.Option("--set", help="name=value, the value as JSON or text; may be repeated.")] = None,
    secret: Annotated[
        list[str] | None, typer.Option("--secret", help="name=env:NAME or name=ssm:/name, or the name alone to be asked for it; may be repeated.")
    ] = None,
    mode: Annotated[str, typer.Option(help="live, paused or shadow.")] = "live",
    source: Annotated[list[str] | None, typer.Option("--source", help="A source's id or label; may be repeated. All without it.")] = None,
) -> None:
    """Make a connection. For filters, consent and the rest use `apply`, or the HTTP API."""
    import msgspec  # noqa: PLC0415

    from tributary.control.problems import of_validation  # noqa: PLC0415
    from tributary.drafts import NewConnection  # noqa: PLC0415

    chosen = _chosen(context)
    target = chosen.target()
    from tributary.cli.target import operator_of  # noqa: PLC0415

    operator = operator_of(target)
    settings: dict[str, Any] = dict(_setting(text) for text in setting or [])
    leaked = sorted(settings.keys() & operator.secret_names(type))
    if leaked:
        raise Failed(f"{leaked[0]} is a credential: give it by --secret, so that it stands in no shell history.")
    settings |= dict(_secret(target, text) for text in secret or [])
    sources = [_source_id(operator, one) for one in source or []]
    try:
        draft = msgspec.convert({"type": type, "label": label, "settings": settings, "mode": mode, "sources": sources}, NewConnection)
    except msgspec.ValidationError as error:
        problem = of_validation(error, "field", NewConnection)
        raise Failed(f"{problem.field}: {problem.detail}") from error
    made = operator.create_connection(draft).value
    _begin(target, [made])
    _say(made.id)


@connections_app.command("list")
def connections_list(context: typer.Context) -> None:
    """List connections."""
    from tributary.cli import show  # noqa: PLC0415

    show.console().print(show.connections(_chosen(context).operator().connections()))


@connections_app.command("show")
def connections_show(context: typer.Context, connection: Annotated[str, typer.Argument(help="Its id or label.")]) -> None:
    """Show a connection as JSON, without its credentials."""
    import msgspec  # noqa: PLC0415

    from tributary.control.answers import connection_answer  # noqa: PLC0415

    operator = _chosen(context).operator()
    answer = connection_answer(operator.connection(_connection_id(operator, connection)))
    _say(msgspec.json.format(msgspec.json.encode(answer)).decode())


# ---------------------------------------------------------------- a stack as a file


@app.command()
def apply(
    context: typer.Context,
    *,
    file: Annotated[Path, typer.Argument(help="A config.toml.")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would be done, do nothing.")] = False,
    prune: Annotated[bool, typer.Option("--prune", help="Remove sources and connections that are not in the file.")] = False,
) -> None:
    """Make the stack's sources, connections and account settings like a file. Safe to repeat."""
    from tributary.cli import config_file, show  # noqa: PLC0415
    from tributary.cli.target import operator_of  # noqa: PLC0415
    from tributary.settings import UnreadableConnection  # noqa: PLC0415

    try:
        text = file.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise Failed(f"{file} cannot be read: {getattr(error, 'strerror', None) or 'it is not UTF-8'}.") from error
    target = _chosen(context).target()
    plan = config_file.plan(config_file.read(text), operator_of(target), lambda reference: _read_secret(target, reference), prune=prune)
    screen = show.console()
    for line in show.steps(plan.steps):
        screen.print(line)
    if dry_run or not plan.changes:
        _say("Nothing was done." if plan.changes else "Nothing to do.")
        return
    plan.run(lambda step, shown: _say(f"done: {step.verb} {step.what}" + (f"\n  shown this once: {shown}" if shown else "")))
    _begin(target, [one.value for one in operator_of(target).connections() if not isinstance(one, UnreadableConnection)])


@app.command()
def export(context: typer.Context) -> None:
    """Print the stack's settings as a config.toml, without credentials."""
    from tributary.cli import config_file  # noqa: PLC0415

    sys.stdout.write(config_file.export(_chosen(context).operator()))


# ---------------------------------------------------------------- what happened


@app.command()
def events(
    context: typer.Context,
    *,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on showing what comes, until Ctrl-C.")] = False,
    source: Annotated[str | None, typer.Option(help="A source's id or label; all without it.")] = None,
    type: Annotated[str | None, typer.Option(help="identify, track, page, screen, group or alias.")] = None,
    status: Annotated[str | None, typer.Option(help="accepted or rejected.")] = None,
    since: Annotated[str | None, typer.Option(help="ISO 8601, or a duration before now as 15m, 2h, 3d. Default: an hour; with --follow, a minute.")] = None,
    limit: Annotated[int, typer.Option(help="How many at most, without --follow.", min=1, max=10_000)] = 100,
    bodies: Annotated[bool, typer.Option("--bodies", help="With what was sent: personal data.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="A JSON object a line.")] = False,
) -> None:
    """Show the accepted and rejected events of the last days, the newest last."""
    from tributary.cli.target import operator_of  # noqa: PLC0415
    from tributary.cli.watching import Follower  # noqa: PLC0415
    from tributary.recent import query_of  # noqa: PLC0415

    target = _chosen(context).target()
    operator, recent = operator_of(target), _recent(target)
    labels = operator.origins()
    wanted = None if source is None else _id_of("source", source, [*operator.origins().items()])
    since = since or ("1m" if follow else None)
    query = query_of(now=datetime.now(UTC), source=wanted, type=type, status=status, since=since)
    printer = _Printer(recent, labels, bodies=bodies, as_json=as_json)
    if not follow:
        found, more = _newest(recent, query, list(labels), limit)
        if not found:
            _note(f"No such events since {query.since:%Y-%m-%d %H:%M:%S} UTC (--since).")
            return
        printer.print(found[::-1])
        if more:
            _note(f"These are the newest {limit}; there are more (--limit, --since).")
        return
    follower = Follower(recent, query, sources=lambda: [*operator.origins()], now=lambda: datetime.now(UTC))
    try:
        while True:
            found, more = follower.look()
            if more:
                _note("More events than can be shown; narrow them by --source, --type or --status.")
            printer.print(found)
            time.sleep(POLL_SECONDS)
    except KeyboardInterrupt:
        return


@app.command()
def parked(context: typer.Context, connection: Annotated[str, typer.Argument(help="Its id or label.")]) -> None:
    """Show the deliveries of a connection that wait for a person."""
    from tributary.adapters.deliveries import DynamoParking  # noqa: PLC0415
    from tributary.cli import show  # noqa: PLC0415
    from tributary.cli.target import operator_of  # noqa: PLC0415

    target = _chosen(context).target()
    found = list(DynamoParking(lambda: target.dynamodb, target.events_table).of(_connection_id(operator_of(target), connection)))
    if not found:
        _say("Nothing is parked.")
        return
    show.console().print(show.parked(found))


@contacts_app.command("show")
def contacts_show(
    context: typer.Context,
    *,
    identifier: Annotated[str, typer.Argument(help="An email, user id, phone, anonymous id or contact id; kind:value to say which.")],
    as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
) -> None:
    """Show who somebody is, and why these identifiers are one person."""
    from tributary.cli import people, show  # noqa: PLC0415

    described = people.find(_chosen(context).target(), identifier)
    if described is None:
        raise Failed("Nobody is known by this. An anonymous visitor becomes a contact once something identifies them.")
    if as_json:
        _say(json.dumps(described, ensure_ascii=False, indent=2, default=str))
        return
    screen = show.console()
    for part in show.contact(described):
        screen.print(part)


# ---------------------------------------------------------------- reports


@app.command()
def report(
    context: typer.Context,
    *,
    type: Annotated[str, typer.Argument(help="orders, acquisition, …; without it, what reports there are and what they mean.")] = "",
    last: Annotated[str | None, typer.Option(help="Whole days, weeks, months, quarters or years before now, as 30d, 8w, 3m.")] = None,
    range: Annotated[str | None, typer.Option("--range", help="In words or dates: yesterday, this_month, 2026-03, 2026-03-01..2026-03-15, all_time.")] = None,
    first_day: Annotated[str | None, typer.Option("--from", help="The first day, with --to.")] = None,
    last_day: Annotated[str | None, typer.Option("--to", help="The last day, included.")] = None,
    by: Annotated[list[str] | None, typer.Option("--by", help="What rows are grouped by, as campaign or source,medium; may be repeated.")] = None,
    scale: Annotated[str | None, typer.Option(help="A row for each hour, day, week or month.")] = None,
    where: Annotated[list[str] | None, typer.Option("--where", help="What counts, as channel:is:email; may be repeated.")] = None,
    having: Annotated[list[str] | None, typer.Option("--having", help="Which rows are shown, as orders:ge:5; may be repeated.")] = None,
    kpis: Annotated[list[str] | None, typer.Option("--kpis", help="KPIs in order, or all; may be repeated.")] = None,
    model: Annotated[str | None, typer.Option(help="Who gets the credit: last_touch, linear, position, time_decay, …")] = None,
    lookback: Annotated[str | None, typer.Option(help="Days before a conversion, or lifetime.")] = None,
    half_life: Annotated[str | None, typer.Option("--half-life", help="Days, of time_decay.")] = None,
    date_mode: Annotated[str | None, typer.Option("--date-mode", help="conversion_date, touch_date or lead_date.")] = None,
    rebill_credit: Annotated[str | None, typer.Option("--rebill-credit", help="inherit or own.")] = None,
    currency: Annotated[str | None, typer.Option(help="What amounts are converted into.")] = None,
    include_tax: Annotated[bool | None, typer.Option("--include-tax/--without-tax", help="Whether revenue holds tax.")] = None,
    include_shipping: Annotated[bool | None, typer.Option("--include-shipping/--without-shipping", help="Whether revenue holds shipping.")] = None,
    time_zone: Annotated[str | None, typer.Option("--time-zone", help="Where days begin.")] = None,
    compare: Annotated[str | None, typer.Option(help="previous, previous_year, or a range.")] = None,
    sort: Annotated[str | None, typer.Option(help="A KPI, a dimension or period; :asc or :desc after it.")] = None,
    limit: Annotated[int | None, typer.Option(help="Rows, or lines of a ledger.", min=1)] = None,
    step: Annotated[list[str] | None, typer.Option("--step", help="Of a funnel, repeated: event:Product Viewed, page:…, tag:…, order:sold.")] = None,
    intervals: Annotated[str | None, typer.Option(help="Of value over time: days, as 1,7,30.")] = None,
    cohort: Annotated[str | None, typer.Option(help="Of value over time: days begin with lead or first_order.")] = None,
    contact: Annotated[str | None, typer.Option(help="Of journeys: one person, by whatever `contacts show` takes.")] = None,
    ledger: Annotated[str | None, typer.Option("--ledger", help="The people and orders behind a row (its number or key), or behind the total.")] = None,
    kpi: Annotated[str | None, typer.Option(help="Of --ledger: whose figure. The first without it.")] = None,
    csv: Annotated[str | None, typer.Option("--csv", help="Write CSV to a file, or - for standard output.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="As the API answers it.")] = False,
    brief: Annotated[bool, typer.Option("--brief", help="Without what the KPIs mean.")] = False,
) -> None:
    """Show a report: what brought which leads, customers and revenue."""
    from tributary.cli import report_tables, reporting, show  # noqa: PLC0415
    from tributary.control.report_answers import ledger_answer, ledger_text, report_answer, report_text  # noqa: PLC0415
    from tributary.reports.asking import QueryWrong  # noqa: PLC0415

    chosen = reporting.type_of(type)
    if type and chosen is None:
        raise Failed(f'There is no report "{type}"; there is {", ".join(reporting.TYPES)}.')
    if last is not None and range is not None:
        raise Failed("Give --last or --range, not both.")
    target = _chosen(context).target()
    asked = reporting.parameters(
        {
            "range": range if last is None else last,
            "from_": first_day,
            "to": last_day,
            "time_zone": time_zone,
            "scale": scale,
            "group_by": ",".join(by or []),
            "filter": where,
            "having": having,
            "kpis": ",".join(kpis or []),
            "model": model,
            "lookback": lookback,
            "half_life": half_life,
            "date_mode": date_mode,
            "rebill_credit": rebill_credit,
            "currency": currency,
            "include_tax": _said(include_tax),
            "include_shipping": _said(include_shipping),
            "compare": compare,
            "sort": sort,
            "limit": None if limit is None or ledger is not None else str(limit),
            "steps": step,
            "intervals": intervals,
            "cohort": cohort,
            "contact": None if contact is None else _contact_id(target, contact),
        }
    )
    text = ""
    data: msgspec.Struct
    parts: Callable[[Mapping[str, Any]], Iterable[report_tables.Part]]
    try:
        with reporting.desk_of(target) as desk:
            if chosen is None:
                data, parts = desk.kinds(), report_tables.kinds
            elif ledger is None:
                answered = desk.report(chosen, asked)
                text, data = report_text(answered), report_answer(answered)
                parts = partial(report_tables.report, definitions=not brief)
            else:
                opened, people = desk.ledger(chosen, asked, row=ledger, kpi=kpi, limit=limit or reporting.LEDGER_LINES)
                text, data = ledger_text(opened, people), ledger_answer(opened, people, next_cursor=None)
                parts = report_tables.ledger
    except QueryWrong as error:
        for line in reporting.wrong(error):
            _note(line)
        raise typer.Exit(1) from error
    except (reporting.EngineMissing, reporting.NoSuchFigure) as error:
        raise Failed(str(error)) from error
    if csv is not None and chosen is not None:
        _write_csv(csv, text)
    elif as_json:
        _say(json.dumps(reporting.as_data(data), ensure_ascii=False, indent=2))
    else:
        screen = show.console()
        for part in parts(reporting.as_data(data)):
            screen.print(part)


def _said(truth: bool | None) -> str | None:
    return None if truth is None else "true" if truth else "false"


def _contact_id(target: Target, text: str) -> str:
    from tributary.cli import people  # noqa: PLC0415

    found = people.contact_id(target, text)
    if found is None:
        raise Failed("Nobody is known by this. An anonymous visitor becomes a contact once something identifies them.")
    return found


def _write_csv(place: str, text: str) -> None:
    if place == "-":
        sys.stdout.write(text)
        return
    try:
        Path(place).write_text(text, newline="")
    except OSError as error:
        raise Failed(f"{place} cannot be written: {error.strerror}.") from error
    _note(f"Wrote {place}.")


# ---------------------------------------------------------------- syncs


@sync_app.callback(invoke_without_command=True)
def sync(
    context: typer.Context,
    *,
    watch: Annotated[bool, typer.Option("--watch", "-w", help="Until their histories are read.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON, once.")] = False,
) -> None:
    """Show the syncs: how far each is, its rate, what is left, and what went wrong."""
    if context.invoked_subcommand is not None:
        return
    import msgspec  # noqa: PLC0415

    from tributary.cli import show, syncing  # noqa: PLC0415

    syncs = syncing.syncs_of(_chosen(context).target())
    if as_json:
        _say(json.dumps(msgspec.to_builtins(syncs.all()), indent=2))
        return
    if not syncs.all():
        _say("No account is read: there is no connection of the type konnektive.")
        return
    screen = show.console()
    try:
        if watch:
            syncing.watch(syncs.all, screen)
        else:
            screen.print(syncing.shown(syncs.all()))
    except KeyboardInterrupt:
        return


@sync_app.command("poll")
def sync_poll(context: typer.Context, connection: Annotated[str, typer.Argument(help="Its id or label.")]) -> None:
    """Ask an account for what is new, now."""
    _steer(context, connection, "poll", lambda syncs, one: syncs.poll(one))


@sync_app.command("pause")
def sync_pause(context: typer.Context, connection: Annotated[str, typer.Argument(help="Its id or label.")]) -> None:
    """Pause reading an account's history; what is new still comes."""
    _steer(context, connection, "pause", lambda syncs, one: syncs.pause(one))


@sync_app.command("resume")
def sync_resume(context: typer.Context, connection: Annotated[str, typer.Argument(help="Its id or label.")]) -> None:
    """Go on, after a pause, or after the account refused and you have seen to it."""
    _steer(context, connection, "resume", lambda syncs, one: syncs.resume(one))


@sync_app.command("restart")
def sync_restart(
    context: typer.Context,
    connection: Annotated[str, typer.Argument(help="Its id or label.")],
    since: Annotated[datetime | None, typer.Option("--from", formats=["%Y-%m-%d"], help="The first day; the account's first without it.")] = None,
) -> None:
    """Read an account's history again. What has not changed makes no event."""
    _steer(context, connection, "restart", lambda syncs, one: syncs.restart(one, since.date() if since is not None else None))


def _begin(target: Target, connections: Sequence[Connection]) -> None:
    """Ask accounts that may be new, or have got other credentials, at once."""
    accounts = [connection for connection in connections if connection.type == "konnektive"]
    if accounts:
        from tributary.cli import syncing  # noqa: PLC0415

        syncs = syncing.syncs_of(target)
        for account in accounts:
            syncs.begin(account)


def _steer(context: typer.Context, connection: str, verb: str, run: Callable[[Syncs, str], Sync]) -> None:
    from tributary.cli import show, syncing  # noqa: PLC0415
    from tributary.errors import WriteConflict  # noqa: PLC0415
    from tributary.sync.syncs import NoSuchSync, NotYet  # noqa: PLC0415

    target = _chosen(context).target()
    from tributary.cli.target import operator_of  # noqa: PLC0415

    try:
        show.console().print(syncing.shown([run(syncing.syncs_of(target), _connection_id(operator_of(target), connection))]))
    except NotYet as error:
        raise Failed("That day has yet to come.") from error
    except NoSuchSync as error:
        raise Failed(f'"{connection}" is not read from: it is a destination.') from error
    except WriteConflict as error:
        raise Failed(f"The sync got on at the same moment; {verb} it again.") from error


# ---------------------------------------------------------------- rebuilding


@rebuild_app.callback(invoke_without_command=True)
def rebuild(context: typer.Context) -> None:
    """Show which generations of CONTACTS and FACTS there are."""
    if context.invoked_subcommand is not None:
        return
    from tributary.cli import rebuilding  # noqa: PLC0415

    for line in rebuilding.lines(rebuilding.Rebuild(_chosen(context).target()).states.now()):
        _say(line)


@rebuild_app.command("run")
def rebuild_run(
    context: typer.Context,
    *,
    switch: Annotated[bool, typer.Option("--switch", help="Serve what was built, if it is equal.")] = False,
    wait: Annotated[float, typer.Option(help="Seconds until every function knows of the new generation.", min=0)] = 90.0,
    patience: Annotated[float, typer.Option(help="Seconds to go on comparing until both are equal.", min=0)] = 600.0,
) -> None:
    """Read the log once more into a new generation, and compare it with the one that is served. Safe to begin again."""
    from tributary.cli import rebuilding, show  # noqa: PLC0415

    work = rebuilding.Rebuild(_chosen(context).target())
    screen = show.console()
    before = work.states.now()
    now = work.begin()
    assert now.building is not None
    if before.building is None:
        _note(f"Generation {now.building} is begun. In {wait:.0f} s every function writes to it too.")
        time.sleep(wait)
    with screen.status("The log is read once more") as status:
        read = [0]

        def seen(count: int) -> None:
            read[0] += count
            status.update(f"The log is read once more: {read[0]:,} events")

        counts = work.replay(now.building, seen)
    _note(f"{counts['events']:,} events were read. Comparing, until all facts have arrived.")
    verdict = rebuilding.until_equal(lambda: work.compare(now), patience)
    screen.print(rebuilding.shown(verdict))
    if not verdict.is_equal:
        raise Failed("The two differ. Nothing was switched: compare again, switch all the same, or drop what was built.")
    _say(f"Generation {now.building} says the same as generation {now.serving}.")
    if switch:
        _switch(work)


@rebuild_app.command("compare")
def rebuild_compare(context: typer.Context) -> None:
    """Compare what was built with what is served."""
    from tributary.cli import rebuilding, show  # noqa: PLC0415

    work = rebuilding.Rebuild(_chosen(context).target())
    now = work.states.now()
    if now.building is None:
        raise Failed("No generation is being built: `rebuild run` begins one.")
    verdict = work.compare(now)
    show.console().print(rebuilding.shown(verdict))
    if not verdict.is_equal:
        raise Failed("The two differ.")
    _say("The two say the same.")


@rebuild_app.command("switch")
def rebuild_switch(context: typer.Context) -> None:
    """Serve what was built, from within half a minute on. What was served stays until it is dropped."""
    from tributary.cli import rebuilding  # noqa: PLC0415

    _switch(rebuilding.Rebuild(_chosen(context).target()))


@rebuild_app.command("drop")
def rebuild_drop(
    context: typer.Context,
    *,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Delete the generation that is not served: the old one after a switch, or the one that is being built."""
    from tributary.cli import rebuilding  # noqa: PLC0415

    work = rebuilding.Rebuild(_chosen(context).target())
    now = work.states.now()
    unserved = now.retired if now.building is None else now.building
    if unserved is None:
        _say("There is one generation, and it is served.")
        return
    if not yes:
        typer.confirm(f"Delete generation {unserved}?", abort=True)
    work.states.give_up()
    counts = work.drop(unserved)
    work.states.dropped()
    _say(f"Generation {unserved} is gone: {counts['rows']:,} rows of contacts and {counts['files']:,} files.")


def _switch(work: Rebuild) -> None:
    now = work.states.switch()
    _say(f"Generation {now.serving} is served, within half a minute everywhere. `rebuild drop` deletes generation {now.retired}.")


# ---------------------------------------------------------------- what people enter for reports


_File = Annotated[Path, typer.Argument(help="CSV as ad platforms export it, or JSON.")]
_BatchId = Annotated[str, typer.Argument(help="Its id.")]
_BatchLabel = Annotated[str | None, typer.Option(help="How the batch is told from others; the file's name without it.")]
_AllOrNothing = Annotated[bool, typer.Option("--all-or-nothing", help="Take nothing if one row cannot be taken.")]


@ad_spend_app.command("import")
def ad_spend_import(
    context: typer.Context,
    *,
    file: _File,
    platform: Annotated[str | None, typer.Option(help="Of rows that do not name theirs, as facebook.")] = None,
    account: Annotated[str | None, typer.Option(help="The ad account of rows that do not name theirs.")] = None,
    currency: Annotated[str | None, typer.Option(help="Of rows that do not name theirs; the reporting currency without it.")] = None,
    time_zone: Annotated[str | None, typer.Option(help="The ad account's IANA time zone.")] = None,
    label: _BatchLabel = None,
    all_or_nothing: _AllOrNothing = False,
) -> None:
    """Enter what advertisements cost. A row of the same advertisement and day replaces an earlier one."""
    from tributary.currencies import is_currency  # noqa: PLC0415
    from tributary.entered.entering import Said  # noqa: PLC0415
    from tributary.operator import check_time_zone  # noqa: PLC0415

    if currency is not None and not is_currency(currency.upper()):
        raise Failed("--currency takes an ISO 4217 code such as USD.")
    if time_zone is not None:
        check_time_zone(time_zone, "--time-zone")
    said = Said(
        label=_batch_label(label, file),
        platform=platform,
        account_id=account,
        currency=None if currency is None else currency.upper(),
        time_zone=time_zone,
        whole=all_or_nothing,
    )
    _import(context, file, lambda entering, rows: entering.ad_spend(rows, said))


@ad_spend_app.command("batches")
def ad_spend_batches(context: typer.Context) -> None:
    """List what was entered, the newest first."""
    _list_batches(_entering(context).spend)


@ad_spend_app.command("errors")
def ad_spend_errors(context: typer.Context, batch: _BatchId) -> None:
    """Show why rows of a batch were not taken: the first hundred."""
    _show_errors(_entering(context).spend, batch)


@ad_spend_app.command("delete")
def ad_spend_delete(context: typer.Context, batch: _BatchId) -> None:
    """Take a batch back: what its rows had replaced shows again."""
    _entering(context).spend.delete(batch)
    _say(f"{batch} is taken back.")


@rates_app.command("import")
def rates_import(
    context: typer.Context,
    *,
    file: _File,
    source: Annotated[str | None, typer.Option(help="Who says so, of rows that do not name it.")] = None,
    label: _BatchLabel = None,
    all_or_nothing: _AllOrNothing = False,
) -> None:
    """Enter what currencies were worth in one another. A row of the same day and currencies replaces an earlier one."""
    from tributary.entered.entering import Said  # noqa: PLC0415

    said = Said(label=_batch_label(label, file), source=source, whole=all_or_nothing)
    _import(context, file, lambda entering, rows: entering.rates_of(rows, said))


@rates_app.command("batches")
def rates_batches(context: typer.Context) -> None:
    """List what was entered, the newest first."""
    _list_batches(_entering(context).rates)


@rates_app.command("errors")
def rates_errors(context: typer.Context, batch: _BatchId) -> None:
    """Show why rows of a batch were not taken: the first hundred."""
    _show_errors(_entering(context).rates, batch)


@rates_app.command("delete")
def rates_delete(context: typer.Context, batch: _BatchId) -> None:
    """Take a batch back: what its rows had replaced shows again."""
    _entering(context).rates.delete(batch)
    _say(f"{batch} is taken back.")


@fixed_costs_app.command("list")
def fixed_costs_list(context: typer.Context) -> None:
    """List fixed costs."""
    from tributary.cli import entering, show  # noqa: PLC0415

    found = _entering(context).fixed_costs.all()
    if not found:
        _say("There are no fixed costs.")
        return
    show.console().print(entering.costs(found))


@fixed_costs_app.command("set")
def fixed_costs_set(
    context: typer.Context,
    *,
    id: Annotated[str, typer.Argument(help="Small letters, digits, _ and -, as office-rent.")],
    amount: Annotated[str, typer.Argument(help="Of each day, as 50.00.")],
    first: Annotated[datetime, typer.Argument(formats=["%Y-%m-%d"], help="The first day.")],
    last: Annotated[datetime | None, typer.Option("--last", formats=["%Y-%m-%d"], help="The last day; until further notice without it.")] = None,
    once: Annotated[bool, typer.Option("--once", help="On the first day alone.")] = False,
    name: Annotated[str | None, typer.Option(help="How people call it; the id without it.")] = None,
    currency: Annotated[str | None, typer.Option(help="ISO 4217; the reporting currency without it.")] = None,
    platform: Annotated[str | None, typer.Option(help="Where reports show it.")] = None,
    source: Annotated[str | None, typer.Option()] = None,
    medium: Annotated[str | None, typer.Option()] = None,
    campaign: Annotated[str | None, typer.Option()] = None,
) -> None:
    """Make a fixed cost, or replace it whole."""
    import msgspec  # noqa: PLC0415

    from tributary.cli import entering, show  # noqa: PLC0415
    from tributary.control.problems import of_validation  # noqa: PLC0415
    from tributary.currencies import is_currency  # noqa: PLC0415
    from tributary.entered.fixed_costs import FixedCostDraft  # noqa: PLC0415

    entered = _entering(context)
    chosen = entered.reporting_currency() if currency is None else currency.upper()
    if not is_currency(chosen):
        raise Failed("--currency takes an ISO 4217 code such as USD.")
    said = {
        "name": name or id,
        "frequency": "once" if once else "daily",
        "amount": entering.amount_of(amount, chosen),
        "currency": chosen,
        "first": first.date(),
        "last": None if last is None else last.date(),
        "platform": platform,
        "source": source,
        "medium": medium,
        "campaign": campaign,
    }
    try:
        draft = msgspec.convert(said, FixedCostDraft)
    except msgspec.ValidationError as error:
        problem = of_validation(error, "field", FixedCostDraft)
        raise Failed(f"{problem.field}: {problem.detail}") from error
    show.console().print(entering.costs([entered.fixed_costs.put(id, draft, reporting_currency=chosen)]))


@fixed_costs_app.command("delete")
def fixed_costs_delete(context: typer.Context, id: Annotated[str, typer.Argument(help="Its id.")]) -> None:
    """Remove a fixed cost, for the past too. One that has ended gets its last day instead (set --last)."""
    _entering(context).fixed_costs.delete(id)
    _say(f"{id} is removed.")


def _entering(context: typer.Context) -> Entering:
    from tributary.cli.entering import entering_to  # noqa: PLC0415

    return entering_to(_chosen(context).target())


def _import(context: typer.Context, file: Path, enter: Callable[[Entering, Sequence[Any] | bytes], Outcome]) -> None:
    from tributary.cli import entering  # noqa: PLC0415
    from tributary.entered.csv_files import FileUnreadable  # noqa: PLC0415
    from tributary.entered.entering import MAX_ROWS, NoUsableRows, TooManyRows  # noqa: PLC0415

    try:
        outcome = enter(_entering(context), entering.rows_of(file))
    except FileUnreadable as error:
        raise Failed(str(error)) from error
    except TooManyRows as error:
        raise Failed(f"{file} has more than {MAX_ROWS} rows: split it.") from error
    except NoUsableRows as error:
        for line in entering.refused(error.errors):
            _note(line)
        raise Failed("Nothing was taken.") from error
    for line in entering.told(outcome):
        _note(line)
    _say(outcome.batch.id)


def _list_batches(batches: Batches[Any]) -> None:
    from tributary.cli import entering, show  # noqa: PLC0415

    found = batches.all()
    if not found:
        _say("Nothing was entered.")
        return
    show.console().print(entering.batches(found, batches.waiting()))


def _show_errors(batches: Batches[Any], id: str) -> None:
    from tributary.cli import entering  # noqa: PLC0415

    batch = batches.one(id)
    lines = list(entering.refused(batches.errors(batch), batch.refused))
    for line in lines or ["Every row was taken."]:
        _say(line)


def _batch_label(label: str | None, file: Path) -> str:
    from tributary.drafts import MAX_LABEL  # noqa: PLC0415
    from tributary.operator import check_label  # noqa: PLC0415

    chosen = (file.name if label is None else label)[:MAX_LABEL]
    check_label(chosen)
    return chosen


# ---------------------------------------------------------------- inside


class _Printer:
    def __init__(self, recent: RecentEvents, labels: dict[str, str], *, bodies: bool, as_json: bool) -> None:
        self._recent = recent
        self._labels = labels
        self._bodies = bodies
        self._as_json = as_json
        self._printed = False

    def print(self, entries: Sequence[Any]) -> None:
        from tributary.recent import without_bodies  # noqa: PLC0415

        entries = self._recent.bodies(entries) if self._bodies else without_bodies(entries)
        if self._as_json:
            import msgspec  # noqa: PLC0415

            from tributary.control.answers import event_line  # noqa: PLC0415

            for entry in entries:
                _say(msgspec.json.encode(event_line(entry, bodies=self._bodies)).decode())
            sys.stdout.flush()
            return
        from tributary.cli import show  # noqa: PLC0415

        if entries or not self._printed:
            screen = show.console()
            for part in show.events(entries, self._labels, width=screen.width, header=not self._printed, bodies=self._bodies):
                screen.print(part)
            self._printed = True


def _chosen(context: typer.Context) -> _Chosen:
    chosen = context.find_object(_Chosen)
    assert chosen is not None
    return chosen


def _recent(target: Target) -> RecentEvents:
    from tributary.adapters.event_log import DynamoEventLog  # noqa: PLC0415
    from tributary.adapters.feed import DynamoFeed  # noqa: PLC0415
    from tributary.recent import RecentEvents  # noqa: PLC0415

    return RecentEvents(DynamoFeed(lambda: target.dynamodb, target.events_table), DynamoEventLog(lambda: target.dynamodb, target.events_table))


def _newest(recent: RecentEvents, query: Any, sources: list[str], limit: int) -> tuple[list[Any], bool]:
    from tributary.recent import MAX_LIMIT  # noqa: PLC0415

    found: list[Any] = []
    cursor: str | None = None
    while len(found) < limit:
        page = recent.page(query, sources=sources, limit=min(MAX_LIMIT, limit - len(found)), cursor=cursor)
        found += page.entries
        cursor = page.cursor
        if cursor is None:
            break
    return found, cursor is not None


def _source_id(operator: Operator, name: str) -> str:
    return _id_of("source", name, [(one.value.id, one.value.label) for one in operator.sources()])


def _connection_id(operator: Operator, name: str) -> str:
    from tributary.settings import UnreadableConnection  # noqa: PLC0415

    there = [(one.id, one.id) if isinstance(one, UnreadableConnection) else (one.value.id, one.value.label) for one in operator.connections()]
    return _id_of("connection", name, there)


def _id_of(what: str, name: str, there: Sequence[tuple[str, str]]) -> str:
    """The id of what is called so, by id or label. Raises `Failed`."""
    found = [id for id, _ in there if id == name] or [id for id, label in there if label == name]
    if not found:
        known = ", ".join(label for _, label in there) or "none"
        raise Failed(f'There is no {what} "{name}"; there is: {known}.')
    if len(found) > 1:
        raise Failed(f'There are {len(found)} {what}s "{name}"; name it by its id: {", ".join(found)}.')
    return found[0]


def _setting(text: str) -> tuple[str, Any]:
    name, equals, value = text.partition("=")
    if not name or not equals:
        raise Failed("--set takes name=value.")
    try:
        return name, json.loads(value)
    except ValueError:
        return name, value


def _secret(target: Target, text: str) -> tuple[str, str]:
    name, equals, reference = text.partition("=")
    if not equals:
        return name, typer.prompt(name, hide_input=True, err=True)
    if not reference.startswith(("env:", "ssm:")):
        raise Failed("--secret takes name=env:NAME, name=ssm:/name, or the name alone to be asked for it.")
    return name, _read_secret(target, reference)


def _read_secret(target: Target, reference: str) -> str:
    """The credential behind `env:NAME` or `ssm:/name`. Raises `ConfigInvalid` without saying more than the reference."""
    from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415

    from tributary.cli.config_file import ConfigInvalid  # noqa: PLC0415

    kind, _, name = reference.partition(":")
    if kind == "env":
        value = os.environ.get(name, "")
        if not value:
            raise ConfigInvalid(f"the environment variable {name} is not set")
        return value
    try:
        return target.ssm.get_parameter(Name=name, WithDecryption=True)["Parameter"]["Value"]
    except ClientError as error:
        raise ConfigInvalid(f"the parameter {name} cannot be read: {error.response['Error']['Code']}") from error
    except BotoCoreError as error:
        raise ConfigInvalid(f"the parameter {name} cannot be read: {type(error).__name__}") from error


def _future(text: str | None) -> datetime | None:
    if text is None:
        return None
    days = re.fullmatch(r"([0-9]{1,4})d", text)
    if days is not None:
        return datetime.now(UTC) + timedelta(days=int(days[1]))
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise Failed("--expires takes a time as 2026-12-31T00:00:00Z, or days from now as 90d.") from error
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)


def _say(text: str) -> None:
    typer.echo(text)


def _note(text: str) -> None:
    """Beside the answer, so that the answer can be piped."""
    typer.echo(text, err=True)
