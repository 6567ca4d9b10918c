#pragma once

#include <check.h>

/* Defined by each tests/unit/NAME_test.c: adds its tests, fixtures and timeouts to the one test case of its program. */
void add_tests(TCase *tests);
