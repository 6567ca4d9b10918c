/* The functions of libunwind, under the names of its header. A release links libunwind in; otherwise the host's is
 * loaded at start, and only with BACKTRACE=1. It is not a dependency, because it would precede libgcc in every program
 * and replace its _Unwind_ functions, on which C++ exceptions depend (Debian's libunwind.so.8 exports 18 of them); and
 * Debian's libunwind.a is not position independent. libunwind unwinds this process as if it were another one, whose
 * memory it reads by unwind_accessors.c: to unwind its own process it writes to a pipe to find out whether an address
 * can be read, keeps the pipe open, and goes on using its two descriptor numbers after the program has closed them and
 * opened other files. */
#pragma once

#include <libunwind.h>
#include <stdbool.h>

/* Finds the functions. Returns false where the host has none; unw_step is then NULL. Called at start; not
 * async-signal-safe. */
bool nd_unwind_find_functions(void);

#ifndef ND_STATIC_UNWIND

/* ND_UNWIND(name, result, parameters) */
#define ND_UNWIND_FUNCTIONS                                                                                            \
    ND_UNWIND(create_addr_space, unw_addr_space_t, (unw_accessors_t *, int))                                           \
    ND_UNWIND(init_remote, int, (unw_cursor_t *, unw_addr_space_t, void *))                                            \
    ND_UNWIND(step, int, (unw_cursor_t *))                                                                             \
    ND_UNWIND(get_reg, int, (unw_cursor_t *, unw_regnum_t, unw_word_t *))                                              \
    ND_UNWIND(is_signal_frame, int, (unw_cursor_t *))                                                                  \
    ND_UNWIND(dwarf_search_unwind_table, int,                                                                          \
              (unw_addr_space_t, unw_word_t, unw_dyn_info_t *, unw_proc_info_t *, int, void *))

/* All NULL until nd_unwind_load() succeeds. */
struct nd_unwind {
#define ND_UNWIND(name, type, params) type(*name) params;
    ND_UNWIND_FUNCTIONS
#undef ND_UNWIND
};
extern struct nd_unwind nd_unwind;

#undef unw_create_addr_space
#undef unw_init_remote
#undef unw_step
#undef unw_get_reg
#undef unw_is_signal_frame
#define unw_create_addr_space nd_unwind.create_addr_space
#define unw_init_remote nd_unwind.init_remote
#define unw_step nd_unwind.step
#define unw_get_reg nd_unwind.get_reg
#define unw_is_signal_frame nd_unwind.is_signal_frame
#define nd_search_unwind_table nd_unwind.dwarf_search_unwind_table

#else

#define nd_search_unwind_table UNW_OBJ(dwarf_search_unwind_table)
extern int nd_search_unwind_table(unw_addr_space_t space, unw_word_t address, unw_dyn_info_t *table,
                                  unw_proc_info_t *info, int need_unwind_info, void *arg);

#endif
