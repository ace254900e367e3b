"""For the documentation site (mkdocs.yml): links to files of the repository, which are not part of the site, become
their paths."""

import posixpath
import re

LINK = re.compile(r"\[([^\]]*)\]\(([^)\s#]+)(#[^)\s]*)?\)")


def on_page_markdown(markdown, page, **kwargs):
    folder = posixpath.dirname(posixpath.join("docs", page.file.src_uri))

    def replace(match):
        text, target = match[1], match[2]
        path = posixpath.normpath(posixpath.join(folder, target))
        if "://" in target or path.startswith("docs/"):
            return match[0]
        return f"{text} (`{path}`)" if text.strip("`") not in path else f"`{path}`"

    return LINK.sub(replace, markdown)
