"""The documentation site in a real browser, wide and narrow. `make site CHECK=1` runs it where all that it needs is."""

import functools
import os
import shutil
import subprocess
import sys
import threading
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urldefrag

import pytest

playwright = pytest.importorskip("playwright.sync_api", reason="the site is tested by make site CHECK=1")
BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = [pytest.mark.slow, pytest.mark.skipif(not BROWSER, reason="no browser: apt install chromium")]

ROOT = Path(__file__).resolve().parents[2]
WIDTHS = (1280, 390)
TRANSLATED = ("", "install/", "from_a_checkout/", "own_data/", "troubleshooting/")

# what stands out to the right of the page, and not within a box of its own that scrolls
TOO_WIDE = """() => {
  const width = document.documentElement.clientWidth
  const scrolls = e => e && (e.scrollWidth > e.clientWidth && ["auto", "scroll"].includes(getComputedStyle(e).overflowX)
                             || scrolls(e.parentElement))
  return [...document.querySelectorAll(".md-content *")]
    .filter(e => e.getBoundingClientRect().right > width + 1 && !scrolls(e.parentElement))
    .map(e => e.outerHTML.slice(0, 100))
}"""
SEEN = """() => ({
  links: [...document.querySelectorAll("a[href]")].map(a => a.href),
  ids: [...document.querySelectorAll("[id]")].map(e => e.id),
  missing: [...document.images].filter(i => !i.complete || !i.naturalWidth).map(i => i.src),
  tables: document.querySelectorAll(".md-content table").length,
})"""


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    folder = tmp_path_factory.mktemp("site")
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(folder)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
    )
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(scope="module")
def address(site):
    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *args):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(site)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()


@pytest.fixture(scope="module")
def tab():
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=BROWSER, args=["--no-sandbox"])
        yield browser.new_page(viewport={"width": WIDTHS[0], "height": 900})
        browser.close()


@pytest.fixture(scope="module")
def pages(site, address, tab):
    """{address: what was seen there} of all pages, and {"requests": ..., "errors": ...} of all of them."""
    requests, errors, seen = set(), [], {}
    tab.on("request", lambda request: requests.add(request.url))
    tab.on("pageerror", lambda error: errors.append(str(error)))
    # the theme asks for the sitemap of each translation, and does without
    tab.on(
        "response", lambda r: errors.append(r.url) if r.status >= 400 and not r.url.endswith("/sitemap.xml") else None
    )
    for path in sorted(site.rglob("index.html")):
        url = address + path.parent.relative_to(site).as_posix().replace(".", "") + "/" * (path.parent != site)
        tab.set_viewport_size({"width": WIDTHS[0], "height": 900})
        tab.goto(url)
        tab.evaluate('() => document.querySelectorAll("details").forEach(e => e.open = true)')
        seen[url] = tab.evaluate(SEEN)
        for width in WIDTHS:
            tab.set_viewport_size({"width": width, "height": 900})
            seen[url][width] = tab.evaluate(TOO_WIDE)
    return seen, requests, errors


def test_every_page_is_there_in_both_languages(pages, address, tab):
    seen, _, _ = pages
    english = {url.removeprefix(address) for url in seen if not url.startswith(f"{address}zh/")}
    chinese = {url.removeprefix(f"{address}zh/") for url in seen if url.startswith(f"{address}zh/")}
    assert english == chinese and english >= {*TRANSLATED, "measured/", "reference/"}
    for path in TRANSLATED:
        tab.goto(f"{address}zh/{path}")
        text = tab.inner_text(".md-content")
        assert sum("\u4e00" <= character <= "\u9fff" for character in text) > 300, path


def test_every_link_leads_somewhere(site, pages, address):
    seen, _, _ = pages
    broken = []
    for page, content in seen.items():
        for link in content["links"]:
            url, anchor = urldefrag(link)
            if not url.startswith(address):
                continue
            target = seen.get(url)
            there = target is not None or (site / unquote(url.removeprefix(address))).is_file()
            if not there or (anchor and target and unquote(anchor) not in target["ids"]):
                broken.append((page, link))
    assert not broken and sum(len(content["links"]) for content in seen.values()) > 500


def test_pictures_are_there_and_nothing_comes_from_elsewhere(pages, address):
    seen, requests, errors = pages
    assert not errors and not [src for content in seen.values() for src in content["missing"]]
    assert all(url.startswith((address, "data:", "blob:")) for url in requests)


@pytest.mark.parametrize("width", WIDTHS)
def test_nothing_is_wider_than_the_page(pages, width):
    seen, _, _ = pages
    assert not {url: content[width] for url, content in seen.items() if content[width]}
    assert sum(content["tables"] for content in seen.values()) > 50


@pytest.mark.parametrize("path, words", [("", "VarifocalLoss"), ("zh/", "类别权重")])
def test_search(address, tab, path, words):
    tab.set_viewport_size({"width": WIDTHS[0], "height": 900})
    tab.goto(address + path)
    tab.click("input.md-search__input")
    tab.fill("input.md-search__input", words)
    tab.keyboard.press("End")  # it listens to keys
    tab.wait_for_selector(".md-search-result__item a")
    assert words in tab.inner_text(".md-search-result__list").replace("\u200b", "")
