"""The command line. Each command's module is imported when it is called, so `parley --help` answers at once.

Exit status: 0 done; 1 it ran and the answer is no; 2 wrong call or setting; 130 interrupted. Results go to stdout,
progress and logs to stderr.
"""

from pathlib import Path
from typing import Annotated, Literal

import typer

app = typer.Typer(
    name="parley", no_args_is_help=True, add_completion=False, help="Run your team's workflows from Slack and Discord.",
    pretty_exceptions_enable=False, rich_markup_mode=None,
)  # fmt: skip
kv = typer.Typer(no_args_is_help=True, help="Values that flows read with kv('KEY').")
slack = typer.Typer(no_args_is_help=True, help="Setting up Slack.")
discord = typer.Typer(no_args_is_help=True, help="Setting up Discord.")
audit = typer.Typer(no_args_is_help=True, help="The record of who did what.")
app.add_typer(kv, name="kv")
app.add_typer(audit, name="audit")
app.add_typer(slack, name="slack")
app.add_typer(discord, name="discord")

Flows = Annotated[
    list[Path] | None, typer.Option("--flows", help="Folder with flow files; may be given more than once.")
]
Data = Annotated[Path | None, typer.Option("--data", help="Folder for database, files and keys (default ./.parley).")]
Host = Annotated[str | None, typer.Option("--host", help="Address the page listens on (default 127.0.0.1).")]
LogFormat = Annotated[
    Literal["json", "text"] | None,
    typer.Option("--log-format", help="Of the log (default: text on a terminal)."),
]
Port = Annotated[int | None, typer.Option("--port", help="Port of the page (default 8082).")]


@app.command()
def demo(host: Host = None, port: Port = None, data: Data = None, log_format: LogFormat = None) -> None:
    """A chat room in the browser with flows to try; needs no account, key or network."""
    from bot.cli import starting

    starting.begin()
    from bot.cli.serve import serve

    serve(demo=True, host=host, port=port, data=data, flows=None, log_format=log_format)


@app.command()
def up(
    host: Host = None,
    port: Port = None,
    data: Data = None,
    flows: Flows = None,
    role: Annotated[
        str | None, typer.Option("--role", help="With PostgreSQL: all (default), bot, worker or scheduler.")
    ] = None,
    worker_group: Annotated[
        list[str] | None,
        typer.Option("--worker-group", help="Run only tasks of this worker group; may be given more than once."),
    ] = None,
    log_format: LogFormat = None,
) -> None:
    """Connect to Slack and Discord as far as tokens are set, serve the page, run the schedules."""
    from bot.cli import starting

    starting.begin()
    from bot.cli.serve import serve

    serve(
        demo=False,
        host=host,
        port=port,
        data=data,
        flows=flows,
        role=role,
        worker_groups=worker_group,
        log_format=log_format,
    )


@app.command("migrate-store")
def migrate_store(
    to: Annotated[str, typer.Option("--to", help="postgresql://user:password@host/name, an empty database.")],
    source: Annotated[
        Path | None, typer.Option("--from", help="The database file (default: the one in the data folder).")
    ] = None,
    data: Data = None,
) -> None:
    """Copy the database file to PostgreSQL, with every run and approval that waits. Stop the bot first."""
    from bot.cli.move import migrate_store as copy

    copy(source, to, data)


@app.command()
def backup(
    target: Annotated[Path, typer.Argument(help="A new folder; or a file ending in .db for the database alone.")],
    with_key: Annotated[bool, typer.Option("--with-key", help="Copy the keys too.")] = False,
    data: Data = None,
) -> None:
    """Copy database and files as they are now, also while the bot runs."""
    from bot.cli.backup import backup as copy

    copy(target, data, with_key=with_key)


@app.command()
def purge(
    namespace: Annotated[str | None, typer.Option("--namespace", help="This namespace and those below it.")] = None,
    before: Annotated[str | None, typer.Option("--before", help="Runs made before this date, as 2026-01-31.")] = None,
    older_than: Annotated[str | None, typer.Option("--older-than", help="Runs older than this, as P30D.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say how many there are.")] = False,
    data: Data = None,
) -> None:
    """Delete old runs that have ended, with their logs and files; whatever waits or runs stays."""
    from bot.cli.purge import purge as clean

    clean(namespace, before, older_than, dry_run, data)


