/* libunwind, by the names of its own header. A release links it in; otherwise the host's is loaded at start, and only with
 * BACKTRACE=1: as a dependency it would stand before libgcc in every program and take over its _Unwind_ functions, C++
 * exceptions and all (Debian's libunwind.so.8 exports 18 of them), and Debian's libunwind.a is not position independent. */
#ifndef ND_UNWIND_H
#define ND_UNWIND_H

#include <stdbool.h>

#define UNW_LOCAL_ONLY
#include <libunwind.h>

/* Makes libunwind ready; false if the host has none, and unw_step is then NULL. Called at start; not async-signal-safe. */
bool nd_unwind_load(void);

#ifndef ND_STATIC_UNWIND

/* ND_UNWIND(name, result, parameters) */
#define ND_UNWIND_FUNCTIONS                                                                                            \
    ND_UNWIND(init_local, int, (unw_cursor_t *, unw_context_t *))                                                      \
    ND_UNWIND(step, int, (unw_cursor_t *))                                                                             \
    ND_UNWIND(get_reg, int, (unw_cursor_t *, unw_regnum_t, unw_word_t *))                                              \
    ND_UNWIND(get_proc_name, int, (unw_cursor_t *, char *, size_t, unw_word_t *))                                      \
    ND_UNWIND(get_proc_info, int, (unw_cursor_t *, unw_proc_info_t *))                                                 \
    ND_UNWIND(is_signal_frame, int, (unw_cursor_t *))

/* All NULL until nd_unwind_load() succeeds. */
struct nd_unwind {
    int (*getcontext)(unw_context_t *); /* must be called in the frame that unwinds */
#define ND_UNWIND(name, type, params) type(*name) params;
    ND_UNWIND_FUNCTIONS
#undef ND_UNWIND
};
extern struct nd_unwind nd_unwind;

#undef unw_getcontext
#undef unw_init_local
#undef unw_step
#undef unw_get_reg
#undef unw_get_proc_name
#undef unw_get_proc_info
#undef unw_is_signal_frame
#define unw_getcontext nd_unwind.getcontext
#define unw_init_local nd_unwind.init_local
#define unw_step nd_unwind.step
#define unw_get_reg nd_unwind.get_reg
#define unw_get_proc_name nd_unwind.get_proc_name
#define unw_get_proc_info nd_unwind.get_proc_info
#define unw_is_signal_frame nd_unwind.is_signal_frame

#endif
#endif
