// What every version of the kernels includes first, before its target pragma: all headers whose functions other files
// share.
//
// An inline function that is not inlined is compiled in each file that calls it, and the linker keeps any one of the
// copies. After the pragma the copies would have AVX instructions, and the one that is kept would kill the program on a
// processor without them. So nothing may follow the pragma but what is in the namespace of the version;
// tests/csrc/test_target.py looks for anything else.
#pragma once

#ifdef __x86_64__
#include <immintrin.h>
#endif

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <type_traits>

#include "../varifocal.h"
#include "kernels.h"