@app.command()
def run(
    flow: Annotated[str, typer.Argument(help="A flow file, or NAMESPACE/ID.")],
    inputs: Annotated[list[str] | None, typer.Option("-i", "--input", help="k=v, k:=json or k=@file.")] = None,
    resume: Annotated[
        list[str] | None, typer.Option("--resume", help="TASK.k=v: an answer to a pause; TASK where it asks nothing.")
    ] = None,
    output: Annotated[str, typer.Option("--output", help="text or json.")] = "text",
    data: Data = None,
    flows: Flows = None,
) -> None:
    """Run one flow here in the terminal, answering its pauses at the prompt."""
    from bot.cli.run import run_flow

    run_flow(flow, inputs or [], resume or [], output, data, flows)


@app.command()
def validate(
    paths: Annotated[list[Path], typer.Argument(help="Flow files and folders.")],
    format: Annotated[str, typer.Option("--format", help="text, json, github or sarif.")] = "text",
    strict: Annotated[bool, typer.Option("--strict", help="Warnings and hints fail too.")] = False,
) -> None:
    """Check flow files: what is wrong, in which line, and what to write instead."""
    from bot.cli.validate import validate as check

    check(paths, format, strict)


@app.command()
def schema(
    out: Annotated[Path | None, typer.Option("-o", help="Write to this file instead of stdout.")] = None,
) -> None:
    """The JSON Schema of the flow language, for editors."""
    from bot.cli.language import print_schema

    print_schema(out)


@app.command()
def plugins(as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False) -> None:
    """Every task, trigger and condition type that flows can use."""
    from bot.cli.language import print_types

    print_types(as_json)


@app.command()
def preview(
    flow: Annotated[str, typer.Argument(help="A flow file, or NAMESPACE/ID.")],
    platform: Annotated[str, typer.Option("--platform", help="slack, discord, web or all.")] = "all",
    out: Annotated[Path | None, typer.Option("--out", help="Folder for HTML pages.")] = None,
    flows: Flows = None,
) -> None:
    """Every form and card of a flow, as text and as HTML in each platform's look; no account needed."""
    from bot.cli.preview import preview as show

    show(flow, platform, out, flows)


@app.command()
def test(
    files: Annotated[list[Path], typer.Argument(help="Test files, or folders with them.")],
    format: Annotated[str, typer.Option("--format", help="text, json or junit.")] = "text",
    flows: Flows = None,
) -> None:
    """Run the tests of flows on the real engine, without any service."""
    from bot.cli.test import test as check

    check(files, format, flows)


@app.command()
def doctor(
    as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
    test_card: Annotated[
        str | None,
        typer.Option(
            "--test-card", metavar="CHANNEL", help="Post a card to slack:#ops or discord:123 and wait for a click."
        ),
    ] = None,
    data: Data = None,
    flows: Flows = None,
) -> None:
    """Look at folders, database, flows, tokens, scopes, intents, channels and clocks; say what to mend, in order."""
    from bot.cli.doctor import doctor as look

    look(as_json, data, flows, test_card)


@kv.command("get")
def kv_get(namespace: str, key: str, data: Data = None) -> None:
    """Print one value."""
    from bot.cli.kv import get

    get(namespace, key, data)


@kv.command("set")
def kv_set(
    namespace: str,
    key: str,
    value: str,
    kind: Annotated[
        str | None, typer.Option("--type", help="STRING, NUMBER, BOOLEAN, DATETIME, DATE, DURATION or JSON.")
    ] = None,
    ttl: Annotated[float | None, typer.Option("--ttl", help="Seconds after which it is forgotten.")] = None,
    data: Data = None,
) -> None:
    """Store a value."""
    from bot.cli.kv import put

    put(namespace, key, value, kind, ttl, data)


