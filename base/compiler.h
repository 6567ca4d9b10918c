/* Attributes and hints for the compiler: what is likely, what is cold, what is exported. */
#pragma once

#define ND_EXPORT __attribute__((visibility("default")))
#define ND_COLD __attribute__((cold, noinline))
#define ND_APART __attribute__((noinline)) /* off the fast path, but compiled for speed */
#define ND_INLINE static inline __attribute__((always_inline))
/* A variable that is zero at first and that the constructor writes in every process. It stands beside those that have a
 * value at first, in pages that the loader has written to already: each page more that is written costs a start 2 us. */
#define ND_WRITTEN_AT_START __attribute__((section(".data.written_at_start")))
#define nd_likely(condition) __builtin_expect(!!(condition), 1)
#define nd_unlikely(condition) __builtin_expect(!!(condition), 0)

/* Whether this is a build whose calls of libc a sanitizer must see. */
#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
#define ND_SANITIZED 1
#else
#define ND_SANITIZED 0
#endif
