"""Parsing of a command line: the command, and the record of its options."""

from __future__ import annotations

import argparse
import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any, NoReturn, Protocol, TypeVar, cast

from archdsl.commands import FAMILIES, GROUPS, SUMMARIES

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

T = TypeVar("T")
# Commands and options of other tools, with ours.
_COMMANDS = {
    "build": "compile", "generate": "compile", "view": "draw", "plot": "draw", "visualize": "draw", "render": "draw",
    "validate": "check", "lint": "check", "verify": "check", "summary": "cost", "params": "cost", "flops": "cost",
    "info": "cost", "init": "new", "create": "new", "format": "fmt", "test": "eval", "fit": "train", "ls": "list",
    "cat": "show", "compare": "diff",
}  # fmt: skip
_OPTIONS = {
    "--batch-size": "--batch", "--bs": "--batch", "--dataset": "--data", "--data-dir": "--data",
    "--input-size": "--clip", "--input-shape": "--clip", "--input": "--clip", "--shape": "--clip", "--size": "--clip",
    "--out": "-o",
    "--learning-rate": "--lr", "--num-epochs": "--epochs", "--pretrained": "--weights", "--checkpoint": "--weights",
    "--num-gpus": "--gpus", "--param": "--set", "--override": "--set", "--variant": "--set",
    "--early-stopping": "--patience", "--early-stop": "--patience", "--monitor": "--best", "--amp": "--precision",
    "--output-dir": "-o", "--out-dir": "-o", "--save-dir": "-o", "--work-dir": "-o",
}  # fmt: skip
_PARAMETERS = {"--num-classes": "classes", "--classes": "classes", "--num-frames": "frames", "--frames": "frames"}
# What other tools have and no command of ours has: how to do it without.
_OWN_LOOP = "train on optical flow or on several inputs in a loop of your own: docs/howto/training_loop.md"
_SHORT_RUNS = "train a few epochs with each of several --lr, and compare the runs with `archdsl report`"
_AVERAGE = "average the answers of `archdsl predict --run RUN -o FILE` of each run"
_ABSENT = {
    "--lr-finder": _SHORT_RUNS, "--lr-find": _SHORT_RUNS, "--find-lr": _SHORT_RUNS, "--auto-lr-find": _SHORT_RUNS,
    "--ensemble": _AVERAGE, "--flow": _OWN_LOOP, "--optical-flow": _OWN_LOOP, "--modality": _OWN_LOOP,
    "--two-stream": _OWN_LOOP,
}  # fmt: skip
DESCRIPTION = "Architectures for video recognition: check, cost, draw, compile and train their specs."
USAGE = "usage: archdsl [-h] [--version] COMMAND …"


class Command(Protocol):
    """The module of a command."""

    EXAMPLES: Sequence[tuple[str, str]]  # calls without `archdsl`, and what each does
    Options: Any

    def arguments(self, parser: Parser) -> None:
        """Declare the command's arguments."""
        ...

    def run(self, options: Any) -> int:
        """Run the command and return the exit code."""
        ...


class _Once(argparse.Action):
    """An option with one value, which is refused where it is given two."""

    def __call__(self, parser: Any, namespace: Any, values: Any, option_string: str | None = None) -> None:
        before = getattr(namespace, self.dest, self.default)
        if before not in (self.default, values):
            parser.error(f"argument {option_string}: given twice, as {_shown(before)} and {_shown(values)}; keep one")
        setattr(namespace, self.dest, values)


