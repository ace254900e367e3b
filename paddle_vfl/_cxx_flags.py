"""How setup.py has C++ compiled; the tests compile the kernels alone in the same way."""


def cxx_flags(packages):
    """Flags of the compiler; the folder ``packages``, of which Paddle's error messages would tell, is left out of the
    names of files."""
    return [
        "-O3",
        "-fno-wrapv",  # setuptools adds Python's own -fwrapv, which costs the kernels a tenth more instructions
        "-g0",
        "-std=c++17",
        "-fvisibility=hidden",
        "-pthread",
        f"-ffile-prefix-map={packages}/=",
    ]
