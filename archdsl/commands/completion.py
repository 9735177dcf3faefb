"""`archdsl completion`: a script that lets a shell complete commands, options, values and bundled specs.

The scripts contain all words, so that completion does not start Python.
"""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from archdsl.commands import FAMILIES, SUMMARIES
from archdsl.commands.parser import parser_of
from archdsl.resources import bundled_specs

if TYPE_CHECKING:
    from archdsl.commands.parser import Parser

SHELLS = ("bash", "zsh", "fish")
EXAMPLES = (
    ("completion bash > ~/.local/share/bash-completion/completions/archdsl", "Complete in bash."),
    ("completion fish > ~/.config/fish/completions/archdsl.fish", "Complete in fish."),
)
BASH = """\
# Completion of archdsl in bash. Write it to ~/.local/share/bash-completion/completions/archdsl
_archdsl() {{
    local word=${{COMP_WORDS[COMP_CWORD]}} before=${{COMP_WORDS[COMP_CWORD-1]}} words=""
    local command=${{COMP_WORDS[1]}}
    if (( COMP_CWORD == 1 )); then
        COMPREPLY=($(compgen -W "{commands}" -- "$word"))
        return
    fi
    case "$command" in
        {families})
            if (( COMP_CWORD == 2 )); then
                case "$command" in
{actions}
                esac
            else
                command="$command ${{COMP_WORDS[2]}}"
            fi ;;
    esac
    case "$command $before" in
{values}
    esac
    case "$command" in
{options}
    esac
    COMPREPLY=($(compgen -W "$words" -- "$word"))
    if [[ $word != -* ]]; then
        COMPREPLY+=($(compgen -f -- "$word"))
    fi
}}
complete -o filenames -F _archdsl archdsl
"""
ZSH = "#compdef archdsl\n# Completion of archdsl in zsh. Add to .zshrc: source <(archdsl completion zsh)\n" \
    "autoload -U +X compinit && compinit -u\nautoload -U +X bashcompinit && bashcompinit\n"  # fmt: skip


def arguments(parser: Parser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("shell", choices=SHELLS, help="Shell to print a script for.")


@dataclass(frozen=True, kw_only=True)
class Options:
    """Options of `archdsl completion`."""

    shell: str


class Words(NamedTuple):
    """The possible words after a command."""

    options: dict[str, tuple[str, tuple[str, ...]]]  # help and choices
    specs: bool  # it has specs as arguments


def run(options: Options) -> int:
    """Print the script of a shell."""
    script = {"bash": _bash, "zsh": lambda: ZSH + _bash(), "fish": _fish}[options.shell]
    print(script(), end="")
    return 0


def _words(name: str) -> Words:
    parser = parser_of(name)
    options = {
        option: (action.help or "", tuple(map(str, action.choices or ())))
        for option, action in parser.options().items()
    }
    metavars = {word for action in parser.positionals() for word in str(action.metavar).split("|")}
    return Words(options, bool(metavars & {"SPEC", "BASE"}) or name == "show")


def _first_words() -> dict[str, str]:
    """Return the first words of all commands, with a summary."""
    return {n: FAMILIES.get(n) or SUMMARIES[n] for n in dict.fromkeys(name.split()[0] for name in SUMMARIES)}


def _actions(first: str) -> list[str]:
    return [name.split()[1] for name in SUMMARIES if name.startswith(f"{first} ")]


def _bash() -> str:
    families = [first for first in _first_words() if _actions(first)]
    values: list[str] = []
    options: list[str] = []
    for name in SUMMARIES:
        found = _words(name)
        for option, (_, choices) in found.options.items():
            if choices:
                reply = f'COMPREPLY=($(compgen -W "{" ".join(choices)}" -- "$word")); return'
                values.append(f'        "{name} {option}") {reply} ;;')
        own = [*found.options, *(bundled_specs() if found.specs else ())]
        options.append(f'        "{name}") words+=" {" ".join(own)}" ;;')
    return BASH.format(
        commands=" ".join(_first_words()),
        families="|".join(families),
        actions="\n".join(f'                    {f}) words="{" ".join(_actions(f))}" ;;' for f in families),
        values="\n".join(values),
        options="\n".join(options),
    )


def _fish() -> str:
    """Return a line for each word that can be completed."""
    lines = ["# Completion of archdsl in fish. Write it to ~/.config/fish/completions/archdsl.fish"]
    for first, summary in _first_words().items():
        lines.append(f"complete -c archdsl -n __fish_use_subcommand -a {first} -d {shlex.quote(summary)}")
    for name, summary in SUMMARIES.items():
        words = name.split()
        here = " ; and ".join(f"__fish_seen_subcommand_from {word}" for word in words)
        if len(words) == 2:
            others = " ".join(_actions(words[0]))
            seen = f"__fish_seen_subcommand_from {words[0]} ; and not __fish_seen_subcommand_from {others}"
            lines.append(f'complete -c archdsl -n "{seen}" -a {words[1]} -d {shlex.quote(summary)}')
        found = _words(name)
        for option, (text, choices) in found.options.items():
            flag = f"-l {option[2:]}" if option.startswith("--") else f"-s {option[1:]}"
            more = f' -x -a "{" ".join(choices)}"' if choices else ""
            lines.append(f'complete -c archdsl -n "{here}" {flag}{more} -d {shlex.quote(text)}')
        if found.specs:
            lines.append(f'complete -c archdsl -n "{here}" -a "{" ".join(bundled_specs())}"')
    return "\n".join([*lines, ""])
