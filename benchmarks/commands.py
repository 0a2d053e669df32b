"""The reference of all commands, made of their declarations.

``python -m benchmarks.commands`` (``make docs``) writes ``docs/commands.md``.
"""

from collections.abc import Iterator
from pathlib import Path

import click

from study.cli import app
from study.commands.options import Command

TARGET = Path(__file__).parent.parent / "docs" / "commands.md"
TOP = """# Commands

Made by `make docs` of what the commands declare; `emoji-study COMMAND --help` says the same.

A command ends with code 0 when it has done its work, 1 when something cannot be done, 2 when it was called in a wrong way, 130 when it was interrupted; an error is one line. `--debug` shows where an error comes from, `emoji-study --version` the version.

## Completion

Bash, zsh and fish complete commands, options, choices, and the names of the studies in the storage of `--storage` before them, of `EMOJI_STUDY_STORAGE`, or of `runs/study.db`. One line each, once:

```sh
echo 'eval "$(_EMOJI_STUDY_COMPLETE=bash_source emoji-study)"' >> ~/.bashrc
echo 'eval "$(_EMOJI_STUDY_COMPLETE=zsh_source emoji-study)"' >> ~/.zshrc
_EMOJI_STUDY_COMPLETE=fish_source emoji-study > ~/.config/fish/completions/emoji-study.fish
```
"""  # noqa: E501  # a paragraph of a document is one line


def commands(
    group: click.Group, parent: click.Context | None = None
) -> Iterator[tuple[Command, click.Context]]:
    """Yield each command of a group, and of its groups, with the context that names it."""
    context = click.Context(group, parent, info_name=group.name, **group.context_settings)
    for command in group.commands.values():
        if isinstance(command, click.Group):
            yield from commands(command, context)
        elif isinstance(command, Command):
            yield command, click.Context(command, context, info_name=command.name)


def reference() -> str:
    """Return the document."""
    parts = [TOP]
    for command, context in commands(app):
        usage = " ".join([context.command_path, *command.collect_usage_pieces(context)])
        parts += [f"## {context.command_path}\n", f"{command.help}\n", f"`{usage}`\n"]
        parts.append("\n".join(["```sh", *command.examples, "```\n"]))
        for param in command.get_params(context):
            if isinstance(param, click.Argument):
                parts.append(f"- `{param.make_metavar(context)}`: {param.help}\n")
        for title, options in command.groups(context).items():
            records = [record for o in options if (record := o.get_help_record(context))]
            rows = [f"| `{spec.replace('|', chr(92) + '|')}` | {text} |" for spec, text in records]
            if title != "Help":
                parts.append("\n".join([f"| {title} | |", "|---|---|", *rows, ""]))
    return "\n".join(parts)


if __name__ == "__main__":
    TARGET.write_text(reference())
