#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Configuration files that are wrong, and such that are not:  check.py FILTERD wrong|good|schema [--update]

    wrong   each file of wrong/ gives exactly the messages that stand in the .txt beside it, and exit code 2
    good    each of good/ and of the examples that are installed gives none, and exit code 0
    schema  the schema says of each of them what the reader says, but for what a schema cannot know: BEYOND

--update writes what the wrong ones give now: to be read before it is committed.
"""

import json
import re
import subprocess
import sys
from pathlib import Path

import jsonschema
import yaml

HERE = Path(__file__).parent
CONFIG = HERE.parents[1] / "config"
# Not YAML, several documents, a key given twice, or one thing that contradicts another.
BEYOND = {"a-bracket-too-many", "garbage", "duplicate-keys", "not-yaml", "several-documents", "tab", "twice", "twice-in-two-files", "key-of-a-list", "same-altitude"}


def filterd(program: str, path: Path) -> tuple[int, str, str]:
    done = subprocess.run(
        [program, "--check", "--config", path.name, "--config-folder", path.stem + ".d"],
        cwd=path.parent, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    return done.returncode, done.stdout, done.stderr


def wrong_files() -> list[Path]:
    return sorted((HERE / "wrong").glob("*.yaml"))


def good_files() -> list[Path]:
    return sorted([*(HERE / "good").glob("*.yaml"), *CONFIG.rglob("*.yaml")])


def check_wrong(program: str, update: bool) -> list[str]:
    problems = []
    for path in wrong_files():
        code, out, messages = filterd(program, path)
        golden = path.with_suffix(".txt")
        if update:
            golden.write_text(messages)
        if code != 2 or out:
            problems.append(f"{path.name}: exit code {code}, output '{out}'")
        if messages != golden.read_text():
            problems.append(f"{path.name}: {golden.name} says\n{golden.read_text()}but filterd says\n{messages}")
    return problems


def check_good(program: str, _: bool) -> list[str]:
    problems = []
    for path in good_files():
        code, _, messages = filterd(program, path)
        if code or messages:
            problems.append(f"{path}: exit code {code}\n{messages}")
    return problems


class Loader(yaml.SafeLoader):
    """As YAML 1.2 has it, and the reader: 'yes' is a word, 017 no number, and '<<' a key."""

    yaml_implicit_resolvers: dict = {}


for tag, pattern, first in [
    ("null", r"^(~|null|Null|NULL|)$", ["~", "n", "N", ""]),
    ("bool", r"^(true|false)$", ["t", "f"]),
    ("int", r"^-?(0|[1-9][0-9]*)$", list("-0123456789")),
    ("float", r"^-?[0-9]+\.[0-9]+$", list("-0123456789")),
]:
    Loader.add_implicit_resolver(f"tag:yaml.org,2002:{tag}", re.compile(pattern), first)


def check_schema(program: str, _: bool) -> list[str]:
    schema = json.loads((CONFIG / "filterd.schema.json").read_text())
    jsonschema.Draft7Validator.check_schema(schema)
    validator = jsonschema.Draft7Validator(schema)
    problems = []
    for path in [*wrong_files(), *good_files()]:
        if path.stem in BEYOND:
            continue
        refused = [error.message for error in validator.iter_errors(yaml.load(path.read_text(), Loader))]
        code, _, messages = filterd(program, path)
        if (code == 2) != bool(refused):
            problems.append(f"{path.name}: filterd says {messages or 'good'}, the schema says {refused or 'good'}")
    return problems


def main() -> int:
    program, what = sys.argv[1:3]
    problems = {"wrong": check_wrong, "good": check_good, "schema": check_schema}[what](program, "--update" in sys.argv)
    for problem in problems:
        print(problem)
    print(f"{len(wrong_files())} wrong files, {len(good_files())} good ones, {len(problems)} problems")
    return bool(problems)


if __name__ == "__main__":
    sys.exit(main())
