/* The pixel kernels on aarch64. Its compilers make NEON of the plain C, whose loops run across lanes. */

#include "pixels.h"

#ifdef HM_AARCH64
#include <arm_neon.h>

#define PX_BYTES 16
#if defined(__GNUC__)
#define pf_fma(a, b, c) ((pf)vfmaq_f32((float32x4_t)(c), (float32x4_t)(a), (float32x4_t)(b)))
#define pf_fnma(a, b, c) ((pf)vfmsq_f32((float32x4_t)(c), (float32x4_t)(a), (float32x4_t)(b)))
#define pd_fma(a, b, c) ((pd)vfmaq_f64((float64x2_t)(c), (float64x2_t)(a), (float64x2_t)(b)))
#endif
#include "pixels_vectors.h"
#include "resample_scalar.h"

#include "pixels_pdq.h"
#include "pixels_resample.h"
#include "pixels_plane.h"

const hm_pixels hm_pixels_neon = {px_pdq_fast, px_pdq_exact, px_luma, px_family, px_tables, px_plane};
#endif
