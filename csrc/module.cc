// The Python module paddle_vfl._C: build facts, instruction set and threads. The operator in the same library is
// registered with Paddle by paddle_vfl/_ops.py. No Paddle header here: Paddle brings a pybind11 of its own.
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include "cpu/buffers.h"
#include "cpu/kernels.h"
#include "cpu/threads.h"
#ifdef VFL_CUDA
#include "cuda/varifocal_cuda.h"
#endif

#define VFL_TEXT_(x) #x
#define VFL_TEXT(x)  VFL_TEXT_(x)

namespace py = pybind11;

PYBIND11_MODULE(_C, m) {
  m.attr("paddle_version") = VFL_TEXT(VFL_PADDLE_VERSION);
  m.attr("compiler") =
#ifdef __clang__
      "clang " __clang_version__;
#else
      "g++ " __VERSION__;
#endif
#ifdef VFL_CUDA
  m.attr("cuda_version") = paddle_vfl::cuda_version();
  m.attr("cuda_archs") = VFL_TEXT(VFL_CUDA_ARCHS);
#else
  m.attr("cuda_version") = py::none();
  m.attr("cuda_archs") = py::none();
#endif
  m.def("isa_list", [] {
    std::vector<std::string> names;
    for (const auto& kernels : paddle_vfl::all_kernels()) names.emplace_back(kernels.name);
    return names;
  });
  m.def("isa_supported", [] {
    std::vector<std::string> names;
    for (const auto& kernels : paddle_vfl::all_kernels())
      if (kernels.supported()) names.emplace_back(kernels.name);
    return names;
  });
  m.def("get_isa", &paddle_vfl::get_isa);
  m.def("set_isa", &paddle_vfl::set_isa);
  m.def("cached_bytes", &paddle_vfl::cached_bytes);
  m.def("get_num_threads", &paddle_vfl::get_num_threads);
  m.def("set_num_threads", &paddle_vfl::set_num_threads);
}
