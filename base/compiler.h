/* Attributes and hints for the compiler: what is likely, what is cold, what is exported. */
#ifndef ND_BASE_COMPILER_H
#define ND_BASE_COMPILER_H

#define ND_EXPORT __attribute__((visibility("default")))
#define ND_COLD __attribute__((cold, noinline))
#define ND_APART __attribute__((noinline)) /* off the fast path, but compiled for speed */
#define ND_INLINE static inline __attribute__((always_inline))
#define nd_likely(condition) __builtin_expect(!!(condition), 1)
#define nd_unlikely(condition) __builtin_expect(!!(condition), 0)

#endif
