"""Catalogue of the commands, in the order in which ``--help`` lists them.

The texts of the options are next to the options, in ``cli.commands`` and ``cli.options``.
"""

from __future__ import annotations

from typing import NamedTuple

from basix_ws_cti._internal.translation import _

from . import panels


class Example(NamedTuple):
    """Command line that readers can copy, and a comment about it."""

    comment: str
    line: str


class CommandTexts(NamedTuple):
    """Texts about a command."""

    panel: str
    """Group in which the list of commands has it."""

    summary: str
    """Imperative sentence."""

    details: str = ""
    """Further paragraphs, separated by empty lines."""

    examples: tuple[Example, ...] = ()
    """Two to four examples."""

    @property
    def help(self) -> str:
        """Summary and details."""
        return f"{self.summary}\n\n{self.details}" if self.details else self.summary

    @property
    def epilog(self) -> str:
        """Examples as lines of a shell script."""
        return epilog(self.examples)


def epilog(examples: tuple[Example, ...]) -> str:
    """Return examples as lines of a shell script."""
    return "\n".join(f"# {example.comment}\n{example.line}" for example in examples)


COMMANDS: dict[str, CommandTexts] = {
    "top": CommandTexts(
        panel=panels.WATCH,
        summary=_("Show a live wallboard of calls, queues and users in the terminal."),
        details=_("Press ? for the keys, and q to leave."),
        examples=(
            Example(
                comment=_("Look at it without a PBX"),
                line="basix-ws-cti top --simulate",
            ),
            Example(
                comment=_("All calls of your PBX; the token is asked for"),
                line="basix-ws-cti top --server bcs.brastel.com --domain acme --full-events",
            ),
            Example(
                comment=_("Times in another time zone"),
                line="basix-ws-cti top --full-events --timezone Asia/Tokyo",
            ),
        ),
    ),
    "web": CommandTexts(
        panel=panels.WATCH,
        summary=_("Serve a live wallboard to browsers, until Ctrl-C."),
        details=_(
            "The page is for screens on the wall, desks and phones. Without further options, only "
            "browsers on this machine can open it."
        ),
        examples=(
            Example(
                comment=_("Look at it without a PBX, at http://127.0.0.1:8080"),
                line="basix-ws-cti web --simulate",
            ),
            Example(
                comment=_("All calls of your PBX; the token is asked for"),
                line="basix-ws-cti web --server bcs.brastel.com --domain acme --full-events",
            ),
            Example(
                comment=_("For other machines, behind a login"),
                line="basix-ws-cti web --listen 0.0.0.0:8080 --password-file wallboard.access",
            ),
            Example(
                comment=_("A recorded day, 20 times as fast"),
                line="basix-ws-cti web --recording day.rec.gz --recording-speed 20",
            ),
        ),
    ),
    "listen": CommandTexts(
        panel=panels.WATCH,
        summary=_("Print each event of the feed in a line, until Ctrl-C."),
        details=_(
            "Without filters, every event is printed. An event must match one value of each "
            "filter that is given. Gaps in the feed are reported on stderr."
        ),
        examples=(
            Example(
                comment=_("Events of a simulated PBX, at 20 times the speed"),
                line="basix-ws-cti listen --simulate --simulate-speed 20",
            ),
            Example(
                comment=_("Calls of one user: who rang, who answered, how they ended"),
                line="basix-ws-cti listen --calls --user 1001",
            ),
            Example(
                comment=_("JSON lines for another program"),
                line="basix-ws-cti listen --json --kind channel --event removed | jq .element",
            ),
        ),
    ),
    "state": CommandTexts(
        panel=panels.WATCH,
        summary=_("Print the current state of the PBX and exit."),
        examples=(
            Example(
                comment=_("Tables of calls, users, groups and terminals"),
                line="basix-ws-cti state --full-events",
            ),
            Example(
                comment=_("Labels of all users"),
                line="basix-ws-cti state --json --kind user | jq '.elements.user[].label'",
            ),
        ),
    ),
    "record": CommandTexts(
        panel=panels.RECORD,
        summary=_("Record the feed in a file, until Ctrl-C."),
        details=_(
            "The recording contains each frame with its time of arrival, across reconnects, but "
            "no token. It contains names and numbers, unless --anonymise is given."
        ),
        examples=(
            Example(
                comment=_("Record until Ctrl-C, compressed"),
                line="basix-ws-cti record day.rec.gz --full-events",
            ),
            Example(
                comment=_("One hour, without names and numbers"),
                line="basix-ws-cti record hour.rec --seconds 3600 --anonymise",
            ),
            Example(
                comment=_("One minute of a simulated PBX"),
                line="basix-ws-cti record try.rec --simulate --seconds 60",
            ),
        ),
    ),
    "replay": CommandTexts(
        panel=panels.RECORD,
        summary=_("Show a recording as if it were the live feed."),
        details=_("The output is that of listen, or with --top and --state that of top and state."),
        examples=(
            Example(
                comment=_("On the wallboard, ten times as fast"),
                line="basix-ws-cti replay day.rec.gz --top --speed 10",
            ),
            Example(
                comment=_("All calls at once, as JSON lines"),
                line="basix-ws-cti replay day.rec.gz --at-once --calls --json",
            ),
            Example(
                comment=_("The state at the end"),
                line="basix-ws-cti replay day.rec.gz --state",
            ),
        ),
    ),
    "anonymise": CommandTexts(
        panel=panels.RECORD,
        summary=_("Copy a recording with names, numbers and addresses replaced."),
        details=_(
            "Equal values are replaced by equal values, and the calls stay the same. The copy "
            "still shows how many people there are, and when they called."
        ),
        examples=(
            Example(
                comment=_("A copy to give away"),
                line="basix-ws-cti anonymise day.rec.gz to-give-away.rec.gz",
            ),
            Example(
                comment=_("Look at the result"),
                line="basix-ws-cti replay to-give-away.rec.gz --state",
            ),
        ),
    ),
    "log": CommandTexts(
        panel=panels.RECORD,
        summary=_("Keep a log of all calls in a database, until Ctrl-C."),
        details=_(
            "The log has a row for each call, each wait in a queue, and each party of a call. "
            "Calls that are logged already are not logged twice."
        ),
        examples=(
            Example(
                comment=_("Log the calls of your PBX in a file; the token is asked for"),
                line="basix-ws-cti log calls.db --server bcs.brastel.com --domain acme",
            ),
            Example(
                comment=_("The calls of a recording"),
                line="basix-ws-cti log calls.db --recording day.rec.gz",
            ),
            Example(
                comment=_("Calls for 400 days, numbers for 90"),
                line="basix-ws-cti log calls.db --keep 400d --forget-numbers 90d --full-events",
            ),
        ),
    ),
    "report": CommandTexts(
        panel=panels.RECORD,
        summary=_("Report figures of queues and agents from a call log."),
        details=_(
            "Reports contain names and numbers, so files are readable for their owner only. The "
            "formats csv and json have the same columns in every language."
        ),
        examples=(
            Example(
                comment=_("Queues of yesterday, hour by hour"),
                line="basix-ws-cti report calls.db --by hour",
            ),
            Example(
                comment=_("A page with charts about last week, for managers"),
                line="basix-ws-cti report calls.db --from last-week --output week.html",
            ),
            Example(
                comment=_("Agents in November, for Excel"),
                line="basix-ws-cti report calls.db agents --from 2026-11 --output agents.xlsx",
            ),
            Example(
                comment=_("Callers of today who wait for a call back"),
                line="basix-ws-cti report calls.db callbacks --from today",
            ),
        ),
    ),
    "publish": CommandTexts(
        panel=panels.RECORD,
        summary=_("Publish the feed to a Redis stream, until Ctrl-C."),
        details=_(
            "Any number of programs on many machines can read the stream, while the PBX allows two "
            "connections. Start the command on two machines or more: one leads, the next one is "
            "connected and takes over if it fails, and all others wait."
        ),
        examples=(
            Example(
                comment=_("Publish every channel; the token is asked for"),
                line="basix-ws-cti publish rediss://basix@redis.example.com --full-events",
            ),
            Example(
                comment=_("Try it without a PBX, with a Redis on this machine"),
                line="basix-ws-cti publish redis://127.0.0.1 --simulate",
            ),
        ),
    ),
    "metrics": CommandTexts(
        panel=panels.RECORD,
        summary=_("Serve figures of queues and calls for Prometheus, until Ctrl-C."),
        details=_(
            "The path /metrics has the figures, without names and numbers of people. The path "
            "/healthy answers 200 while the feed is in sync with the PBX, else 503."
        ),
        examples=(
            Example(
                comment=_("Try it without a PBX, then open http://127.0.0.1:9850/metrics"),
                line="basix-ws-cti metrics --simulate",
            ),
            Example(
                comment=_("All channels of your PBX, for a Prometheus on another machine"),
                line="basix-ws-cti metrics --full-events --listen 0.0.0.0:9850",
            ),
            Example(
                comment=_("The feed of a publisher"),
                line="basix-ws-cti metrics --redis rediss://reader@redis.example.com",
            ),
        ),
    ),
    "webhook": CommandTexts(
        panel=panels.RECORD,
        summary=_("Send call events to a web server, signed, until Ctrl-C."),
        details=_(
            "Each event is a POST request with a signature of Standard Webhooks. Events of one "
            "call arrive in order. Events that are not delivered wait in a file, the spool, and "
            "are sent again; those that the web server refuses become dead letters."
        ),
        examples=(
            Example(
                comment=_("Ended calls of one queue; the secret is in BASIX_WEBHOOK_SECRET"),
                line="basix-ws-cti webhook https://crm.example.com/ --event ended --group 1900",
            ),
            Example(
                comment=_("Try it without a PBX, with a web server on this machine"),
                line="basix-ws-cti webhook http://127.0.0.1:8000/ --simulate",
            ),
        ),
    ),
    "dead-letters": CommandTexts(
        panel=panels.RECORD,
        summary=_("List, retry or delete events that a web server refused."),
        details=_("The web server answered the command webhook with a status such as 400."),
        examples=(
            Example(
                comment=_("Print them with the reasons"),
                line="basix-ws-cti dead-letters list",
            ),
        ),
    ),
    "dead-letters list": CommandTexts(
        panel=panels.RECORD,
        summary=_("Print the dead letters: time, id, type, and the reason."),
        examples=(
            Example(
                comment=_("Dead letters of the spool in this folder"),
                line="basix-ws-cti dead-letters list",
            ),
            Example(
                comment=_("The reasons of another spool, as JSON lines"),
                line="basix-ws-cti dead-letters list --json --spool crm.db | jq .reason",
            ),
        ),
    ),
    "dead-letters retry": CommandTexts(
        panel=panels.RECORD,
        summary=_("Send dead letters again; the webhook does so while it runs."),
        examples=(
            Example(
                comment=_("All of them, after the web server was repaired"),
                line="basix-ws-cti dead-letters retry --all",
            ),
        ),
    ),
    "dead-letters drop": CommandTexts(
        panel=panels.RECORD,
        summary=_("Delete dead letters."),
        examples=(
            Example(
                comment=_("All of them, of another spool"),
                line="basix-ws-cti dead-letters drop --all --spool /var/lib/basix/crm.db",
            ),
        ),
    ),
    "call": CommandTexts(
        panel=panels.CONTROL,
        summary=_("Call a user, then connect them to a number (click-to-call)."),
        details=_("Prints the UUID of each channel that rings."),
        examples=(
            Example(
                comment=_("Ring extension 1001, then call the number"),
                line="basix-ws-cti call 1001 0398765432",
            ),
            Example(
                comment=_("The same by user id; the phone answers by itself"),
                line="basix-ws-cti call user:10001001 0398765432 --auto-answer",
            ),
            Example(
                comment=_("Ring the members of a group first"),
                line="basix-ws-cti call --group 1900 1001",
            ),
        ),
    ),
    "hangup": CommandTexts(
        panel=panels.CONTROL,
        summary=_("Hang up a channel of a call."),
        details=_("Waits until the channel is gone, unless --no-confirm is given."),
        examples=(
            Example(
                comment=_("By the first characters of the UUID"),
                line="basix-ws-cti hangup e3e70682",
            ),
            Example(
                comment=_("By telephone number: print the command, send nothing"),
                line="basix-ws-cti hangup 03-1234-1234 --dry-run",
            ),
        ),
    ),
    "park": CommandTexts(
        panel=panels.CONTROL,
        summary=_("Park a call on a slot that the PBX chooses."),
        details=_(
            "Waits until the call is parked, and prints the slot, unless --no-confirm is given."
        ),
        examples=(
            Example(
                comment=_("Park the call of this number"),
                line="basix-ws-cti park 03-1234-1234",
            ),
            Example(
                comment=_("For one minute at most"),
                line="basix-ws-cti park e3e70682 --park-timeout 60",
            ),
        ),
    ),
    "transfer": CommandTexts(
        panel=panels.CONTROL,
        summary=_("Transfer a call without consultation (blind transfer)."),
        details=_(
            "Pass the channel of the caller, not that of the extension that talks to the caller. "
            "Waits until the channel has left its state, unless --no-confirm is given."
        ),
        examples=(
            Example(
                comment=_("Transfer this caller to extension 1002"),
                line="basix-ws-cti transfer 03-1234-1234 1002",
            ),
            Example(
                comment=_("To a user, on behalf of the user with extension 1001"),
                line="basix-ws-cti transfer e3e70682 user:10001002 --as-user 1001",
            ),
        ),
    ),
    "doctor": CommandTexts(
        panel=panels.CHECK,
        summary=_("Check the connection to the PBX step by step, and print advice."),
        details=_(
            "The first failed step ends the check. The exit code is 0 if no step failed, 2 for "
            "the options, 3 for the login, and 4 for everything else.\n\n"
            "The check opens its own connection: the PBX allows two per user and app name. "
            "With --force it replaces the oldest one if there are two."
        ),
        examples=(
            Example(
                comment=_("Check server, network, login and feed"),
                line="basix-ws-cti doctor --server bcs.brastel.com --domain acme --full-events",
            ),
            Example(
                comment=_("Facts about the feed for a bug report, without personal data"),
                line="basix-ws-cti doctor --facts --seconds 60 --full-events",
            ),
            Example(
                comment=_("Settings and permissions of a Redis server that carries the feed"),
                line="basix-ws-cti doctor --redis rediss://basix@redis.example.com",
            ),
        ),
    ),
    "decode": CommandTexts(
        panel=panels.CHECK,
        summary=_("Decode frames and print their Erlang terms and messages."),
        details=_(
            "Frames are given in hex or base64, as a hexdump, as lines of a recording, or as the "
            "bytes of one frame."
        ),
        examples=(
            Example(
                comment=_("A frame in hex"),
                line="basix-ws-cti decode 83680264000a73797374656d5f6d73676b00066c6f676f7574",
            ),
            Example(
                comment=_("The frames of a file, one per line"),
                line="basix-ws-cti decode --file frames.txt --term",
            ),
            Example(
                comment=_("A hexdump from a pipe"),
                line="xxd frame.bin | basix-ws-cti decode",
            ),
        ),
    ),
    "schema": CommandTexts(
        panel=panels.CHECK,
        summary=_("Print the JSON Schema of what listen and state print with --json."),
        examples=(
            Example(
                comment=_("Keep it next to a program that reads the lines"),
                line="basix-ws-cti schema > feed.schema.json",
            ),
        ),
    ),
    "simulate": CommandTexts(
        panel=panels.CHECK,
        summary=_("Run a simulated PBX until Ctrl-C."),
        details=_(
            "Clients log in with its domain, and with the token in BASIX_TOKEN; without this "
            'variable the token is "simulated".'
        ),
        examples=(
            Example(
                comment=_("A busy PBX with 50 users, ten times as fast"),
                line="basix-ws-cti simulate --users 50 --rate 20 --speed 10",
            ),
            Example(
                comment=_('Connect to it from another terminal; the token is "simulated"'),
                line="basix-ws-cti listen --server ws://127.0.0.1:8765 --domain demo",
            ),
        ),
    ),
    "config": CommandTexts(
        panel=panels.CHECK,
        summary=_("Show the config file, and the options that it provides."),
        details=_(
            "A config file has profiles with connection options, the time zone and the language. "
            "The option --profile selects one."
        ),
        examples=(
            Example(
                comment=_("Edit the config file"),
                line='"$EDITOR" "$(basix-ws-cti config path)"',
            ),
            Example(
                comment=_("Check which values a profile provides"),
                line="basix-ws-cti config show --profile acme",
            ),
        ),
    ),
    "config show": CommandTexts(
        panel=panels.CHECK,
        summary=_("Print the value of each profile option, and where it comes from."),
        details=_(
            "The values are those that a command with the same options would use. The token is "
            "not printed."
        ),
        examples=(
            Example(
                comment=_("Values of the default profile"),
                line="basix-ws-cti config show",
            ),
            Example(
                comment=_("Values of a profile, with one option overridden"),
                line="basix-ws-cti config show --profile acme --full-events",
            ),
        ),
    ),
    "config path": CommandTexts(
        panel=panels.CHECK,
        summary=_("Print the path of the config file, which need not exist."),
        examples=(
            Example(
                comment=_("Edit the config file"),
                line='"$EDITOR" "$(basix-ws-cti config path)"',
            ),
        ),
    ),
    "web-access": CommandTexts(
        panel=panels.CHECK,
        summary=_("Make accounts and display links for the wallboard in the browser."),
        details=_(
            "The file is that of web --password-file. It has hashes only: neither passwords nor "
            "links can be computed from it. A running server follows changes within seconds."
        ),
        examples=(
            Example(
                comment=_("Set a password"),
                line="basix-ws-cti web-access password wallboard.access anna",
            ),
            Example(
                comment=_("A link for a screen on the wall"),
                line="basix-ws-cti web-access link wallboard.access lobby",
            ),
        ),
    ),
    "web-access password": CommandTexts(
        panel=panels.CHECK,
        summary=_("Set the password of an account, new or not."),
        details=_(
            "The password is typed twice, or is one line on stdin. Sessions with the old password "
            "end."
        ),
        examples=(
            Example(
                comment=_("Type the password"),
                line="basix-ws-cti web-access password wallboard.access anna",
            ),
            Example(
                comment=_("Take it from a password manager"),
                line="pass anna | basix-ws-cti web-access password wallboard.access anna",
            ),
        ),
    ),
    "web-access link": CommandTexts(
        panel=panels.CHECK,
        summary=_("Add a display link, which shows the wallboard without a login."),
        details=_(
            "Prints the end of the address, which is not stored: put it behind the address of the "
            "wallboard. The link is for reading, and does not expire. Everybody who has it may "
            "read: treat it like a password."
        ),
        examples=(
            Example(
                comment=_("All queues"),
                line="basix-ws-cti web-access link wallboard.access lobby",
            ),
            Example(
                comment=_("One queue and its agents"),
                line="basix-ws-cti web-access link wallboard.access sales --queue 1900",
            ),
        ),
    ),
    "web-access list": CommandTexts(
        panel=panels.CHECK,
        summary=_("List accounts and display links by name."),
        examples=(
            Example(
                comment=_("Names, and what the links show"),
                line="basix-ws-cti web-access list wallboard.access",
            ),
        ),
    ),
    "web-access remove": CommandTexts(
        panel=panels.CHECK,
        summary=_("Remove an account or display link, and end its sessions."),
        examples=(
            Example(
                comment=_("Revoke a link"),
                line="basix-ws-cti web-access remove wallboard.access lobby",
            ),
        ),
    ),
    "help": CommandTexts(
        panel=panels.CHECK,
        summary=_("Explain a command, or how to connect."),
        examples=(
            Example(
                comment=_("All connection options and their environment variables"),
                line="basix-ws-cti help connection",
            ),
            Example(
                comment=_("The same as listen --help"),
                line="basix-ws-cti help listen",
            ),
        ),
    ),
}


def top_level_commands() -> dict[str, CommandTexts]:
    """Return the commands and groups that ``basix-ws-cti --help`` lists."""
    return {name: texts for name, texts in COMMANDS.items() if " " not in name}


def subcommands(group: str) -> dict[str, CommandTexts]:
    """Return the commands of a group by their full names; empty for a command."""
    return {name: texts for name, texts in COMMANDS.items() if name.startswith(f"{group} ")}


FIRST_STEPS: tuple[Example, ...] = (
    Example(
        comment=_("Watch a simulated PBX; no account is needed"),
        line="basix-ws-cti top --simulate",
    ),
    Example(
        comment=_("Check the connection to your PBX"),
        line="basix-ws-cti doctor --server bcs.brastel.com --domain acme --full-events",
    ),
    Example(
        comment=_("Record a minute of a simulated PBX"),
        line="basix-ws-cti record try.rec --simulate --seconds 60",
    ),
    Example(
        comment=_("Show the recording ten times as fast"),
        line="basix-ws-cti replay try.rec --speed 10",
    ),
)
"""Examples for readers who have not read the documentation."""