class Parser(argparse.ArgumentParser):
    """An argument parser that suggests the most similar option for a misspelt one."""

    def __init__(self, name: str, examples: Sequence[tuple[str, str]]) -> None:
        lines = ["examples:", *(line for call, does in examples for line in (f"  # {does}", f"  archdsl {call}"))]
        super().__init__(
            prog=f"archdsl {name}",
            description=SUMMARIES[name],
            epilog="\n".join(lines),
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        self._positionals.title = "arguments"
        self.register("action", None, _Once)  # what `add_argument` does unless told otherwise
        self._words: Sequence[str] = ()
        self._example = examples[0][0]

    def group(self, title: str) -> Any:
        """Add a group of options, with its own heading in the help."""
        return self.add_argument_group(title)

    def read(self, words: Sequence[str], cls: type[T]) -> T:
        """Return the record of options that some words give; wrong use ends the process with exit code 2."""
        self._words = words
        namespace, rest = self.parse_known_args(words)
        if rest:
            self.error(f"unexpected argument {rest[0]!r}")
        return cls(**{k: _frozen(v) for k, v in vars(namespace).items()})

    def options(self) -> dict[str, argparse.Action]:
        """Return the options by name, such as `--set`."""
        return self._option_string_actions

    def positionals(self) -> list[argparse.Action]:
        """Return the positional arguments."""
        return self._positionals._group_actions

    def _stop(self, message: str) -> NoReturn:
        """End the process with a message below one line of usage, since that of all options buries it."""
        places = " ".join(str(a.metavar or a.dest) for a in self.positionals())
        usage = " ".join(filter(None, (f"usage: {self.prog} [options]", places)))
        name = self.prog.removeprefix("archdsl ")
        _fail(f"{usage}    (`archdsl help {name}` lists the options)", self.prog, message)

    def error(self, message: str) -> NoReturn:
        """End the process with a message; if an option is unknown, the message is about it."""
        for word in self._words:
            name = word.split("=", 1)[0]
            if word == "--":
                break
            if name.startswith("--") and not any(known.startswith(name) for known in self.options()):
                known = [option for option in self.options() if option.startswith("--")]
                self._stop(f"no option {name}{self._instead(word) or suggestion(name, known)}")
        required = message.startswith("the following arguments are required")
        self._stop(f"{message}, as in `archdsl {self._example}`" if required else message)

    def _instead(self, word: str) -> str:
        """Return `; write …` with the option of ours for one of another tool; empty if there is none."""
        name, _, given = word.partition("=")
        behind = self._words[self._words.index(word) + 1 :]
        value = given or (behind[0] if behind and not behind[0].startswith("-") else "…")
        if name in _PARAMETERS and "--set" in self.options():
            return f"; write --set {_PARAMETERS[name]}={value}"
        if _OPTIONS.get(name) in self.options():
            return f"; write {_OPTIONS[name]} {value}"
        if name in _ABSENT and "--workers" in self.options():
            return f"; {_ABSENT[name]}"
        if "--recipe" in self.options() and (hyperparameter := _of_recipe(name)):
            return f"; write --recipe {hyperparameter}={value}"
        chosen = next((o for o, a in self.options().items() if a.choices and name[2:] in a.choices), "")
        return f"; did you mean {chosen} {name[2:]}?" if chosen.startswith("--") else ""


def _shown(value: Any) -> str:
    return " ".join(map(str, cast("list[Any]", value))) if isinstance(value, list) else str(value)


def _frozen(value: Any) -> Any:
    return tuple(cast("list[Any]", value)) if isinstance(value, list) else value


def _of_recipe(name: str) -> str:
    """Return the hyperparameter of a recipe that an option such as `--weight-decay` names; empty if there is none."""
    from archdsl.ir.recipe import Recipe

    word = name[2:].replace("-", "_")
    return word if word in Recipe.fields else ""


def suggestion(name: str, known: Iterable[str]) -> str:
    """Return `; did you mean …?` with the most similar of some names, or an empty string."""
    from difflib import get_close_matches

    close = get_close_matches(name, list(known), n=1)
    return f"; did you mean {close[0]}?" if close else ""


def read(words: Sequence[str]) -> tuple[Command, Any]:
    """Return the command that a command line names, and its options.

    Raises:
        SystemExit: with 0 after the help or the version was printed, with 2 for wrong use.
    """
    name = find(words)
    command = load(name)
    return command, parser_of(name).read(words[len(name.split()) :], command.Options)


def find(words: Sequence[str]) -> str:
    """Return the name of the command at the start of a command line, of one or two words."""
    first = words[0] if words else ""
    if first in ("-h", "--help"):
        _end(overview())
    if first == "--version":
        from archdsl import __version__

        _end(f"archdsl {__version__}\n")
    if not first or first.startswith("-"):
        instead = f"; write `archdsl {first[2:]} …`" if first[2:] in SUMMARIES else ""
        _fail(USAGE, "archdsl", f"no option {first}{instead}" if first else "name a command; `archdsl help` lists them")
    name = f"{first} {words[1]}" if len(words) > 1 else first
    if name in SUMMARIES:
        return name
    if first in SUMMARIES:
        return first
    if first not in FAMILIES:
        _fail(USAGE, "archdsl", f"no command {first!r}{_meant(first, words[1:])}")
    return _family(first, words[1] if len(words) > 1 else "")


def _meant(first: str, rest: Sequence[str]) -> str:
    """Return a hint with the command line that an unknown command most likely stands for."""
    if first.endswith(".arch"):
        return f"; write `archdsl check {first}`"
    if first in _COMMANDS:
        return f"; write `archdsl {' '.join([_COMMANDS[first], *rest])}`"
    return suggestion(first, dict.fromkeys(n.split()[0] for n in SUMMARIES))


def _family(first: str, action: str) -> NoReturn:
    """End the process with the help of a family of commands, or with an error about the second word."""
    actions = {n.split()[1]: s for n, s in SUMMARIES.items() if n.startswith(f"{first} ")}
    usage = f"usage: archdsl {first} [-h] ACTION …"
    if action in ("-h", "--help"):
        _end("\n".join([usage, "", FAMILIES[first], "", "actions:", *_rows(actions), ""]))
    names = ", ".join(actions)
    problem = f"no action {action!r}{suggestion(action, actions)}" if action else "name an action"
    _fail(usage, f"archdsl {first}", f"{problem} ({names})")


def overview() -> str:
    """Return the help of `archdsl` itself."""
    lines = [USAGE, "", DESCRIPTION]
    for title, commands in GROUPS.items():
        lines += ["", f"{title}:", *_rows(commands)]
    return "\n".join([*lines, "", "`archdsl help COMMAND` lists the options of each, with examples.", ""])


def _rows(commands: dict[str, str]) -> list[str]:
    width = max(map(len, SUMMARIES))
    return [f"    {name:{width}}  {summary}" for name, summary in commands.items()]


def load(name: str) -> Command:
    """Import the module of a command, and no other."""
    return cast("Command", import_module(f"archdsl.commands.{name.replace(' ', '_')}"))


def parser_of(name: str) -> Parser:
    """Return the parser of a command."""
    command = load(name)
    parser = Parser(name, command.EXAMPLES)
    command.arguments(parser)
    return parser


def _end(text: str) -> NoReturn:
    print(text, end="")
    raise SystemExit(0)


def _fail(usage: str, program: str, message: str) -> NoReturn:
    print(f"{usage}\n{program}: error: {message}", file=sys.stderr)
    raise SystemExit(2)
