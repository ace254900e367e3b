"""Fit the polynomials of csrc/polynomials.h: python tools/fit_polynomials.py | clang-format > csrc/polynomials.h

Each function is interpolated at Chebyshev nodes with 60 digits, which is within a few percent of the minimax
polynomial, and the largest error over a fine grid is printed beside the coefficients.
"""

from mpmath import chebyfit, chop, exp, linspace, log, log1p, mp, mpf, polyval, sqrt

mp.dps = 60
HALF_LN2 = log(2) / 2


def exp_rest(r):
    """(exp(r) - 1 - r) / r^2"""
    return (exp(r) - 1 - r) / r**2 if abs(r) > mpf(10) ** -15 else mpf(1) / 2 + r / 6


def log1p_ratio(t):
    """log1p(u) / u at u = t + 1/2"""
    u = t + mpf(1) / 2
    return log1p(u) / u if abs(u) > mpf(10) ** -25 else 1 - u / 2


def log_rest(f):
    """(log(1 + f) - f + f^2 / 2) / f^3"""
    return (log1p(f) - f + f**2 / 2) / f**3 if abs(f) > mpf(10) ** -10 else mpf(1) / 3 - f / 4


POLYNOMIALS = [
    # name, function, interval, degree in float, degree in double, what it is
    (
        "kExp",
        exp_rest,
        [-HALF_LN2 * mpf("1.001"), HALF_LN2 * mpf("1.001")],
        4,
        9,
        "(exp(r) - 1 - r) / r^2 for |r| <= ln(2) / 2",
    ),
    ("kLog1p", log1p_ratio, [mpf(-1) / 2, mpf(1) / 2], 8, 21, "log1p(u) / u for u in [0, 1], in powers of u - 1/2"),
    (
        "kLog",
        log_rest,
        [1 / sqrt(2) - 1, sqrt(2) - 1],
        8,
        21,
        "(log(1 + f) - f + f^2 / 2) / f^3 for 1 + f in [1/sqrt(2), sqrt(2)]",
    ),
    ("kLogMant", log_rest, [mpf(-1) / 4, mpf(1) / 2], 8, 21, "the same for 1 + f in [3/4, 3/2]"),
]


def main():
    print("// Made by tools/fit_polynomials.py: change that, not this. Highest power first.")
    print("#pragma once\n\nnamespace paddle_vfl {\nnamespace VFL_ISA {\n")
    print("template <class T>\nstruct Polynomials;\n")
    for ctype, suffix, digits in (("float", "f", 9), ("double", "", 17)):
        print(f"template <>\nstruct Polynomials<{ctype}> {{")
        for name, function, interval, *degrees, meaning in POLYNOMIALS:
            degree = degrees[ctype == "double"]
            coefficients = chop(chebyfit(function, interval, degree + 1))
            error = max(abs(polyval(coefficients, x) / function(x) - 1) for x in linspace(*interval, 2001))
            texts = [mp.nstr(c, digits, min_fixed=0, max_fixed=0) for c in coefficients]
            texts = [t if "e" in t else t + "e0" for t in texts]
            print(f"  // {meaning}; relative error {float(error):.1e}")
            print(f"  static constexpr {ctype} {name}[] = {{" + ", ".join(t + suffix for t in texts) + "};")
        print("};\n")
    print("}  // namespace VFL_ISA\n}  // namespace paddle_vfl")


if __name__ == "__main__":
    main()
