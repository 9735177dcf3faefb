"""The command reference: every command with its options, from the parsers of the commands themselves."""

from __future__ import annotations

import argparse
import re
from typing import Any

from archdsl.commands import GROUPS
from archdsl.commands.parser import parser_of


def reference() -> str:
    """Return a section for each command, below a heading for each group."""
    lines: list[str] = []
    for title, commands in GROUPS.items():
        lines += [f"## {title.capitalize()}", ""]
        for name in commands:
            lines += command(name)
    return "\n".join(lines)


def command(name: str) -> list[str]:
    """Return the section of a command."""
    parser = parser_of(name)
    parser.formatter_class = lambda prog: argparse.HelpFormatter(prog, width=100)
    usage = parser.format_usage().removeprefix("usage: ").rstrip()
    lines = [f"### `archdsl {name}`", "", parser.description or "", "", "```text", *usage.splitlines(), "```", ""]
    for group in parser._action_groups:
        actions: list[argparse.Action] = [a for a in group._group_actions if not isinstance(a, argparse._HelpAction)]
        if actions:
            heading = "options" if group.title == "options" else str(group.title)
            lines += [f"| {heading} | |", "|---|---|"]
            lines += [f"| {_call(a)} | {_text(a, parser)} |" for a in actions]
            lines.append("")
    lines += ["```sh"]
    for call, does in _examples(parser):
        lines += [f"# {does}", f"archdsl {call}"]
    return [*lines, "```", ""]


def _examples(parser: Any) -> list[tuple[str, str]]:
    found = re.findall(r"^  # (.*)\n  archdsl (.*)$", parser.epilog or "", re.MULTILINE)
    return [(call, does) for does, call in found]


def _call(action: argparse.Action) -> str:
    metavar = action.metavar or ("|".join(map(str, action.choices)) if action.choices else action.dest.upper())
    value = "" if action.nargs == 0 else str(metavar)
    words = [f"{option} {value}".strip() for option in action.option_strings] or [value]
    return ", ".join(f"`{word}`".replace("|", r"\|") for word in words)


def _text(action: argparse.Action, parser: argparse.ArgumentParser) -> str:
    parameters = {**vars(action), "prog": parser.prog}
    return re.sub(r"(?<!\\)\|", r"\|", (action.help or "") % parameters)
