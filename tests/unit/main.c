/* The main function of every unit test's program: NAME_test [TEST...] runs all tests of the file, or those named. */

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/unit.h"

static char **wanted; /* names of tests, up to a null pointer; none of them means all tests */
static int added;

static bool is_wanted(const char *name) {
    for (char **each = wanted; *each; each++) {
        if (strcmp(*each, name) == 0) {
            return true;
        }
    }
    return !*wanted;
}

/* The linker calls the first in place of Check's own function, which it names by the second: every tcase_add_* macro
 * comes here. */
void __wrap__tcase_add_test(TCase *tests, const TTest *test, int signal, int status, int start, int end);
void __real__tcase_add_test(TCase *tests, const TTest *test, int signal, int status, int start, int end);

void __wrap__tcase_add_test(TCase *tests, const TTest *test, int signal, int status, int start, int end) {
    if (is_wanted(test->name)) {
        added++;
        __real__tcase_add_test(tests, test, signal, status, start, end);
    }
}

int main(int count, char **arguments) {
    wanted = arguments + (count > 0);
    Suite *suite = suite_create(program_invocation_short_name);
    TCase *tests = tcase_create(program_invocation_short_name);
    suite_add_tcase(suite, tests);
    add_tests(tests);
    if (added == 0) {
        fprintf(stderr, "%s: no test of that name\n", program_invocation_short_name);
        return EXIT_FAILURE;
    }
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
