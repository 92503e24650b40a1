/* The pixel kernels on aarch64. Its compilers make NEON of the plain C, whose loops run across lanes. */

#include "pixels.h"

#ifdef HM_AARCH64
#define PX_BYTES 16
#include "pixels_vectors.h"
#include "resample_scalar.h"

#include "pixels_pdq.h"
#include "pixels_resample.h"

const hm_pixels hm_pixels_neon = {px_pdq_fast, px_pdq_exact, px_luma, px_family};
#endif
