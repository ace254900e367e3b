"""What the documentation says of files, messages and commands is so."""

import csv
import re
import shlex
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
import yaml

import paddle_vfl  # noqa: F401, before paddle
from paddle_vfl import cli

import paddle

ROOT = Path(__file__).resolve().parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *ROOT.glob("*/README.md")])


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_to_a_file_leads_somewhere(page):
    links = re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8"))
    missing = [
        link
        for link in links
        if "://" not in link and not link.startswith("#") and not (page.parent / link.split("#")[0]).exists()
    ]
    assert not missing


def test_the_messages_in_troubleshooting_are_those_of_the_code():
    page = (ROOT / "docs" / "troubleshooting.md").read_text()
    section = page[page.index("## Messages of paddle_vfl") : page.index("## A message of PyYAML")]
    first_cells = [row.split(" | ")[0] for row in re.findall(r"^\| (`.*)$", section, re.MULTILINE)]
    messages = [message for cell in first_cells for message in re.findall(r"`([^`]+)`", cell)]
    assert len(messages) > 15
    code = "".join(
        path.read_text()
        for folder in ("paddle_vfl", "csrc")
        for path in (ROOT / folder).rglob("*")
        if path.suffix in (".py", ".cc", ".h")
    )
    code += (ROOT / "setup.py").read_text() + (ROOT / "build_backend.py").read_text()
    code = re.sub(r'"\s*\n\s*f?"', "", code)  # texts that go on in the next line
    for message in messages:
        for part in message.split("..."):
            assert part.strip(" ,;:") in code, message


PROGRAMS = r"(?:[A-Z_]+=\S+ )*(?:make|python|pip|paddle-vfl|pytest|pre-commit|touch|\.venv/bin/\w+) "
COMMANDS = sorted(
    {
        " ".join(command.split())
        for page in PAGES
        for text in [page.read_text(encoding="utf-8").replace("\\\n", " ")]
        for command in re.findall(rf"^    ({PROGRAMS}[^#\n]*)", text, re.MULTILINE)
        + re.findall(rf"`({PROGRAMS}[^`]+)`", text)
    }
)


def commands(pattern):
    return [command for command in COMMANDS if re.match(pattern, command)]


@pytest.mark.parametrize("command", commands("make "))
def test_make_knows_the_target(command):
    done = subprocess.run(["make", "-n", *shlex.split(command)[1:]], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
def test_pytest_finds_what_it_is_told_to_run():
    told = [
        [word for word in shlex.split(command.split("pytest ", 1)[1]) if word != "-s"]
        for command in commands(r"(\S*/|python -m )?pytest tests/\S+")
    ]
    assert len(told) > 4
    paths = sorted({path for path, *_ in told})
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "--collect-only", "-q", *paths], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout
    for path, *options in told:
        words = {"-k": "", **dict(zip(options[::2], options[1::2]))}
        found = [test for test in done.stdout.splitlines() if test.startswith(path) and words["-k"] in test]
        assert found, (path, options)


@pytest.mark.parametrize("command", commands(r"python \w+/\S+\.py"))
def test_the_script_is_there(command):
    assert (ROOT / command.split()[1]).is_file()


@pytest.mark.parametrize(
    "command", [command for command in commands("(.* )?(paddle-vfl|paddle_vfl) ") if ":" not in command]
)
def test_every_command_line_is_understood(command):
    words = shlex.split(re.split("paddle-vfl |paddle_vfl ", command, maxsplit=1)[1])
    if words in (["run"], ["train"], ["train", "-r"], ["infer"], ["class-weights"], ["convert-vfnet"]):
        return  # spoken of, not to be typed
    assert cli._parser().parse_args(words).command == words[0]
    for path in re.findall(r"\bconfigs/\w+\.yml\b", command):
        assert (ROOT / path).exists()


def test_the_command_in_measured_prints_what_the_page_says():
    page = (ROOT / "docs" / "measured.md").read_text()
    (code,) = re.findall(r'^    python -c "\n(.*?)"$', page, re.MULTILINE | re.DOTALL)
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    (at_0, near_0) = (float(line.split()[1]) for line in done.stdout.splitlines()[-2:])
    expected = -0.8 if paddle.__version__.startswith("3.3.") else 0.2  # as the page says, 2.6.2 has it right
    assert (
        at_0 == pytest.approx(expected)
        and near_0 == pytest.approx(0.2)
        and "prints -0.8 for 0 and 0.2 for 1e-7" in page
    )


