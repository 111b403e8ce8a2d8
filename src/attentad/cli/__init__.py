"""The command line: parse, call `app`, print. Everything heavy is imported inside a command."""

from __future__ import annotations

import os
import sys
import warnings
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup

import attentad
from attentad.cli import own, scores, videos


class _Command(TyperCommand):
    """A command, with a user's mistake or Ctrl-C told in a sentence instead of a traceback."""

    def invoke(self, ctx: Any) -> Any:
        # Not above: `core` loads numpy, which help does without.
        from attentad.core.errors import AttentadError

        try:
            with warnings.catch_warnings():
                warnings.showwarning = _say_warning
                return super().invoke(ctx)
        except AttentadError as error:
            if _speaks():
                print(f"error: {error}", file=sys.stderr)
            raise SystemExit(2) from None
        except KeyboardInterrupt:
            print(
                "interrupted; finished steps are kept, and the same command goes on from there "
                "(`train RECIPE` needs --resume).",
                file=sys.stderr,
            )
            raise SystemExit(130) from None


class _Commands(TyperGroup):
    """The commands, of which some have a name of two words, such as `train own`."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        two = " ".join(args[:2])
        if len(args) > 1 and two in self.commands:
            return two, self.commands[two], args[2:]
        return super().resolve_command(ctx, args)


def _speaks() -> bool:
    """Training on several devices runs a command once for each; one of them speaks."""
    return os.environ.get("LOCAL_RANK", "0") == "0"


def _say_warning(message: Warning | str, *_: object, **__: object) -> None:
    if _speaks():
        print(f"warning: {message}", file=sys.stderr)


app = typer.Typer(
    cls=_Commands,
    help="Find when actions happen in long videos.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(wanted: bool) -> None:
    if wanted:
        print(f"attentad {attentad.__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None: ...


for _name, _command in {**videos.COMMANDS, **own.COMMANDS, **scores.COMMANDS}.items():
    app.command(_name, cls=_Command)(_command)


def main() -> None:
    """Run the command line; a user's mistake gives one sentence and exit code 2."""
    # On a machine that is not idle, threads that spin while they wait slow a run several times
    # over. Read when torch is loaded, which no command has done yet.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    app()
