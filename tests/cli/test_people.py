"""What a person at a terminal meets: grouped help, the man page, completion in real shells, the progress bar, a slow reader."""

from __future__ import annotations

import os
import pty
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import click
import click.testing
import pytest

from pcapflow.cli import cli
from pcapflow.cli.help import GROUPS, LAST, RARE, REST, grouped

ROOT = Path(__file__).parents[2]
SAMPLES = ROOT / "samples"
BIN = Path(sys.executable).parent
ENV = {**os.environ, "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}"}


def has_rare(name: str) -> bool:
    return any(param.name in RARE for param in cli.commands[name].params)


def test_the_help_of_analyze_shows_the_options_people_use_and_says_where_the_rest_is() -> None:
    text = click.testing.CliRunner().invoke(cli, ["analyze", "--help"], terminal_width=80).output
    options = re.findall(r"^  (?:-\w, )?--([\w-]+)", text, re.MULTILINE)
    assert options[-2:] == ["help", "help-all"]
    assert len(options[:-2]) == 22
    rare = [param for param in cli.commands["analyze"].params if param.name in RARE]
    assert f"Show {len(rare)} more options" in text
    assert not any(opt in text.split() for param in rare for opt in param.opts)
    assert len(text.splitlines()) <= 75


@pytest.mark.parametrize("name", [[], *([name] for name in cli.commands)], ids=lambda name: "-".join(name) or "pcapflow")
def test_no_line_of_help_is_wider_than_80_columns(name: list[str]) -> None:
    for option in ("--help", "--help-all") if name and has_rare(name[0]) else ("--help",):
        text = click.testing.CliRunner().invoke(cli, [*name, option], terminal_width=80, prog_name="pcapflow").output
        assert [line for line in text.splitlines() if len(line) > 80] == []


@pytest.mark.parametrize("name", cli.commands)
def test_help_has_every_option_once_under_a_heading_and_examples(name: str) -> None:
    command = cli.commands[name]
    text = click.testing.CliRunner().invoke(cli, [name, "--help-all" if has_rare(name) else "--help"], terminal_width=100).output
    found = grouped(command)
    shown = [option for _, options in found for option in options]
    assert (
        len(shown)
        == len(set(shown))
        == len([p for p in command.get_params(click.Context(command)) if isinstance(p, click.Option) and not p.hidden])
    )
    for heading, options in found:
        assert f"\n{heading}:\n" in text
        for option in options:
            assert max(option.opts, key=len) in text
    assert found[-1][0] == LAST
    assert "Examples:\n" in text
    assert max(map(len, text.splitlines())) <= 100


def test_every_grouped_name_is_an_option_of_some_command() -> None:
    names = {param.name for command in cli.commands.values() for param in command.params}
    assert {name for group in GROUPS.values() for name in group} | RARE <= names
    assert REST not in GROUPS


