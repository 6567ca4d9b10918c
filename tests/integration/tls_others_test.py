"""TLS libraries whose operations are not seen as a whole: the clocks of their sockets bound them. And the BIO interface."""

import subprocess

import pytest

from calls import LATEST
from faults import tcp, tls
from tlscalls import TLS, parse

SILENT = pytest.mark.parametrize("behaviour", [tcp.silent, tls.over_tls(tcp.silent)], ids=["handshake", "answer"])


def compile_c(source, target, *libraries):
    subprocess.run(["gcc", "-x", "c", "-o", target, "-", *libraries], input=source, text=True, check=True, capture_output=True)
    return target


@SILENT
def test_nss(net, tmp_path, behaviour):
    """It polls a non-blocking socket in slices of at most 5 s: what is waited adds up."""
    subprocess.run(["certutil", "-N", "-d", tmp_path, "--empty-password"], check=True)
    asked = tmp_path / "asked"
    asked.write_bytes(b"GET / HTTP/1.0\r\n\r\n")
    client = ["tstclnt", "-o", "-h", "127.0.0.1", "-p", net.serve(behaviour).port, "-d", tmp_path]
    result = net.run(client, stdin=asked.open, patience=10, RECV="600ms")
    assert result.status != 0 and not result.cut and 0.5 < result.elapsed < 0.6 + 2 * LATEST / 1000, result
    assert b"timed out" in result.err, result


MBEDTLS = r"""
#include <errno.h>
#include <mbedtls/ctr_drbg.h>
#include <mbedtls/entropy.h>
#include <mbedtls/net_sockets.h>
#include <mbedtls/ssl.h>
#include <stdio.h>
int main(int argc, char **argv) {
    mbedtls_entropy_context entropy;
    mbedtls_ctr_drbg_context random;
    mbedtls_ssl_config config;
    mbedtls_ssl_context ssl;
    mbedtls_net_context net;
    unsigned char answer[100];
    mbedtls_entropy_init(&entropy);
    mbedtls_ctr_drbg_init(&random);
    mbedtls_ctr_drbg_seed(&random, mbedtls_entropy_func, &entropy, NULL, 0);
    mbedtls_ssl_config_init(&config);
    mbedtls_ssl_config_defaults(&config, MBEDTLS_SSL_IS_CLIENT, MBEDTLS_SSL_TRANSPORT_STREAM, MBEDTLS_SSL_PRESET_DEFAULT);
    mbedtls_ssl_conf_authmode(&config, MBEDTLS_SSL_VERIFY_NONE);
    mbedtls_ssl_conf_rng(&config, mbedtls_ctr_drbg_random, &random);
    mbedtls_ssl_init(&ssl);
    mbedtls_ssl_setup(&ssl, &config);
    mbedtls_net_init(&net);
    if (argc != 2 || mbedtls_net_connect(&net, "127.0.0.1", argv[1], MBEDTLS_NET_PROTO_TCP))
        return 2;
    mbedtls_ssl_set_bio(&ssl, &net, mbedtls_net_send, mbedtls_net_recv, NULL);
    int result = mbedtls_ssl_handshake(&ssl);
    if (result == 0)
        result = mbedtls_ssl_read(&ssl, answer, sizeof answer);
    printf("%d %d\n", result == MBEDTLS_ERR_NET_RECV_FAILED, errno == ETIMEDOUT);
    return 0;
}
"""


@SILENT
def test_mbedtls(net, tmp_path, behaviour):
    client = compile_c(MBEDTLS, tmp_path / "client", "-lmbedtls", "-lmbedx509", "-lmbedcrypto")
    result = net.run([client, net.serve(behaviour).port], patience=10, RECV="400ms")
    assert result.out == b"1 1\n" and result.elapsed < 0.4 + LATEST / 1000, result


# It takes ETIMEDOUT for a reason to be called again, which programs do at once where the socket blocks.
WOLFSSL = r"""
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <wolfssl/options.h>
#include <wolfssl/ssl.h>
static int calls;
static int again(WOLFSSL *ssl, int result) {
    int error = result == WOLFSSL_SUCCESS ? 0 : wolfSSL_get_error(ssl, result);
    return ++calls < 1000000 && (error == WOLFSSL_ERROR_WANT_READ || error == WOLFSSL_ERROR_WANT_WRITE);
}
int main(int argc, char **argv) {
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM, 0), result, size;
    char answer[100];
    to.sin_port = htons((unsigned short)atoi(argc == 2 ? argv[1] : "0"));
    if (connect(fd, (struct sockaddr *)&to, sizeof to))
        return 2;
    wolfSSL_Init();
    WOLFSSL_CTX *context = wolfSSL_CTX_new(wolfTLS_client_method());
    wolfSSL_CTX_set_verify(context, WOLFSSL_VERIFY_NONE, NULL);
    WOLFSSL *ssl = wolfSSL_new(context);
    wolfSSL_set_fd(ssl, fd);
    do
        result = wolfSSL_connect(ssl);
    while (again(ssl, result));
    if (result == WOLFSSL_SUCCESS) {
        do
            size = wolfSSL_read(ssl, answer, sizeof answer);
        while (again(ssl, size));
        result = size;
    }
    printf("%d %d\n", result > 0 || result == WOLFSSL_SUCCESS, calls);
    return 0;
}
"""


@SILENT
def test_wolfssl(net, tmp_path, behaviour):
    """A later call gives another error than ETIMEDOUT: it does not spin."""
    client = compile_c(WOLFSSL, tmp_path / "client", "-lwolfssl")
    result = net.run([client, net.serve(behaviour).port], patience=20, RECV="400ms")
    good, made = result.out.split()
    assert good == b"0" and int(made) < 10 and 0.4 <= result.elapsed < 5, result


BIO = r"""
#include <errno.h>
#include <openssl/bio.h>
#include <openssl/ssl.h>
#include <stdio.h>
int main(int argc, char **argv) {
    BIO *bio = BIO_new_ssl_connect(SSL_CTX_new(TLS_client_method()));
    char to[40];
    snprintf(to, sizeof to, "127.0.0.1:%s", argc > 1 ? argv[1] : "");
    BIO_set_conn_hostname(bio, to);
    long connected = argc > 2 ? 1 : BIO_do_connect(bio); /* which for a chain with an SSL makes the handshake too */
    long shaken = BIO_do_handshake(bio);
    printf("%ld %ld %d\n", connected, shaken, errno);
    return 0;
}
"""


@pytest.mark.parametrize("how", [[], ["at once"]])
def test_bio_do_connect_and_handshake(net, tmp_path, how):
    client = compile_c(BIO, tmp_path / "client", "-lssl", "-lcrypto")
    result = net.run([client, net.serve(tcp.silent).port, *how], patience=10, TLS_HANDSHAKE="400ms")
    assert result.out.split()[1] != b"1" and not result.cut and result.elapsed < 0.4 + LATEST / 1000, result


@pytest.mark.parametrize("library, says", [("openssl-dtls", ""), ("gnutls-dtls", "GNUTLS_E_TIMEDOUT")])
def test_dtls_over_a_stream_passes(net, library, says):
    """It keeps time itself; OpenSSL for minutes."""
    result = net.run([TLS, library, "block", net.serve(tcp.silent).port, "handshake"], patience=4, TLS_HANDSHAKE="500ms", LOG="stderr")
    assert result.cut == (not says) and result.err == b"", result
    assert not says or parse(result)[0].meaning == says, result
