/* A TLS client and server in two processes, over loopback, as fast as they can; prints the client's seconds: tlsloop
 * MODE COUNT CERTIFICATE. MODE: `requests`, 100 bytes asked and 1000 answered; `ready`, the same, where the answer is there
 * before it is read; `bulk`, writes of 16 KiB; `handshakes`, new connections. */
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { ASKED = 100, ANSWERED = 1000, PIECE = 16384 };

static char buffer[PIECE];
static const char *mode;
static long count;

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void check(int good, const char *what) {
    if (good)
        return;
    fprintf(stderr, "tlsloop: %s failed\n", what);
    exit(1);
}

static int read_all(SSL *ssl, int size) {
    int got = 0;
    for (int more; got < size; got += more)
        if ((more = SSL_read(ssl, buffer + got, size - got)) <= 0)
            return 0;
    return 1;
}

static SSL *over(SSL_CTX *context, int fd) {
    SSL *ssl = SSL_new(context);
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
    SSL_set_fd(ssl, fd);
    return ssl;
}

static void end(SSL *ssl) {
    int fd = SSL_get_fd(ssl);
    SSL_shutdown(ssl);
    SSL_free(ssl);
    close(fd);
}

static void serve(int listener, const char *certificate) {
    SSL_CTX *context = SSL_CTX_new(TLS_server_method());
    check(SSL_CTX_use_certificate_chain_file(context, certificate) == 1 &&
              SSL_CTX_use_PrivateKey_file(context, certificate, SSL_FILETYPE_PEM) == 1,
          "the certificate");
    for (long i = 0; i < (!strcmp(mode, "handshakes") ? count : 1); i++) {
        SSL *ssl = over(context, accept(listener, NULL, NULL));
        check(SSL_accept(ssl) == 1, "SSL_accept");
        if (!strcmp(mode, "requests") || !strcmp(mode, "ready"))
            while (read_all(ssl, ASKED))
                check(SSL_write(ssl, buffer, ANSWERED) == ANSWERED, "SSL_write");
        else
            while (SSL_read(ssl, buffer, PIECE) > 0)
                ;
        end(ssl);
    }
    exit(0);
}

static SSL *begin(SSL_CTX *context, const struct sockaddr_in *to) {
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    check(connect(fd, (const struct sockaddr *)to, sizeof *to) == 0, "connect");
    SSL *ssl = over(context, fd);
    check(SSL_connect(ssl) == 1, "SSL_connect");
    return ssl;
}

static void ask(SSL *ssl) {
    check(SSL_write(ssl, buffer, ASKED) == ASKED, "SSL_write");
    if (!strcmp(mode, "ready"))
        nanosleep(&(struct timespec){0, 5000000}, NULL);
    check(read_all(ssl, ANSWERED), "SSL_read");
}

static void work(const struct sockaddr_in *to) {
    SSL_CTX *context = SSL_CTX_new(TLS_client_method());
    int handshakes = !strcmp(mode, "handshakes");
    SSL *ssl = handshakes ? NULL : begin(context, to);
    double began = now();
    for (long i = 0; i < count; i++) {
        if (handshakes)
            end(begin(context, to));
        else if (!strcmp(mode, "bulk"))
            check(SSL_write(ssl, buffer, PIECE) == PIECE, "SSL_write");
        else
            ask(ssl);
    }
    printf("%.6f\n", now() - began);
    if (ssl)
        end(ssl);
}

int main(int argc, char **argv) {
    if (argc != 4)
        return 2;
    mode = argv[1];
    count = atol(argv[2]);
    signal(SIGPIPE, SIG_IGN);
    struct sockaddr_in inet = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof inet;
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    check(bind(listener, (struct sockaddr *)&inet, len) == 0 && listen(listener, 100) == 0 &&
              getsockname(listener, (struct sockaddr *)&inet, &len) == 0,
          "listen");
    if (fork() == 0)
        serve(listener, argv[3]);
    work(&inet);
    wait(NULL);
    return 0;
}
