"""What is to be done once a module has been imported."""

import importlib
import sys

import pytest

from paddle_vfl.ppdet_plugin.after_import import after_import


@pytest.fixture
def module(tmp_path, monkeypatch):
    """The name of a module that nothing has imported."""
    name = f"imported_late_{tmp_path.name}"
    (tmp_path / f"{name}.py").write_text("value = 3")
    monkeypatch.syspath_prepend(tmp_path)
    yield name
    sys.modules.pop(name, None)


def test_it_is_done_after_the_import(module):
    seen, finders = [], list(sys.meta_path)
    after_import(module, lambda imported: seen.append(imported.value))
    assert seen == []
    importlib.import_module(module)
    assert seen == [3] and sys.meta_path == finders


def test_it_is_done_now_where_the_module_is_there(module):
    seen = []
    importlib.import_module(module)
    after_import(module, lambda imported: seen.append(imported.value))()
    assert seen == [3]


def test_it_is_called_off(module):
    finders = list(sys.meta_path)
    call_off = after_import(module, lambda imported: pytest.fail("it was called off"))
    call_off()
    importlib.import_module(module)
    assert sys.meta_path == finders


def test_two_wait_for_one_module(module):
    seen = []
    for number in (1, 2):
        after_import(module, lambda imported, number=number: seen.append(number))
    importlib.import_module(module)
    assert sorted(seen) == [1, 2]
