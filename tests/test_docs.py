"""What the documentation says of files, messages and commands is so."""

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
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "requirements").glob("*.md")])


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
    section = page[page.index("## Messages of paddle_vfl") : page.index("## Messages that it spares you")]
    first_cells = [row.split(" | ")[0] for row in re.findall(r"^\| (`.*)$", section, re.MULTILINE)]
    messages = [message for cell in first_cells for message in re.findall(r"`([^`]+)`", cell)]
    assert len(messages) > 15
    code = "".join(
        path.read_text()
        for folder in ("paddle_vfl", "csrc")
        for path in (ROOT / folder).rglob("*")
        if path.suffix in (".py", ".cc", ".h")
    )
    code += (ROOT / "setup.py").read_text()
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
README = "tests/ppdet_plugin/test_readme_commands.py::test_the_readme_from_top_to_bottom"
LAUNCH = "tests/ppdet_plugin/test_distributed.py::"
UNMODIFIED = "tests/ppdet_plugin/test_training.py::test_an_unmodified_script_reaches_the_operator"
ACCURACY = "tests/benchmarks/test_scripts.py::test_accuracy_is_a_few_ulp_and_never_worse_than_the_composed_loss"
# where a command of the documentation is run: a line of CI, or a test (with less data or fewer epochs; --nproc_per_node
# in the place of --gpus)
RUN_BY = {
    r"make (test|test-paddle26|lint|cuda-check)": ".ci/run",
    r"make fuzz( SECONDS=60)?": ".ci/run",
    # parts of `make test`
    r"make sanitize|pytest tests/test_properties\.py|\.venv/bin/pytest tests/losses/test_layer\.py|pytest tests/gpu": "tests",
    r"make demo": "tests/examples/test_digits_demo.py::test_the_demo_with_one_epoch",
    r"pytest tests/\S+ -k \w+( -s)?": "tests/test_docs.py::test_pytest_finds",
    r"pip install (--no-build-isolation (--no-deps )?\.|\"paddlepaddle.*)": README,
    r"pip install 'paddle-vfl\[det\]'|pip install 'setuptools<81'": README,
    r"paddle-vfl (digits|train|eval|infer|info)( .*)?|python -m paddle_vfl info": README,
    r"python examples/train_on_your_data\.py .*": README,
    r"paddle-vfl run( tools/train\.py .*)?": UNMODIFIED,
    r"paddle-vfl train: interrupted": "tests/training/test_faults.py",
    r"MALLOC_\S+ MALLOC_\S+ paddle-vfl train -c CONFIG": README,
    r"paddle-vfl bench( .*)?": "tests/bench/test_bench.py::test_the_command",
    r"python benchmarks/accuracy\.py": ACCURACY,
    r"python benchmarks/step_share\.py": "tests/benchmarks/test_scripts.py::test_step_share",
    r"python tools/draw_loss\.py": "tests/tools/test_draw_loss.py::test_draws",
    r"python -c \"": "tests/test_docs.py::test_the_command_in_parity_prints_what_the_page_says",
    r"python -m paddle\.distributed\.launch --gpus \S+ tools/train\.py .*": LAUNCH
    + "test_an_ordinary_script_with_the_yaml_line",
    r"python -m paddle\.distributed\.launch --gpus \S+ .*paddle-vfl\) train .*": LAUNCH + "test_the_command",
    r"python -m paddle\.distributed\.launch --gpus \S+ .*paddle-vfl\) run .*": LAUNCH
    + "test_run_can_be_started_by_launch",
    r"python -m paddle\.distributed\.launch --nnodes 2 .*": LAUNCH + "test_two_machines",
}
NOT_RUN = {
    "make lock": "asks the package index for newer versions and changes the repository",
    "make cuda-build-check": "needs nvcc and downloads 0.8 GB",
    "make test PPDET_SRC=/path/to/PaddleDetection": "needs a checkout",
    "python benchmarks/gpu.py --json gpu.json --plots .": "needs a GPU",
    "pre-commit install": "changes the repository",
    "touch .venv/built": "builds nothing",
}


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_is_run_somewhere(command):
    if command in NOT_RUN:
        return
    (where,) = {where for pattern, where in RUN_BY.items() if re.fullmatch(pattern, command)}
    path, _, name = where.partition("::")
    assert (ROOT / path).exists()
    if path == ".ci/run":
        assert re.search(rf"\b{' '.join(command.split()[:2])}\b", (ROOT / path).read_text())
    assert f"def {name}" in (ROOT / path).read_text() if name else True


def test_no_entry_of_the_list_of_commands_is_left_over():
    assert not [pattern for pattern in RUN_BY if not any(re.fullmatch(pattern, command) for command in COMMANDS)]
    assert not set(NOT_RUN) - set(COMMANDS)


@pytest.mark.parametrize(
    "command",
    [command for command in COMMANDS if "paddle-vfl " in command and "launch" not in command and ":" not in command],
)
def test_every_command_line_is_understood(command):
    words = shlex.split(command)
    words = words[words.index("paddle-vfl") + 1 :]
    if words in (["run"], ["train"], ["train", "-r"]):
        return  # spoken of, not to be typed
    assert cli._parser().parse_args(words).command == words[0]
    for path in re.findall(r"\bconfigs/\w+\.yml\b", command):
        assert (ROOT / path).exists()


@pytest.mark.parametrize("command", [command for command in COMMANDS if re.match(r"\S*pytest tests/\S+\.py", command)])
def test_pytest_finds(command):
    words = shlex.split(command)
    text = (ROOT / words[1]).read_text()
    assert re.search(rf"def test_\w*{words[words.index('-k') + 1] if '-k' in words else ''}", text)


def test_the_command_in_parity_prints_what_the_page_says():
    page = (ROOT / "docs" / "parity.md").read_text()
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


def test_both_readmes_have_the_same_parts():
    parts = [
        re.findall(r"^(#+) ", (ROOT / name).read_text(encoding="utf-8"), re.MULTILINE)
        for name in ("README.md", "README_cn.md")
    ]
    code = [
        re.findall(r"^    \S.*$", (ROOT / name).read_text(encoding="utf-8"), re.MULTILINE)
        for name in ("README.md", "README_cn.md")
    ]
    assert parts[0] == parts[1] and len(code[0]) == len(code[1])
