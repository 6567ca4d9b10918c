#include "resolver/hostent.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "tests/unit/unit.h"

static struct nd_host host;

static void setup(void) {
    nd_host_free(&host);
    host.status = ND_SUCCESS;
    host.h_err = 0;
    nd_host_set_canonical(&host, "name.example", 12);
    nd_host_add_name(&host, "alias", 5);
    for (uint8_t i = 0; i < 40; i++)
        nd_host_add_address(&host, AF_INET, (uint8_t[]){10, 0, 0, i});
}

START_TEST(fits_or_says_erange) {
    struct hostent entry, *result;
    int h_err;
    bool fitted = false;
    setup();
    for (size_t size = 0; size < 1024; size++) {
        char *buffer = malloc(size + 1) /* its end is watched by the sanitizer */;
        int code = nd_finish_hostent(&host, AF_INET, &entry, buffer + 1, size, &result, &h_err);
        if (code == 0) {
            fitted = true;
            ck_assert_ptr_eq(result, &entry);
            ck_assert_str_eq(entry.h_name, "name.example");
            ck_assert_str_eq(entry.h_aliases[0], "alias");
            ck_assert_ptr_null(entry.h_aliases[1]);
            ck_assert_int_eq(entry.h_addr_list[39][3], 39);
            ck_assert_ptr_null(entry.h_addr_list[40]);
            ck_assert_uint_eq((uintptr_t)entry.h_addr_list[0] % 4, 0);
            ck_assert_int_eq(h_err, 0);
        } else {
            ck_assert(!fitted);
            ck_assert_int_eq(code, ERANGE);
            ck_assert_int_eq(errno, ERANGE);
            ck_assert_int_eq(h_err, NETDB_INTERNAL);
            ck_assert_ptr_null(result);
        }
        free(buffer);
    }
    ck_assert(fitted);
}
END_TEST

START_TEST(tells_failures_as_libc_does) {
    struct hostent entry, *result;
    int h_err;
    nd_host_free(&host); /* not found */
    ck_assert_int_eq(nd_finish_hostent(&host, AF_INET, &entry, NULL, 0, &result, &h_err), 0);
    ck_assert_ptr_null(result);
    ck_assert_int_eq(h_err, HOST_NOT_FOUND);
    host = (struct nd_host){.status = ND_UNAVAIL, .h_err = TRY_AGAIN, .sys_err = EAGAIN};
    ck_assert_int_eq(nd_finish_hostent(&host, AF_INET, &entry, NULL, 0, &result, &h_err), EAGAIN);
    host = (struct nd_host){.status = ND_TRYAGAIN, .h_err = NO_RECOVERY};
    ck_assert_int_eq(nd_finish_hostent(&host, AF_INET, &entry, NULL, 0, &result, &h_err), EAGAIN);
}
END_TEST

START_TEST(a_static_result_grows) {
    static struct nd_static_hostent place;
    setup();
    struct hostent *h = nd_finish_static(&place, &host, AF_INET);
    ck_assert_str_eq(h->h_name, "name.example");
    for (int i = 0; i < 1000; i++)
        nd_host_add_address(&host, AF_INET, "\12\0\0\1");
    h = nd_finish_static(&place, &host, AF_INET);
    ck_assert_ptr_nonnull(h->h_addr_list[1039]);
}
END_TEST

void add_tests(TCase *tests) {
    tcase_add_test(tests, fits_or_says_erange);
    tcase_add_test(tests, tells_failures_as_libc_does);
    tcase_add_test(tests, a_static_result_grows);
}