YAML_BLOCKS = [
    (page, block)
    for page in PAGES
    for block in re.findall(r"```yaml\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)
]


@pytest.mark.parametrize("page, block", YAML_BLOCKS, ids=[page.name for page, _ in YAML_BLOCKS])
def test_yaml_blocks_are_configs(page, block, tmp_path, clean_ppdet):
    from ppdet.core.workspace import load_config

    config = tmp_path / "config.yml"
    config.write_text(f"_BASE_: [{ROOT / 'configs' / 'ppyoloe_plus_digits.yml'}]\n{block}")
    loaded = load_config(str(config))
    for key, value in yaml.safe_load(re.sub(r"!!python/\S+", "", block)).items():
        assert key in loaded
        for name, option in value.items() if isinstance(value, dict) else ():
            assert loaded[key][name] == option


BLOCKS = [
    (page, block)
    for page in PAGES
    for block in re.findall(r"```python\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)
]


@pytest.mark.parametrize("page, block", BLOCKS, ids=[page.name for page, _ in BLOCKS])
def test_python_blocks_run(page, block):
    exec(compile(block, str(page), "exec"), {})


TRANSLATIONS = [(ROOT / "README.md", ROOT / "README_cn.md")] + [
    (path.with_name(path.name.replace(".zh.", ".")), path) for path in sorted((ROOT / "docs").glob("*.zh.md"))
]


@pytest.mark.parametrize("page, translation", TRANSLATIONS, ids=[path.name for _, path in TRANSLATIONS])
def test_a_translation_has_the_same_parts(page, translation):
    """Headings, rows of tables, code and commands, whose comments may differ."""

    def parts(path):
        text = path.read_text(encoding="utf-8")
        code = re.findall(r"^```.*?^```|^    \S.*?$", text, re.MULTILINE | re.DOTALL)
        return {
            "headings": re.findall(r"^(#+) ", text, re.MULTILINE),
            "tables": [len(row.split(" | ")) for row in re.findall(r"^\|.*$", text, re.MULTILINE)],
            "code": [re.sub(r" *#.*", "", block) for block in code],
        }

    assert parts(page) == parts(translation)


def test_the_table_of_environment_variables_is_complete():
    page = (ROOT / "docs" / "reference.md").read_text()
    table = page[page.index("## Environment variables") : page.index("## Command line")]
    sources = [ROOT / "setup.py", *(ROOT / "paddle_vfl").rglob("*.py"), *(ROOT / "csrc").rglob("*.[ch]*")]
    read = {name for path in sources for name in re.findall(r"PADDLE_VFL_[A-Z_]+", path.read_text())}
    assert len(read) > 5 and set(re.findall(r"`(PADDLE_VFL_\w+)`", table)) == read


def test_the_families_that_the_page_counts_are_those_of_the_table():
    with open(ROOT / "docs" / "families.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    page = (ROOT / "docs" / "measured.md").read_text()
    for label, *key in (
        ("paddledet 2.6.0", "package", "without"),
        ("paddledet 2.6.0, with the plugin", "package", "with"),
        ("develop", "develop", "without"),
        ("develop, with the plugin", "develop", "with"),
    ):
        of_this = [row for row in rows if [row["PaddleDetection"], row["plugin"]] == key]
        counts = [sum(row[stage] == "yes" for row in of_this) for stage in ("train", "evaluate", "export")]
        assert len(of_this) == 23 and f"| {label} | {counts[0]} | {counts[1]} | {counts[2]} |" in page


def test_yaml_keeps_the_last_of_two_blocks(tmp_path, clean_ppdet):
    """As docs/from_a_checkout.md warns."""
    from ppdet.core.workspace import load_config

    config = tmp_path / "config.yml"
    config.write_text("PPYOLOEHead: {loss: VarifocalLoss}\nPPYOLOEHead: {reg_max: 8}\n")
    head = load_config(str(config))["PPYOLOEHead"]
    assert head["reg_max"] == 8 and head.get("loss") is None
