#include <string.h>

#include "checksums.h"

#define POLYNOMIAL 0xEDB88320u /* of CRC-32, lowest bit first */

/* table[k][b]: what the byte b does to the sum when k further bytes follow it. */
static uint32_t table[8][256];

void hm_checksum_tables(void) {
    for (uint32_t byte = 0; byte < 256; byte++) {
        uint32_t sum = byte;
        for (int bit = 0; bit < 8; bit++) sum = sum >> 1 ^ (sum & 1 ? POLYNOMIAL : 0);
        table[0][byte] = sum;
    }
    for (int k = 1; k < 8; k++)
        for (int byte = 0; byte < 256; byte++)
            table[k][byte] = table[k - 1][byte] >> 8 ^ table[0][table[k - 1][byte] & 255];
}

/* Eight bytes at a time, then four: byte by byte, each waits for the look-up of the one before it. Words are read as a
 * little-endian processor has them; the extension is built for no other (build_native.py). */
uint32_t hm_crc32(const uint8_t *bytes, size_t length) {
    uint32_t sum = 0xFFFFFFFFu, low, high;
    for (; length >= 8; bytes += 8, length -= 8) {
        memcpy(&low, bytes, 4);
        memcpy(&high, bytes + 4, 4);
        low ^= sum;
        sum = table[7][low & 255] ^ table[6][low >> 8 & 255] ^ table[5][low >> 16 & 255] ^ table[4][low >> 24] ^
              table[3][high & 255] ^ table[2][high >> 8 & 255] ^ table[1][high >> 16 & 255] ^ table[0][high >> 24];
    }
    if (length >= 4) {
        memcpy(&low, bytes, 4);
        low ^= sum;
        sum = table[3][low & 255] ^ table[2][low >> 8 & 255] ^ table[1][low >> 16 & 255] ^ table[0][low >> 24];
        bytes += 4;
        length -= 4;
    }
    for (; length; bytes++, length--) sum = sum >> 8 ^ table[0][(sum ^ *bytes) & 255];
    return sum ^ 0xFFFFFFFFu;
}

#define ADLER_MODULUS 65521u
#define ADLER_BYTES 5552 /* so many bytes can be added before a sum of 32 bits overflows */

uint32_t hm_adler32(const uint8_t *bytes, size_t length) {
    uint32_t low = 1, high = 0;
    while (length) {
        size_t part = length < ADLER_BYTES ? length : ADLER_BYTES;
        length -= part;
        for (; part; part--) {
            low += *bytes++;
            high += low;
        }
        low %= ADLER_MODULUS;
        high %= ADLER_MODULUS;
    }
    return high << 16 | low;
}
