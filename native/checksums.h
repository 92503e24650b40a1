/* CRC-32 and Adler-32 as zlib computes them (RFC 1952 section 8, RFC 1950 section 9). The extension is not linked with zlib, and what
 * is summed here are names of some ten bytes: a call through Python costs more than the sum. */

#ifndef HASHMATCH_CHECKSUMS_H
#define HASHMATCH_CHECKSUMS_H

#include <stddef.h>
#include <stdint.h>

/* Once, before the first hm_crc32. */
void hm_checksum_tables(void);

uint32_t hm_crc32(const uint8_t *bytes, size_t length);
uint32_t hm_adler32(const uint8_t *bytes, size_t length);

#endif
