/* The two libgcc functions that a cleanup attribute refers to. libgcc_s must not be a dependency: it would be loaded
 * into every program. Nor can libgcc be linked in: the functions work on the state of the unwinder, which is the host's
 * libgcc_s, of any version. So these pass the call on to that library, which pthread_cancel and pthread_exit load
 * before they unwind. Where something else unwinds (a program with a C++ runtime linked in) no cleanup runs: the scopes
 * that cleanups would close are checked before they are used. */
#include <dlfcn.h>
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <unwind.h>

#define HIDDEN __attribute__((visibility("hidden")))

typedef _Unwind_Reason_Code personality_fn(int, _Unwind_Action, _Unwind_Exception_Class, struct _Unwind_Exception *,
                                           struct _Unwind_Context *);
typedef void resume_fn(struct _Unwind_Exception *);

static void *find(const char *name) {
    int saved = errno;
    void *libgcc = dlopen("libgcc_s.so.1", RTLD_LAZY | RTLD_NOLOAD); /* libc never unloads it either */
    void *found = libgcc ? dlsym(libgcc, name) : NULL;
    errno = saved; /* the program's cleanup handlers may look at it */
    return found;
}

HIDDEN personality_fn __gcc_personality_v0;
_Unwind_Reason_Code __gcc_personality_v0(int version, _Unwind_Action actions, _Unwind_Exception_Class class,
                                         struct _Unwind_Exception *exception, struct _Unwind_Context *context) {
    personality_fn *real = (personality_fn *)(uintptr_t)find("__gcc_personality_v0");
    return real ? real(version, actions, class, exception, context) : _URC_CONTINUE_UNWIND;
}

/* Called only by a cleanup that the function above has started. */
HIDDEN resume_fn nd_unwind_resume __asm__("_Unwind_Resume");
void nd_unwind_resume(struct _Unwind_Exception *exception) {
    resume_fn *real = (resume_fn *)(uintptr_t)find("_Unwind_Resume");
    if (real)
        real(exception);
    abort();
}

/* What libgcc's atomic operations of aarch64 learn from which instructions there are, under the name that only glibc has. */
#ifdef __aarch64__
#include <sys/auxv.h>

HIDDEN unsigned long __getauxval(unsigned long type);
unsigned long __getauxval(unsigned long type) {
    return getauxval(type);
}
#endif
