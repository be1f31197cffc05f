#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Configuration files and plugins that are wrong, and such that are not:  check.py BUILD wrong|good|schema|plugins [--update]

    wrong   each file of wrong/ gives exactly the messages that stand in the .txt beside it, and exit code 2
    good    each of good/ and of the examples that are installed gives none, and exit code 0
    schema  the schema says of each of them what the reader says, but for what a schema cannot know: BEYOND
    plugins each of plugins/*.yaml, with the plugins of tests/plugins, gives what stands in the .txt beside it; and so do the plugins
            themselves: plugins/plugins.txt

--update writes what the wrong ones give now: to be read before it is committed.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import jsonschema
import yaml

HERE = Path(__file__).parent
CONFIG = HERE.parents[1] / "config"
# Not YAML, several documents, a key given twice, or one thing that contradicts another.
BEYOND = {"a-bracket-too-many", "garbage", "duplicate-keys", "not-yaml", "several-documents", "tab", "twice", "twice-in-two-files", "key-of-a-list", "same-altitude"}


def run(build: Path, folder: Path, *arguments: str) -> tuple[int, str, str]:
    done = subprocess.run([build / "bin/filterd", *arguments], cwd=folder, capture_output=True, text=True, timeout=60, check=False)
    return done.returncode, done.stdout, done.stderr


def filterd(build: Path, path: Path, *arguments: str) -> tuple[int, str, str]:
    arguments = arguments or ("--no-plugins",)
    return run(build, path.parent, "--check", "--config", path.name, "--config-folder", path.stem + ".d", *arguments)


def compare(golden: Path, got: str, update: bool) -> list[str]:
    if update:
        golden.write_text(got)
    wanted = golden.read_text()
    return [] if wanted == got else [f"{golden.name} says\n{wanted}but filterd says\n{got}"]


def wrong_files() -> list[Path]:
    return sorted((HERE / "wrong").glob("*.yaml"))


def good_files() -> list[Path]:
    return sorted([*(HERE / "good").glob("*.yaml"), *CONFIG.rglob("*.yaml")])


def check_wrong(build: Path, update: bool) -> list[str]:
    problems = []
    for path in wrong_files():
        code, out, messages = filterd(build, path)
        if code != 2 or out:
            problems.append(f"{path.name}: exit code {code}, output '{out}'")
        problems += compare(path.with_suffix(".txt"), messages, update)
    return problems


def check_good(build: Path, _: bool) -> list[str]:
    problems = []
    for path in good_files():
        code, _, messages = filterd(build, path)
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


def check_schema(build: Path, _: bool) -> list[str]:
    schema = json.loads((CONFIG / "filterd.schema.json").read_text())
    jsonschema.Draft7Validator.check_schema(schema)
    validator = jsonschema.Draft7Validator(schema)
    problems = []
    for path in [*wrong_files(), *good_files()]:
        if path.stem in BEYOND:
            continue
        refused = [error.message for error in validator.iter_errors(yaml.load(path.read_text(), Loader))]
        code, _, messages = filterd(build, path)
        if (code == 2) != bool(refused):
            problems.append(f"{path.name}: filterd says {messages or 'good'}, the schema says {refused or 'good'}")
    return problems


def check_each_plugin(build: Path) -> str:
    """What --check-plugin says of each, by name."""
    lines = []
    folder = build / "tests/plugins"
    with tempfile.TemporaryDirectory() as scratch:
        cases = {path.name: path for path in sorted(folder.glob("filterd-*.so"))}
        cases |= {"filterd-not-there.so": folder / "filterd-not-there.so", "another-name.so": folder / "another-name.so"}
        for name, mode, owner in [("filterd-good.so", 0o664, 0), ("filterd-bare.so", 0o646, 0), ("filterd-throws.so", 0o644, 1)]:
            copy = Path(scratch) / name
            shutil.copy(folder / name, copy)
            os.chmod(copy, mode)
            os.chown(copy, owner, 0)
            cases[f"{name} {mode:o} {owner}"] = copy
        (Path(scratch) / "filterd-garbage.so").write_text("garbage")
        cases["filterd-garbage.so"] = Path(scratch) / "filterd-garbage.so"
        for name, path in cases.items():
            code, out, messages = run(build, HERE, "--check-plugin", str(path))
            lines.append(f"{name} -> {code}: {out}{messages}".replace(str(path.parent), "DIR"))
    return "".join(lines)


def check_plugins(build: Path, update: bool) -> list[str]:
    problems = compare(HERE / "plugins/plugins.txt", check_each_plugin(build), update)
    for path in sorted((HERE / "plugins").glob("*.yaml")):
        folder = build / ("plugins" if path.stem.startswith("ours") else "tests/plugins")
        code, out, messages = filterd(build, path, "--plugin-folder", str(folder))
        problems += compare(path.with_suffix(".txt"), f"{out}{messages}exit code {code}\n".replace(str(folder), "DIR"), update)
    return problems


def main() -> int:
    build, what = Path(sys.argv[1]), sys.argv[2]
    checks = {"wrong": check_wrong, "good": check_good, "schema": check_schema, "plugins": check_plugins}
    problems = checks[what](build, "--update" in sys.argv)
    for problem in problems:
        print(problem)
    print(f"{len(wrong_files())} wrong files, {len(good_files())} good ones, {len(problems)} problems")
    return bool(problems)


if __name__ == "__main__":
    sys.exit(main())
