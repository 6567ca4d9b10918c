/* Declares each hook nd_hook_X with the symbol X, so that its definition does not conflict with the declaration in
 * libc's headers. */
#pragma once

#include "base/compiler.h"
#include "shim/real.h"

#define ND_HOOK(name, type, params, args, raw) ND_EXPORT type nd_hook_##name params __asm__(#name);
#define ND_TLS(name, type, params, args) ND_EXPORT type nd_hook_##name params __asm__(#name);
#include "shim/hooks.def"

/* Exports the hook `of`, which is defined in the same file, under an older name too. */
#define ND_ALIAS_OF(name, of)                                                                                          \
    extern __typeof__(nd_hook_##of) nd_hook_##name __asm__(#name) ND_EXPORT __attribute__((alias(#of)))
