"""What the documentation says of files, messages and commands is so."""
import re
import shlex
from pathlib import Path

import pytest

from paddle_vfl import cli

ROOT = Path(__file__).resolve().parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "requirements").glob("*.md")])


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_to_a_file_leads_somewhere(page):
    links = re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8"))
    missing = [link for link in links if "://" not in link and not link.startswith("#") and not (page.parent / link.split("#")[0]).exists()]
    assert not missing


def test_the_messages_in_troubleshooting_are_those_of_the_code():
    page = (ROOT / "docs" / "troubleshooting.md").read_text()
    section = page[page.index("## Messages of paddle_vfl"):page.index("## Messages that it spares you")]
    first_cells = [row.split(" | ")[0] for row in re.findall(r"^\| (`.*)$", section, re.MULTILINE)]
    messages = [message for cell in first_cells for message in re.findall(r"`([^`]+)`", cell)]
    assert len(messages) > 15
    code = "".join(path.read_text() for folder in ("paddle_vfl", "csrc") for path in (ROOT / folder).rglob("*") if path.suffix in (".py", ".cc", ".h"))
    code += (ROOT / "setup.py").read_text()
    code = re.sub(r'"\s*\n\s*f?"', "", code)  # texts that go on in the next line
    for message in messages:
        for part in message.split("..."):
            assert part.strip(" ,;:") in code, message


# README's blocks of commands, less those that are tried elsewhere or need what is not here
COMMANDS = [
    line.split("#")[0].strip()
    for page in (ROOT / "README.md", ROOT / "README_cn.md") if page.exists()
    for line in re.findall(r"^    (paddle-vfl .*)$", page.read_text(encoding="utf-8").replace("\\\n", " "), re.MULTILINE)
]


@pytest.mark.parametrize("command", sorted(set(COMMANDS)))
def test_every_command_line_in_the_readme_is_understood(command):
    args = cli._parser().parse_args(shlex.split(command)[1:])
    assert args.command == shlex.split(command)[1]
    for path in re.findall(r"\bconfigs/\w+\.yml\b", command):
        assert (ROOT / path).exists()


BLOCKS = [(page, block) for page in PAGES for block in re.findall(r"```python\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)]


@pytest.mark.parametrize("page, block", BLOCKS, ids=[page.name for page, _ in BLOCKS])
def test_python_blocks_run(page, block):
    exec(compile(block, str(page), "exec"), {})


def test_both_readmes_have_the_same_parts():
    parts = [re.findall(r"^(#+) ", (ROOT / name).read_text(encoding="utf-8"), re.MULTILINE) for name in ("README.md", "README_cn.md")]
    code = [re.findall(r"^    \S.*$", (ROOT / name).read_text(encoding="utf-8"), re.MULTILINE) for name in ("README.md", "README_cn.md")]
    assert parts[0] == parts[1] and len(code[0]) == len(code[1])
