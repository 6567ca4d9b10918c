/* A seccomp filter that lets system calls and socket options fail, for programs of the tests. */
#pragma once

#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

static struct sock_filter filter_code[256];
static unsigned short filter_length;

static void add(struct sock_filter instruction) {
    filter_code[filter_length++] = instruction;
}

static void load(size_t offset) {
    add((struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (unsigned)offset));
}

/* The next instruction only if the word is `value`, else `skip` more are left out. */
static void unless_equal_skip(unsigned value, unsigned char skip) {
    add((struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, value, 0, skip));
}

static void fail_with(int error) {
    add((struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (unsigned)error));
}

static void deny_call(int call, int error) {
    load(offsetof(struct seccomp_data, nr));
    unless_equal_skip((unsigned)call, 1);
    fail_with(error);
}

/* A call on one descriptor only, which is its argument `at`. */
static inline void deny_call_with(int call, int at, int value, int error) {
    load(offsetof(struct seccomp_data, nr));
    unless_equal_skip((unsigned)call, 3);
    load(offsetof(struct seccomp_data, args) + (size_t)at * sizeof(uint64_t));
    unless_equal_skip((unsigned)value, 1);
    fail_with(error);
}

static struct sock_fprog finish_filter(void) {
    add((struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW));
    return (struct sock_fprog){filter_length, filter_code};
}
