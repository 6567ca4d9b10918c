#include "resolver/lock.h"

#include <sched.h>
#include <unistd.h>

#include "base/compiler.h"

const uint32_t *nd_lock_process ND_WRITTEN_AT_START;

int nd_lock_owner(void) {
    uint32_t known = nd_lock_process ? __atomic_load_n(nd_lock_process, __ATOMIC_RELAXED) : 0;
    return known ? (int)known : (int)getpid();
}

bool nd_lock_try(int *lock) {
    int self = nd_lock_owner();
    for (int turn = 0; turn < 200; turn++) {
        int holder = 0;
        if (__atomic_compare_exchange_n(lock, &holder, self, false, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED))
            return true;
        if (holder != self &&
            __atomic_compare_exchange_n(lock, &holder, self, false, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED))
            return true;
        if (turn > 100)
            sched_yield();
    }
    return false;
}

void nd_lock(int *lock) {
    while (!nd_lock_try(lock))
        sched_yield();
}

void nd_unlock(int *lock) {
    __atomic_store_n(lock, 0, __ATOMIC_RELEASE);
}