@pytest.mark.skipif(shutil.which("man") is None, reason="man is not installed")
def test_the_man_page_is_formatted_without_a_warning() -> None:
    done = subprocess.run(
        ["man", "--warnings", "-E", "UTF-8", "-l", "docs/pcapflow.1"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
        env={**ENV, "MANWIDTH": "80", "LC_ALL": "C.UTF-8", "MANPAGER": "cat"},
    )
    assert done.stderr == ""
    for part in ("PCAPFLOW(1)", "pcapflow report-schema", "--fail-on KINDS", "EXIT STATUS", "pcapflow check --update fixtures/*.pcap"):
        assert part in done.stdout


def completed(words: list[str]) -> list[str]:
    """As bash asks: the real script, in a real bash, with the words as they stand on the line."""
    script = f"""
eval "$(_PCAPFLOW_COMPLETE=bash_source pcapflow)"
COMP_WORDS=({" ".join(f"'{word}'" for word in words)}); COMP_CWORD={len(words) - 1}
_pcapflow_completion pcapflow '{words[-1]}' '{words[-2]}' 2>/dev/null
printf '%s\\n' "${{COMPREPLY[@]}}"
"""
    return subprocess.run(["bash", "-c", script], cwd=ROOT, capture_output=True, text=True, check=True, env=ENV).stdout.split()


def test_bash_completes_commands_options_and_choices() -> None:
    assert completed(["pcapflow", "an"]) == ["analyze"]
    assert {"--json", "--ndjson"} <= set(completed(["pcapflow", "analyze", "--"]))
    assert completed(["pcapflow", "analyze", "--overload", ""]) == ["gap", "drop"]
    assert completed(["pcapflow", "check", "--format", "g"]) == ["github"]


@pytest.mark.skipif(shutil.which("fish") is None, reason="fish is not installed")
def test_fish_completes_commands_and_captures_as_files() -> None:
    def complete(line: str) -> str:
        return subprocess.run(
            ["fish", "-c", f"_PCAPFLOW_COMPLETE=fish_source pcapflow | source; complete -C '{line}'"],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=True,
            env=ENV,
        ).stdout

    assert complete("pcapflow fol").split()[0] == "follow"
    assert "samples/lossy.pcap" in complete("pcapflow analyze samples/los")


@pytest.mark.skipif(shutil.which("zsh") is None, reason="zsh is not installed")
def test_zsh_takes_the_script_and_its_answers() -> None:
    script = 'autoload -Uz compinit && compinit -u -D; eval "$(_PCAPFLOW_COMPLETE=zsh_source pcapflow)"; whence -w _pcapflow_completion; print -r -- ${_comps[pcapflow]}'
    done = subprocess.run(["zsh", "-f", "-c", script], cwd=ROOT, capture_output=True, text=True, check=True, env=ENV)
    assert done.stdout.split() == ["_pcapflow_completion:", "function", "_pcapflow_completion"]
    asked = subprocess.run(
        ["pcapflow"],
        capture_output=True,
        text=True,
        check=True,
        env={**ENV, "_PCAPFLOW_COMPLETE": "zsh_complete", "COMP_WORDS": "pcapflow di", "COMP_CWORD": "1"},
    )
    assert asked.stdout.split("\n")[:2] == ["plain", "diff"]


def test_the_progress_bar_shows_packets_rate_and_memory_against_the_limit() -> None:
    parent, child = pty.openpty()
    capture = (SAMPLES / "keepalive.pcap").read_bytes()
    process = subprocess.Popen(
        [sys.executable, "-m", "pcapflow", "analyze", "--json", "--no-records", "-"],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=child,
        env={**ENV, "TERM": "xterm", "COLUMNS": "120"},
    )
    os.close(child)
    assert process.stdin is not None
    step = len(capture) // 8
    for at in range(0, len(capture), step):
        process.stdin.write(capture[at : at + step])
        process.stdin.flush()
        time.sleep(0.2)
    process.stdin.close()
    assert process.wait(60) == 0
    shown = b""
    while True:
        try:
            data = os.read(parent, 65536)
        except OSError:
            break
        if not data:
            break
        shown += data
    os.close(parent)
    assert b" packets" in shown
    assert b"of 64 MiB" in shown
    assert b"/s" in shown


def test_a_slow_reader_slows_it_down_and_never_grows_it() -> None:
    command = [sys.executable, "-m", "pcapflow", "analyze", "-q", "--ndjson", *[str(SAMPLES / "keepalive.pcap")]]
    process = subprocess.Popen(command, stdout=subprocess.PIPE)
    assert process.stdout is not None
    first = process.stdout.readline()
    assert first.startswith(b'{"record":')
    time.sleep(1.5)
    assert process.poll() is None, "a pipe holds 64 KiB: it waits"
    ticks = [int(n) for n in Path(f"/proc/{process.pid}/stat").read_text().rsplit(") ", 1)[1].split()[11:13]]
    time.sleep(0.5)
    assert [int(n) for n in Path(f"/proc/{process.pid}/stat").read_text().rsplit(") ", 1)[1].split()[11:13]] == ticks, "it does not spin"
    rest = process.stdout.read()
    process.stdout.close()
    assert process.wait(60) == 0
    whole = subprocess.run(command, capture_output=True, check=True).stdout
    assert (first + rest).splitlines()[:-1] == whole.splitlines()[:-1]


@pytest.mark.parametrize("args", [["analyze", "--ndjson"], ["analyze", "--json"], ["analyze"], ["report-schema"]])
def test_a_reader_that_leaves_ends_it_quietly(args: list[str]) -> None:
    captures = [] if args == ["report-schema"] else [str(SAMPLES / "keepalive.pcap")]
    process = subprocess.Popen([sys.executable, "-m", "pcapflow", *args, *captures], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.read(10)
    process.stdout.close()
    assert process.wait(60) == 0
    assert process.stderr.read() == b""
    process.stderr.close()
