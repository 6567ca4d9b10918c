#include "shim/tls.h"

#include <dlfcn.h>
#include <errno.h>
#include <link.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* Where a module is, and how often something had been unloaded when we looked: after a dlclose its place may hold another. */
struct module {
    uintptr_t address; /* looked for */
    uintptr_t low, high;
    unsigned long long unloads;
};

struct cached {
    struct module module;
    struct nd_tls tls;
};

/* Found once, used by every later call of the same module. Entries are written once and then published by the count; a
 * process with more modules that speak TLS looks the rest up at each call. */
#define MODULES 16
static struct cached cache[MODULES];
static _Atomic int cached_count;
static atomic_flag writing = ATOMIC_FLAG_INIT;

static int place(struct dl_phdr_info *info, size_t size, void *arg) {
    struct module *module = arg;
    if (size >= offsetof(struct dl_phdr_info, dlpi_subs) + sizeof info->dlpi_subs)
        module->unloads = info->dlpi_subs;
    for (int i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *header = &info->dlpi_phdr[i];
        uintptr_t low = (uintptr_t)info->dlpi_addr + header->p_vaddr;
        if (header->p_type != PT_LOAD || module->address < low || module->address >= low + header->p_memsz)
            continue;
        module->low = low;
        module->high = low + header->p_memsz;
        return 1;
    }
    return 0;
}

static int count_unloads(struct dl_phdr_info *info, size_t size, void *arg) {
    if (size >= offsetof(struct dl_phdr_info, dlpi_subs) + sizeof info->dlpi_subs)
        *(unsigned long long *)arg = info->dlpi_subs;
    return 1;
}

static bool ours(const void *symbol) {
    Dl_info of_symbol, of_us;
    return dladdr(symbol, &of_symbol) && dladdr((const void *)(uintptr_t)&nd_tls_find, &of_us) &&
           of_symbol.dli_fbase == of_us.dli_fbase;
}

/* A function of the OpenSSL that `handle` sees, not our hook of the same name. */
static void *symbol_of(void *handle, const char *name) {
    void *found = dlsym(handle, name);
    return found && !ours(found) ? found : NULL;
}

static bool fill(struct nd_tls *tls, void *handle) {
    if (!symbol_of(handle, "SSL_read"))
        return false;
#define ND_HOOK(name, type, params, args, raw)
#define ND_ALIAS(name, of)
#define ND_TLS(name, type, params, args) *(void **)&tls->name = symbol_of(handle, #name);
#include "shim/hooks.def"
#undef ND_HOOK
#undef ND_ALIAS
#undef ND_TLS
    *(void **)&tls->SSL_get_rfd = symbol_of(handle, "SSL_get_rfd");
    /* In 1.0.2 this is a macro: handshakes hidden in reads are not seen there. */
    *(void **)&tls->SSL_is_init_finished = symbol_of(handle, "SSL_is_init_finished");
    *(void **)&tls->ERR_peek_error = symbol_of(handle, "ERR_peek_error");
    *(void **)&tls->ERR_put_error = symbol_of(handle, "ERR_put_error");
    *(void **)&tls->ERR_new = symbol_of(handle, "ERR_new");
    *(void **)&tls->ERR_set_error = symbol_of(handle, "ERR_set_error");
    return true;
}

static bool fill_from_file(struct nd_tls *tls, const char *file) {
    if (!file || !*file)
        return false;
    void *handle = dlopen(file, RTLD_LAZY | RTLD_NOLOAD);
    if (!handle)
        return false;
    bool found = fill(tls, handle);
    dlclose(handle); /* only our own reference: the caller keeps its libraries loaded */
    return found;
}

static int fill_from_any(struct dl_phdr_info *info, size_t size, void *arg) {
    (void)size;
    const char *base = info->dlpi_name ? strrchr(info->dlpi_name, '/') : NULL;
    return base && strncmp(base, "/libssl", 7) == 0 && fill_from_file(arg, info->dlpi_name);
}

/* The caller's own libraries first; then the global ones after us; then, since a tail call hides the caller, any libssl. */
static bool search(struct nd_tls *tls, const void *return_address) {
    Dl_info caller;
    memset(tls, 0, sizeof *tls);
    if (dladdr(return_address, &caller) && fill_from_file(tls, caller.dli_fname))
        return true;
    return fill(tls, RTLD_NEXT) || dl_iterate_phdr(fill_from_any, tls) != 0;
}

static bool lookup(struct nd_tls *tls, uintptr_t address) {
    unsigned long long unloads = 0;
    dl_iterate_phdr(count_unloads, &unloads);
    int count = atomic_load_explicit(&cached_count, memory_order_acquire);
    for (int i = 0; i < count; i++) {
        const struct module *module = &cache[i].module;
        if (address >= module->low && address < module->high && module->unloads == unloads) {
            *tls = cache[i].tls;
            return true;
        }
    }
    return false;
}

static void remember(const struct nd_tls *tls, uintptr_t address) {
    struct module module = {.address = address};
    if (!dl_iterate_phdr(place, &module) || atomic_flag_test_and_set(&writing))
        return; /* another thread, or a signal handler over one, is at it: next time */
    int count = atomic_load(&cached_count);
    if (count < MODULES) {
        cache[count] = (struct cached){module, *tls};
        atomic_store_explicit(&cached_count, count + 1, memory_order_release);
    }
    atomic_flag_clear(&writing);
}

bool nd_tls_find(struct nd_tls *tls, const void *return_address) {
    int saved = errno;
    uintptr_t address = (uintptr_t)return_address;
    bool found = lookup(tls, address);
    if (!found) {
        found = search(tls, return_address);
        if (found)
            remember(tls, address);
    }
    errno = saved;
    return found;
}

#define ERR_LIB_SYS 2

void nd_tls_queue_errno(const struct nd_tls *tls) {
    int saved = errno;
    bool empty = tls->ERR_peek_error && tls->ERR_peek_error() == 0;
    if (empty && tls->ERR_new && tls->ERR_set_error) {
        tls->ERR_new();
        tls->ERR_set_error(ERR_LIB_SYS, saved, NULL);
    } else if (empty && tls->ERR_put_error) {
        tls->ERR_put_error(ERR_LIB_SYS, 0, saved, "netdeadline", 0);
    }
    errno = saved;
}
