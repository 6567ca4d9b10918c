#include "resolver/lock.h"

#include <sched.h>
#include <unistd.h>

bool nd_lock_try(int *lock) {
    int self = (int)getpid();
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
