"""setup.py as for a CUDA build of Paddle, whatever build is installed: ``python tools/setup_for_cuda.py COMMAND ...``.

The headers of a CPU build are those of a CUDA build, so that this shows that the extension compiles and links.
"""

import runpy

import build_backend  # noqa: F401  first: Paddle looks for the toolkit when it is imported
import paddle

if not paddle.is_compiled_with_cuda():
    paddle.is_compiled_with_cuda = lambda: True
    paddle.version.cuda = lambda: "0"
runpy.run_path("setup.py", run_name="__main__")
