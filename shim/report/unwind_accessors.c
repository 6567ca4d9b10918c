/* The functions by which libunwind reads this process: memory where it can be read, registers from the context, and the
 * unwind table that the linker has made for each module. */
#include "shim/report/unwind_accessors.h"

#include <string.h>

#include "shim/memory.h"
#include "shim/report/module.h"
#include "shim/report/unwind_functions.h"

enum { BLOCK = ND_UNWIND_BLOCK_WORDS * sizeof(unw_word_t) };

/* The block of memory at `start`, or NULL where it cannot be read. */
static const unw_word_t *find_block(struct nd_unwinding *unwinding, uintptr_t start) {
    for (unsigned i = 0; i < ND_UNWIND_BLOCKS; i++)
        if (unwinding->blocks[i].start == start)
            return unwinding->blocks[i].words;
    unsigned next = unwinding->next_block++ % ND_UNWIND_BLOCKS;
    bool is_read = nd_memory_copy(unwinding->blocks[next].words, start, BLOCK) == BLOCK;
    unwinding->blocks[next].start = is_read ? start : 0;
    return is_read ? unwinding->blocks[next].words : NULL;
}

static int access_memory(unw_addr_space_t space, unw_word_t address, unw_word_t *value, int is_write, void *arg) {
    uintptr_t at = (uintptr_t)address;
    (void)space;
    if (is_write || at < BLOCK)
        return -UNW_EINVAL;
    if (at % sizeof *value != 0)
        return nd_memory_copy(value, at, sizeof *value) == sizeof *value ? 0 : -UNW_EINVAL;
    const unw_word_t *block = find_block(arg, at - at % BLOCK);
    if (!block)
        return -UNW_EINVAL;
    *value = block[at % BLOCK / sizeof *value];
    return 0;
}

#if defined(__x86_64__)
/* By libunwind's numbers, which are DWARF's. */
static const int register_numbers[] = {
    [UNW_X86_64_RAX] = REG_RAX, [UNW_X86_64_RDX] = REG_RDX, [UNW_X86_64_RCX] = REG_RCX, [UNW_X86_64_RBX] = REG_RBX,
    [UNW_X86_64_RSI] = REG_RSI, [UNW_X86_64_RDI] = REG_RDI, [UNW_X86_64_RBP] = REG_RBP, [UNW_X86_64_RSP] = REG_RSP,
    [UNW_X86_64_R8] = REG_R8,   [UNW_X86_64_R9] = REG_R9,   [UNW_X86_64_R10] = REG_R10, [UNW_X86_64_R11] = REG_R11,
    [UNW_X86_64_R12] = REG_R12, [UNW_X86_64_R13] = REG_R13, [UNW_X86_64_R14] = REG_R14, [UNW_X86_64_R15] = REG_R15,
    [UNW_X86_64_RIP] = REG_RIP};
#elif defined(__i386__)
static const int register_numbers[] = {[UNW_X86_EAX] = REG_EAX, [UNW_X86_EDX] = REG_EDX, [UNW_X86_ECX] = REG_ECX,
                                       [UNW_X86_EBX] = REG_EBX, [UNW_X86_ESI] = REG_ESI, [UNW_X86_EDI] = REG_EDI,
                                       [UNW_X86_EBP] = REG_EBP, [UNW_X86_ESP] = REG_ESP, [UNW_X86_EIP] = REG_EIP};
#endif

static int access_register(unw_addr_space_t space, unw_regnum_t number, unw_word_t *value, int is_write, void *arg) {
    const struct nd_unwinding *unwinding = arg;
    (void)space;
    if (is_write || number < 0)
        return -UNW_EREADONLYREG;
#if defined(__x86_64__) || defined(__i386__)
    if ((size_t)number >= sizeof register_numbers / sizeof register_numbers[0])
        return -UNW_EBADREG;
    *value = (unw_word_t)unwinding->context.uc_mcontext.gregs[register_numbers[number]];
#elif defined(__aarch64__)
    if (number > UNW_AARCH64_PC)
        return -UNW_EBADREG;
    *value = number == UNW_AARCH64_PC   ? unwinding->context.uc_mcontext.pc
             : number == UNW_AARCH64_SP ? unwinding->context.uc_mcontext.sp
                                        : unwinding->context.uc_mcontext.regs[number];
#else
    (void)unwinding;
    (void)value;
    return -UNW_EBADREG;
#endif
    return 0;
}

static int find_function(unw_addr_space_t space, unw_word_t address, unw_proc_info_t *info, int need_unwind_info,
                         void *arg) {
    /* .eh_frame_hdr as every linker writes it: version, three encodings, the address of .eh_frame, the number of
     * entries, the table. */
    static const uint8_t start[4] = {1, 0x1b, 0x03, 0x3b}; /* pcrel|sdata4, udata4, datarel|sdata4 */
    enum { COUNT_AT = 8, TABLE_AT = 12, ENTRY = 8 };
    struct nd_module module = {.base = 0};
    uint8_t header[TABLE_AT];
    uint32_t count;
    if (!nd_module_find((uintptr_t)address, &module) || !module.unwinding)
        return -UNW_ENOINFO;
    if (nd_memory_copy(header, module.unwinding, sizeof header) != sizeof header ||
        memcmp(header, start, sizeof start) != 0)
        return -UNW_ENOINFO;
    memcpy(&count, header + COUNT_AT, sizeof count);
    unw_dyn_info_t table = {.start_ip = module.start, .end_ip = module.end, .format = UNW_INFO_FORMAT_REMOTE_TABLE};
    table.u.rti.segbase = module.unwinding;
    table.u.rti.table_data = module.unwinding + TABLE_AT;
    table.u.rti.table_len = (unw_word_t)count * ENTRY / sizeof(unw_word_t);
    return nd_search_unwind_table(space, address, &table, info, need_unwind_info, arg);
}

static void put_unwind_info(unw_addr_space_t space, unw_proc_info_t *info, void *arg) {
    (void)space, (void)info, (void)arg;
}

static int no_dynamic_code(unw_addr_space_t space, unw_word_t *list, void *arg) {
    (void)space, (void)list, (void)arg;
    return -UNW_ENOINFO;
}

static int no_float_register(unw_addr_space_t space, unw_regnum_t number, unw_fpreg_t *value, int is_write, void *arg) {
    (void)space, (void)number, (void)value, (void)is_write, (void)arg;
    return -UNW_EBADREG;
}

static int no_resume(unw_addr_space_t space, unw_cursor_t *cursor, void *arg) {
    (void)space, (void)cursor, (void)arg;
    return -UNW_EINVAL;
}

static int no_name(unw_addr_space_t space, unw_word_t address, char *name, size_t size, unw_word_t *offset, void *arg) {
    (void)space, (void)address, (void)name, (void)size, (void)offset, (void)arg;
    return -UNW_ENOINFO;
}

unw_accessors_t nd_unwind_accessors = {
    .find_proc_info = find_function,
    .put_unwind_info = put_unwind_info,
    .get_dyn_info_list_addr = no_dynamic_code,
    .access_mem = access_memory,
    .access_reg = access_register,
    .access_fpreg = no_float_register,
    .resume = no_resume,
    .get_proc_name = no_name,
};
