#include "resolver/addrinfo.h"

#include <string.h>

#include "tests/unit/unit.h"

static struct nd_type types[ND_MAX_TYPES];

static int get(const char *service, int socktype, int protocol) {
    struct addrinfo hints = {.ai_socktype = socktype, .ai_protocol = protocol};
    return nd_service_types(types, service, &hints);
}

START_TEST(expands_socket_types_as_libc_does) {
    ck_assert_int_eq(get(NULL, 0, 0), 3);
    ck_assert_int_eq(types[2].socktype, SOCK_RAW);
    ck_assert_int_eq(get("80", 0, 0), 3);
    ck_assert_int_eq(ntohs(types[0].port), 80);
    ck_assert_int_eq(get("80", SOCK_DGRAM, 0), 1);
    ck_assert_int_eq(types[0].protocol, IPPROTO_UDP);
    ck_assert_int_eq(get(NULL, SOCK_RAW, 7), 1);
    ck_assert_int_eq(types[0].protocol, 7);
}
END_TEST

START_TEST(refuses_as_libc_does) {
    ck_assert_int_eq(get(NULL, 77, 0), EAI_SOCKTYPE);
    ck_assert_int_eq(get(NULL, SOCK_STREAM, IPPROTO_UDP), EAI_SOCKTYPE);
    ck_assert_int_eq(get("80", SOCK_RAW, 0), EAI_SERVICE);
    ck_assert_int_eq(get("no-such-service", 0, 0), EAI_SERVICE);
}
END_TEST

START_TEST(cuts_ports) {
    ck_assert_int_eq(get("99999", SOCK_STREAM, 0), 1);
    ck_assert_int_eq(ntohs(types[0].port), 34463);
}
END_TEST

START_TEST(libc_frees_the_list) {
    struct nd_address a[2] = {{.family = AF_INET, .bytes = {1, 2, 3, 4}}, {.family = AF_INET6, .scope = 5}};
    struct addrinfo *list;
    int n = get("80", 0, 0);
    ck_assert_int_eq(nd_make_list(&list, a, 2, types, n, AI_PASSIVE, "name"), 0);
    ck_assert_str_eq(list->ai_canonname, "name");
    ck_assert_ptr_null(list->ai_next->ai_canonname);
    ck_assert_ptr_eq(list->ai_addr, list + 1);
    ck_assert_int_eq(list->ai_flags, AI_PASSIVE);
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)list->ai_next->ai_next->ai_next->ai_addr;
    ck_assert_int_eq(v6->sin6_family, AF_INET6);
    ck_assert_uint_eq(v6->sin6_scope_id, 5);
    freeaddrinfo(list);
}
END_TEST

void add_tests(TCase *tests) {
    tcase_add_test(tests, expands_socket_types_as_libc_does);
    tcase_add_test(tests, refuses_as_libc_does);
    tcase_add_test(tests, cuts_ports);
    tcase_add_test(tests, libc_frees_the_list);
}
