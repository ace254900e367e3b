"""For the documentation site (mkdocs.yml), whose pages are also read in the repository: the home page is the README,
data files become tables, files of the repository their paths, and the help of the commands is printed."""

import csv
import json
import os
import posixpath
import re
from pathlib import Path

from markdown.extensions.toc import unique
from pymdownx.slugs import slugify

from paddle_vfl import cli
from paddle_vfl.bench.report import table

ROOT = Path(__file__).resolve().parents[1]
LINK = re.compile(r"\[([^\]]*)\]\(([^)\s#]+)(#[^)\s]*)?\)")
HEADING = re.compile(r"^(#+) (.+)$", re.MULTILINE)
FENCE = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)


def on_page_markdown(markdown, page, config, **kwargs):
    path = page.file.src_uri
    chinese = path.endswith(".zh.md")
    if path in ("index.md", "index.zh.md"):
        markdown = home("README_cn.md" if chinese else "README.md")
    if chinese:
        markdown = markdown.replace(".zh.md", ".md")  # the site finds the translation
        english = home("README.md") if path == "index.zh.md" else Path(config["docs_dir"], path.replace(".zh.", "."))
        markdown = with_ids_of(markdown, english if isinstance(english, str) else english.read_text(encoding="utf-8"))
    markdown = re.sub(
        r"^\[([^\]]+)\]\(([^)]+\.(?:csv|json))\)$", lambda m: rows(m[1], ROOT / "docs" / m[2]), markdown, flags=re.M
    )
    markdown = markdown.replace("<!-- commands -->", commands())
    return links_to_files(markdown, posixpath.dirname(posixpath.join("docs", path)))


def on_page_content(html, **kwargs):
    """Names of functions in docstrings, which are in Sphinx's notation."""
    return re.sub(r":\w+:<code>([^<]*)</code>", r"<code>\1</code>", html)


def home(readme):
    """A README as a page of docs/; the site has its own choice of language."""
    text = (ROOT / readme).read_text(encoding="utf-8")
    text = re.sub(r"^.*\[(?:中文|English)\]\(README.*\n\n", "", text, flags=re.MULTILINE)

    def from_docs(match):
        text, target, anchor = match[1], match[2], match[3] or ""
        return match[0] if "://" in target else f"[{text}]({posixpath.relpath(target, 'docs')}{anchor})"

    return LINK.sub(from_docs, text)


def with_ids_of(markdown, english):
    """A translation whose headings have the anchors of the original."""
    ids, used = [], set()
    for _, title in HEADING.findall(FENCE.sub("", english)):
        title = re.sub(r"\[([^\]]*)\]\([^)]*\)|[`*]", r"\1", title)
        ids.append(unique(slugify(case="lower")(title, "-"), used))
    ids = iter(ids)
    parts = re.split(f"({FENCE.pattern})", markdown, flags=FENCE.flags)
    parts[::2] = [HEADING.sub(lambda m: f"{m[0]} {{#{next(ids)}}}", part) for part in parts[::2]]
    return "".join(parts)


def rows(title, path):
    """A block that opens to the rows of a data file."""
    if path.suffix == ".json":
        lines = table(json.loads(path.read_text())["results"]).splitlines()
    else:
        with open(path, newline="", encoding="utf-8") as file:
            head, *body = csv.reader(file)
        lines = [f"| {' | '.join(row)} |" for row in (head, ["---"] * len(head), *body)]
    return "\n".join([f'??? note "{title}"', "", *(f"    {line}" for line in lines)])


def links_to_files(markdown, folder):
    def replace(match):
        text, target = match[1], match[2]
        path = posixpath.normpath(posixpath.join(folder, target))
        if "://" in target or path.startswith("docs/"):
            return match[0]
        return f"{text} (`{path}`)" if text.strip("`") not in path else f"`{path}`"

    return LINK.sub(replace, markdown)


def commands():
    """The help of the command line, as it prints it."""
    os.environ["COLUMNS"] = "110"
    parser = cli._parser()
    (subcommands,) = (action.choices for action in parser._actions if action.dest == "command")
    blocks = [("paddle-vfl", parser), *((f"paddle-vfl {name}", sub) for name, sub in subcommands.items())]
    return "\n\n".join(f"### {name}\n\n```text\n{parser.format_help()}```" for name, parser in blocks)
