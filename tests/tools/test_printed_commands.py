"""Every command that README and the pages print is one that its program understands. Nothing is executed."""

import argparse
import importlib
import re
import shlex
import sys

import pytest

from compress3d import paths, results
from compress3d.engine.experiment import get_experiment
from compress3d.engine.studies import studies
from compress3d.scales import SCALES
from tools import notebooks

ROOT = paths.root()
KINDS = ("compress3d ", "make ", "python -m ", "snakemake ")
FENCE = re.compile(r"^ *```(?:bash|sh|console)?\n(.*?)^ *```", re.S | re.M)
INLINE = re.compile(r"`([^`\n]+)`")


def sources():
    """Place -> Markdown: README, the other documents at the root, the pages, the text of the notebooks."""
    files = [*ROOT.glob("*.md"), *paths.book().rglob("*.md")]
    found = {
        file.relative_to(ROOT).as_posix(): file.read_text("utf-8") for file in files if file.name != "CHANGELOG.md"
    }
    for file in notebooks.find(paths.book()):
        text = "\n\n".join(cell.source for cell in notebooks.read(file).cells if cell.cell_type == "markdown")
        found[file.relative_to(ROOT).as_posix()] = text
    return found


def commands(text):
    """Command lines in blocks of code and between backticks; comments, prompts and what follows `&&` are cut off."""
    lines = [line for block in FENCE.findall(text) for line in block.replace("\\\n", " ").splitlines()]
    found = []
    for line in [*lines, *INLINE.findall(FENCE.sub("", text))]:
        for part in line.split("&&"):
            part = re.sub(r"\s#.*", "", part).strip().removeprefix("$ ").removeprefix(".venv/bin/")
            if part.startswith(KINDS):
                found.append(part)
    return found


PRINTED = sorted({(command, place) for place, text in sources().items() for command in commands(text)})


def parse(command):
    """Let the command's own program read it.

    Raises:
        SystemExit, click.UsageError, AssertionError: it would refuse it.
    """
    words = shlex.split(command)
    match words:
        case ["compress3d", *arguments]:
            parse_compress3d(arguments)
            assert arguments[0] != "study" or arguments[1:2] == [] or arguments[1] in studies()
            for word in arguments:
                if word.startswith(tuple(f"{scale}/" for scale in SCALES)):
                    get_experiment(word)
        case ["make", *arguments]:
            rules = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.M)
            named = [word for word in arguments if "=" not in word]
            assert named and set(named) <= set(rules), f"the Makefile has {rules}"
            variables = set(re.findall(r"^([A-Z]+) *\?=", (ROOT / "Makefile").read_text(), re.M))
            assert {word.partition("=")[0] for word in arguments if "=" in word} <= variables
        case ["python", "-m", module, *arguments]:
            parse_module(module, arguments)
        case ["snakemake", *arguments]:
            assert arguments


def parse_compress3d(arguments):
    import typer

    from compress3d.cli import app

    command, context = typer.main.get_command(app), None
    while True:
        try:
            context = command.make_context(command.name or "", list(arguments), parent=context)
        except (SystemExit, typer.Exit):
            return  # --help, --version
        if not hasattr(command, "resolve_command"):
            return
        rest = [*context._protected_args, *context.args]
        assert rest, f"{command.name} wants a command"
        _, command, arguments = command.resolve_command(context, rest)


class Read(Exception):
    """The arguments were read; what would be done now is not done."""


def parse_module(module, arguments):
    program = importlib.import_module(module)
    if "argparse" not in open(program.__file__, encoding="utf-8").read():
        assert not arguments and callable(program.main), f"{module} takes no arguments"
        return

    def reads(method):
        def stop(self, args=None, namespace=None):
            method(self, args, namespace)
            raise Read

        return stop

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", [module, *arguments])
        for name in ("parse_args", "parse_intermixed_args"):
            patch.setattr(argparse.ArgumentParser, name, reads(getattr(argparse.ArgumentParser, name)))
        with pytest.raises(Read):
            program.main()


@pytest.mark.parametrize("command, place", PRINTED)
def test_a_printed_command_is_understood(command, place):
    parse(command)


def test_a_recorded_command_is_understood():
    """Results files say how they were made; a command that was renamed since is renamed in them."""
    recorded = {
        c for scale in SCALES for result in results.load_all(scale).values() for c in result["provenance"]["commands"]
    }
    assert len(recorded) > 100
    for command in sorted(recorded):
        parse(command)


def test_the_commands_were_found():
    places = {place for _, place in PRINTED}
    assert len(PRINTED) > 40 and {"README.md", "book/verdict/reproduce.md", "book/experiments/sweep.ipynb"} <= places


@pytest.mark.parametrize(
    "command",
    [
        "compress3d rebuild a.jpg",
        "compress3d train demo/implicit-r384-s0 --store here",
        "compress3d train demo/implicit-r383-s0",
        "make everything",
        "make SPEED=2 book",
        "python -m tools.notebooks go",
        "python -m tools.notebooks run --page book/experiments/training.ipynb",
        "python -m tools.headline now",
    ],
)
def test_a_wrong_command_is_refused(command):
    with pytest.raises((Exception, SystemExit)) as caught:
        parse(command)
    assert not isinstance(caught.value, Read)


@pytest.mark.parametrize(
    "arguments",
    [
        ["run", "-p", "steps=60", "PAGE.ipynb"],
        ["run", "PAGE.ipynb", "-p", "steps=60"],
        ["-p", "steps=60", "run", "PAGE.ipynb"],
        ["run", "-p", "steps=60", "PAGE.ipynb", "-p", "scale_name=smoke", "--jobs", "1", "OTHER.ipynb"],
    ],
)
def test_parameters_stand_before_or_behind_the_pages(arguments, monkeypatch):
    seen = {}

    def execute_all(pages, folder, values, *rest):
        seen.update(pages=[str(page) for page in pages], values=values)
        return []

    monkeypatch.setattr(notebooks, "find", lambda where: [where])
    monkeypatch.setattr(notebooks, "execute_all", execute_all)
    notebooks.main(arguments)
    assert seen["values"]["steps"] == 60 and seen["pages"][0] == "PAGE.ipynb"
    assert len(seen["pages"]) == len(seen["values"])
