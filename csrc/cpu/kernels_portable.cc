// The CPU kernels for any processor: 16-byte vectors, which every 64-bit one has.
#include "before_target.h"

#define VFL_ISA          portable
#define VFL_VECTOR_BYTES 16
#include "kernels.inl"