@kv.command("list")
def kv_list(namespace: str, data: Data = None) -> None:
    """Print the keys of a namespace."""
    from bot.cli.kv import keys

    keys(namespace, data)


@kv.command("delete")
def kv_delete(namespace: str, key: str, data: Data = None) -> None:
    """Forget a value."""
    from bot.cli.kv import delete

    delete(namespace, key, data)


@app.command()
def links(data: Data = None) -> None:
    """Print which accounts a code made one person's, a person a line."""
    from bot.cli.links import links as show

    show(data)


@app.command()
def unlink(
    account: Annotated[str, typer.Argument(help="An account, such as slack:U0123 or discord:42.")], data: Data = None
) -> None:
    """Let an account that was linked by a code stand for itself again."""
    from bot.cli.links import unlink as take_out

    take_out(account, data)


@audit.command("verify")
def audit_verify(
    file: Annotated[
        Path | None, typer.Argument(help="A file that `export` wrote (default: the record itself).")
    ] = None,
    head: Annotated[str, typer.Option("--head", help="A hash printed earlier, which must still be there.")] = "",
    key: Annotated[
        list[Path] | None, typer.Option("--key", help="A file with a public key that must have signed; repeatable.")
    ] = None,
    accept: Annotated[
        list[int] | None, typer.Option("--accept", help="A row that tells of a loss you know of; repeatable.")
    ] = None,
    data: Data = None,
) -> None:
    """Check that no row was changed or removed, and that it is signed; exit status 1 names the first that was."""
    from bot.cli.audit import verify

    verify(file, head, key or (), accept or (), data)


@audit.command("key")
def audit_key(
    new: Annotated[bool, typer.Option("--new", help="Print a new private key, for the settings, instead.")] = False,
    data: Data = None,
) -> None:
    """Print the public key that signs the record, and its fingerprint."""
    from bot.cli.audit import key

    key(new, data)


@audit.command("rotate")
def audit_rotate(
    lost: Annotated[bool, typer.Option("--lost", help="The former key is lost, so it can't hand over.")] = False,
    data: Data = None,
) -> None:
    """Let a new key sign from now on, to which the former one hands over. Prints its public key."""
    from bot.cli.audit import rotate

    rotate(lost, data)


@audit.command("export")
def audit_export(
    format: Annotated[str, typer.Option("--format", help="jsonl or csv.")] = "jsonl",
    since: Annotated[str, typer.Option("--since", help="A date or time: 2026-03-31, 2026-03-31T14:00Z.")] = "",
    run: Annotated[str, typer.Option("--run", help="Only what was done with one run: its whole id.")] = "",
    data: Data = None,
) -> None:
    """Print the record, oldest row first."""
    from bot.cli.audit import export

    export(format, since, run, data)


@audit.command("forget")
def audit_forget(
    person: Annotated[str, typer.Argument(help="An account, such as slack:U0123 or discord:42.")], data: Data = None
) -> None:
    """Take a person out of the record: names, ids and what they wrote. The record still verifies."""
    from bot.cli.audit import forget

    forget(person, data)


@audit.command("purge")
def audit_purge(
    before: Annotated[str | None, typer.Option("--before", help="Rows from before this date, as 2026-01-31.")] = None,
    older_than: Annotated[str | None, typer.Option("--older-than", help="Rows older than this, as P730D.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say how many there are.")] = False,
    data: Data = None,
) -> None:
    """Take old rows out of the record. It says so, and still verifies."""
    from bot.cli.audit import purge as clean

    clean(before, older_than, dry_run, data)


@slack.command("manifest")
def slack_manifest(
    url: Annotated[str | None, typer.Option("--url", help="Public address, for HTTP mode.")] = None,
) -> None:
    """The app manifest to paste at api.slack.com."""
    from bot.slack.manifest import manifest

    typer.echo(manifest(url))


@discord.command("invite")
def discord_invite(application_id: str) -> None:
    """The link that invites the bot to a Discord server."""
    from bot.discord.invite import invite_url

    typer.echo(invite_url(application_id))
