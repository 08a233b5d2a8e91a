/*
 * The start of a host in C: a client's first flight, from seed to datagram, without a socket.
 *
 *   cargo build --release -p quillon-abi
 *   cc -std=c99 -I engine/abi engine/abi/examples/first_flight.c target/release/libquillon_abi.a -lm -lpthread -ldl
 */
#include <stdio.h>

#include "../quillon.h"

static int fail(const char *what, int64_t code)
{
    uint8_t name[64] = {0}, text[256] = {0};
    quillon_error_name((int32_t)code, name, sizeof name - 1);
    quillon_last_error(text, sizeof text - 1);
    fprintf(stderr, "%s: %s: %s\n", what, (const char *)name, (const char *)text);
    return 1;
}

static uint32_t read_u32(const uint8_t *bytes)
{
    return bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16 | (uint32_t)bytes[3] << 24;
}

int main(void)
{
    /* A real host takes the seed from its system's cryptographic source. */
    static const uint8_t seed[32] = "an example's seed is no secret";
    /* 127.0.0.1:50000 to 127.0.0.1:4433. */
    static const uint8_t path[QUILLON_PATH_LEN] = {4, 0, 0x50, 0xc3, 127, 0, 0, 1, [20] = 4, 0, 0x51, 0x11, 127, 0, 0, 1};
    static const char name[] = "localhost", alpn[] = "hq-interop";
    int32_t config, endpoint, connection, count, i, result;
    const uint8_t *arena;

    if (quillon_abi_version() >> 16 != QUILLON_ABI_VERSION >> 16)
        return fail("the header and the library differ", QUILLON_ERR_INVALID_ARGUMENT);
    if ((result = quillon_seed(seed, sizeof seed)) < 0)
        return fail("seed", result);
    if ((config = quillon_config_new(QUILLON_ROLE_CLIENT)) < 0)
        return fail("configuration", config);
    result = quillon_config_set_bytes(config, QUILLON_CONFIG_ALPN, (const uint8_t *)alpn, sizeof alpn - 1);
    if (result < 0)
        return fail("application protocol", result);
    if ((result = quillon_config_set_number(config, QUILLON_CONFIG_VERIFY_PEER, 0)) < 0)
        return fail("verification", result);
    if ((endpoint = quillon_endpoint_new(0)) < 0)
        return fail("endpoint", endpoint);
    connection = quillon_endpoint_connect(endpoint, config, (const uint8_t *)name, sizeof name - 1, path, 0, 0);
    if (connection < 0)
        return fail("connect", connection);

    arena = quillon_endpoint_transmit_arena(endpoint);
    while ((count = quillon_endpoint_transmit(endpoint, 1, 0, 0)) > 0) {
        for (i = 0; i < count; i++) {
            const uint8_t *descriptor = arena + i * QUILLON_DESCRIPTOR_LEN;
            const uint8_t *datagram = arena + read_u32(descriptor);
            printf("%u bytes, first byte %02x\n", (unsigned)read_u32(descriptor + 4), datagram[0]);
        }
    }
    return count < 0 ? fail("transmit", count) : 0;
}
