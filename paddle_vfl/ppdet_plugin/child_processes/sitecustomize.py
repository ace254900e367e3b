"""Python imports this when it starts, in the processes that a script started by ``paddle-vfl run`` starts in turn: they
have this folder on their PYTHONPATH.

As soon as such a process imports PaddleDetection, it is switched. Nothing of paddle_vfl is loaded before.
"""

import importlib.abc
import importlib.machinery
import importlib.util
import os
import sys
import zlib  # noqa: F401  before paddle: see paddle_vfl/__init__.py


class _BeforePpdet(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name != "ppdet":
            return None
        sys.meta_path.remove(self)
        try:
            from paddle_vfl.ppdet_plugin import enable_on_import

            enable_on_import()
        except ImportError as error:
            print(f"paddle-vfl run: {sys.executable} keeps PaddleDetection's own loss: {error}", file=sys.stderr)
        return None


def _run_hidden_sitecustomize():
    """The one that Python would have imported."""
    here = os.path.dirname(os.path.abspath(__file__))
    folders = [folder for folder in sys.path if os.path.abspath(folder) != here]
    spec = importlib.machinery.PathFinder.find_spec("sitecustomize", folders)
    if spec is not None:
        sys.modules["sitecustomize"] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sys.modules["sitecustomize"])


sys.meta_path.insert(0, _BeforePpdet())
_run_hidden_sitecustomize()
