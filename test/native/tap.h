/* Licensed under the Apache License, Version 2.0; see LICENSE. */
/**
 * @file tap.h
 * The few lines a native test needs: tests are sentences with a function, CHECK() notes
 * what does not hold, and tap_run() prints the result in the Test Anything Protocol.
 */
#ifndef TSGI_TAP_H
#define TSGI_TAP_H

#include <stddef.h>
#include <stdio.h>

typedef struct {
    const char *sentence; /* what holds if the test passes */
    void (*run)(void);
} tap_test_t;

static unsigned tap_failures; /* failed CHECKs of the running test */

static void tap_check(int holds, const char *file, int line, const char *what)
{
    if (!holds) {
        tap_failures++;
        if (tap_failures <= 10) { /* a failing loop says no more than its first rounds */
            printf("# %s:%d: does not hold: %s\n", file, line, what);
        }
    }
}

#define CHECK(expression) tap_check(!!(expression), __FILE__, __LINE__, #expression)

/* Runs all tests; the exit status for main(). */
static int tap_run(const tap_test_t *tests, size_t n)
{
    size_t failed = 0;
    for (size_t i = 0; i < n; i++) {
        tap_failures = 0;
        tests[i].run();
        failed += tap_failures > 0;
        printf("%sok %zu - %s\n", tap_failures > 0 ? "not " : "", i + 1,
               tests[i].sentence);
    }
    printf("1..%zu\n", n);
    return failed > 0;
}

#endif
