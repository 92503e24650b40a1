/* The pixel kernels in plain C, with what the compiler makes of it. */

#define PX_BYTES 16
#include "pixels_vectors.h"
#include "resample_scalar.h"

#include "pixels_pdq.h"
#include "pixels_resample.h"
#include "pixels_plane.h"

const hm_pixels hm_pixels_portable = {px_pdq_fast, px_pdq_exact, px_luma, px_family, px_tables, px_plane};
