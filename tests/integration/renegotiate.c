/* A TLS 1.2 server of its own asks for a new handshake and answers nothing: the client is inside SSL_read. Prints what the call
 * came to and when. Usage: renegotiate PEM */
#include <arpa/inet.h>
#include <errno.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static int listener;
static const char *pem;

static double now_ms(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

static void *serve(void *unused) {
    SSL_CTX *context = SSL_CTX_new(TLS_server_method());
    SSL_CTX_set_max_proto_version(context, TLS1_2_VERSION);
    SSL *ssl = SSL_new(context);
    if (SSL_use_certificate_file(ssl, pem, SSL_FILETYPE_PEM) != 1 ||
        SSL_use_PrivateKey_file(ssl, pem, SSL_FILETYPE_PEM) != 1)
        exit(3);
    SSL_set_fd(ssl, accept(listener, NULL, NULL));
    if (SSL_accept(ssl) != 1 || SSL_write(ssl, "x", 1) != 1 || SSL_renegotiate(ssl) != 1 || SSL_do_handshake(ssl) != 1)
        exit(3);
    sleep(20);
    return unused;
}

int main(int argc, char **argv) {
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof at;
    pthread_t thread;
    char byte;
    if (argc != 2)
        return 2;
    pem = argv[1];
    listener = socket(AF_INET, SOCK_STREAM, 0);
    bind(listener, (struct sockaddr *)&at, sizeof at);
    listen(listener, 5);
    getsockname(listener, (struct sockaddr *)&at, &length);
    pthread_create(&thread, NULL, serve, NULL);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    if (connect(fd, (struct sockaddr *)&at, sizeof at))
        return 3;
    SSL *ssl = SSL_new(SSL_CTX_new(TLS_client_method()));
    SSL_set_fd(ssl, fd);
    if (SSL_connect(ssl) != 1 || SSL_read(ssl, &byte, 1) != 1)
        return 3;
    double began = now_ms();
    errno = 0;
    int result = SSL_read(ssl, &byte, 1), error = errno;
    double ms = now_ms() - began;
    int again = SSL_read(ssl, &byte, 1);
    printf("%d %d %s %d %d\n", result, SSL_get_error(ssl, result), strerrorname_np(error), (int)ms, again);
    return 0;
}
