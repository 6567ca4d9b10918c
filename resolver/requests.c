#include "resolver/requests.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/valgrind.h"
#include "resolver/lock.h"
#include "resolver/thread.h"

#pragma weak pthread_create
#pragma weak pthread_attr_init
#pragma weak pthread_attr_destroy
#pragma weak pthread_attr_setdetachstate

/* One call of getaddrinfo_a. */
struct batch {
    int left;
    bool has_event;
    struct sigevent event;
    pid_t caller;
};

struct request {
    struct gaicb *asked; /* the program's; not accessed after its result has been set */
    struct batch *batch;
    nd_request_lookup *look_up;
    bool running;
    struct request *next;
};

/* The state of one process: a forked child, which has none of these threads, begins with an empty one. */
static struct {
    int lock;
    int owner;
    struct request *first;
    int threads;
    int finished; /* incremented when a request is done; a futex */
} requests;

static void lock_state(void) {
    nd_lock(&requests.lock);
    int self = nd_lock_owner();
    if (requests.owner != self) {
        requests.owner = self;
        requests.first = NULL;
        requests.threads = 0;
    }
}

static void unlock_state(void) {
    nd_unlock(&requests.lock);
}

static void *run_callback(void *arg) {
    struct sigevent event = *(struct sigevent *)arg;
    sigset_t none;
    free(arg);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    event.sigev_notify_function(event.sigev_value);
    return NULL;
}

static void notify_in_thread(const struct sigevent *event) {
    struct sigevent *copy = malloc(sizeof *copy);
    pthread_attr_t attr, *given = event->sigev_notify_attributes;
    pthread_t thread;
    if (!copy || !pthread_create) {
        free(copy);
        return;
    }
    *copy = *event;
    pthread_attr_init(&attr);
    pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    if (pthread_create(&thread, given ? given : &attr, run_callback, copy) != 0)
        free(copy);
    pthread_attr_destroy(&attr);
}

static void notify(const struct sigevent *event, pid_t caller) {
    if (event->sigev_notify == SIGEV_SIGNAL) {
        siginfo_t info = {.si_signo = event->sigev_signo, .si_code = SI_ASYNCNL};
        info.si_pid = caller;
        info.si_uid = getuid();
        info.si_value = event->sigev_value;
        syscall(SYS_rt_sigqueueinfo, caller, event->sigev_signo, &info);
    } else if (event->sigev_notify == SIGEV_THREAD) {
        notify_in_thread(event);
    }
}

/* Removes `r` from the list and sets the result in the program's record, which the program may free from then on.
 * Returns the batch where `r` was the last of it. Called with the lock held. */
static struct batch *finish(struct request *r, int code) {
    struct batch *batch = r->batch;
    struct request **p = &requests.first;
    while (*p != r)
        p = &(*p)->next;
    *p = r->next;
    __atomic_store_n(&r->asked->__return, code, __ATOMIC_RELEASE);
    __atomic_add_fetch(&requests.finished, 1, __ATOMIC_RELEASE);
    free(r);
    return --batch->left == 0 ? batch : NULL;
}

static void finish_batch(struct batch *batch) {
    nd_futex_wake(&requests.finished);
    if (batch && batch->has_event)
        notify(&batch->event, batch->caller);
    free(batch);
}

static struct request *take_next(void) {
    struct request *r = requests.first;
    while (r && r->running)
        r = r->next;
    if (r)
        r->running = true;
    else
        requests.threads--;
    return r;
}

static void *work(void *unused) {
    nd_valgrind_hide();
    for (;;) {
        lock_state();
        struct request *r = take_next();
        unlock_state();
        if (!r)
            return unused;
        struct gaicb *asked = r->asked;
        int code = r->look_up(asked->ar_name, asked->ar_service, asked->ar_request, &asked->ar_result);
        lock_state();
        struct batch *done = finish(r, code);
        unlock_state();
        finish_batch(done);
    }
}

static struct request *new_request(struct gaicb *asked, struct batch *batch, nd_request_lookup *look_up) {
    struct request *r = malloc(sizeof *r);
    if (r) {
        *r = (struct request){.asked = asked, .batch = batch, .look_up = look_up};
        batch->left++;
    }
    asked->__return = r ? EAI_INPROGRESS : EAI_SYSTEM;
    return r;
}

/* Returns how many requests were queued. Called with the lock held. */
static int append(struct gaicb *list[], int count, struct batch *batch, nd_request_lookup *look_up) {
    struct request **end = &requests.first;
    int queued = 0;
    while (*end)
        end = &(*end)->next;
    for (int i = 0; i < count; i++)
        if (list[i] && (*end = new_request(list[i], batch, look_up)) != NULL) {
            end = &(*end)->next;
            queued++;
        }
    return queued;
}

/* Starts a thread for each request, up to the maximum. False: there is no thread, and none can be created. */
static bool start_threads(int count) {
    bool alive = true;
    while (count-- > 0 && alive) {
        lock_state();
        bool more = requests.threads < ND_REQUEST_THREADS;
        requests.threads += more;
        unlock_state();
        if (!more)
            return true;
        if (nd_thread_start(work, NULL, ND_STACK_SMALL)) {
            lock_state();
            alive = --requests.threads > 0;
            unlock_state();
        }
    }
    return alive;
}

/* Fails the requests that no thread will process. */
static void fail_queued(const struct batch *batch) {
    lock_state();
    for (struct request *r = requests.first, *next; r; r = next) {
        next = r->next;
        if (r->batch == batch && !r->running)
            finish(r, EAI_SYSTEM);
    }
    unlock_state();
}

int nd_requests_add(struct gaicb *list[], int count, nd_request_lookup *look_up, const struct sigevent *event) {
    struct batch *batch = calloc(1, sizeof *batch);
    int wanted = 0, result = 0;
    for (int i = 0; i < count; i++)
        wanted += list[i] != NULL;
    if (!batch)
        return EAI_AGAIN;
    batch->left = 1; /* this function's, until all are in the list */
    batch->caller = getpid();
    batch->has_event = event != NULL;
    if (event)
        batch->event = *event;
    lock_state();
    int queued = append(list, count, batch, look_up);
    unlock_state();
    if (!start_threads(queued)) {
        fail_queued(batch);
        errno = EAGAIN;
        result = EAI_AGAIN;
    }
    if (queued < wanted)
        result = EAI_AGAIN;
    lock_state();
    bool last = --batch->left == 0;
    unlock_state();
    if (last)
        finish_batch(batch);
    return result;
}

static bool is_in_progress(const struct gaicb *asked) {
    return asked && __atomic_load_n(&asked->__return, __ATOMIC_ACQUIRE) == EAI_INPROGRESS;
}

static struct request *find(const struct gaicb *asked) {
    struct request *r = requests.first;
    while (r && r->asked != asked)
        r = r->next;
    return r;
}

bool nd_requests_any(const struct gaicb *const list[], int count) {
    bool any = false;
    lock_state();
    for (int i = 0; i < count && !any; i++)
        any = is_in_progress(list[i]) && find(list[i]);
    unlock_state();
    return any;
}

int nd_requests_wait(const struct gaicb *const list[], int count, bool all, nd_time deadline) {
    for (int initially = -1;;) {
        int seen = __atomic_load_n(&requests.finished, __ATOMIC_ACQUIRE), left = 0;
        for (int i = 0; i < count; i++)
            left += is_in_progress(list[i]);
        initially = initially < 0 ? left : initially;
        if (left == 0 || (!all && left < initially))
            return 0;
        if (deadline != ND_NEVER && nd_now() >= deadline)
            return EAI_AGAIN;
        if (!nd_futex_wait(&requests.finished, seen, deadline) && !all)
            return EAI_INTR;
    }
}

int nd_requests_cancel(struct gaicb *asked) {
    struct batch *done = NULL;
    int result = EAI_ALLDONE;
    lock_state();
    struct request *r = find(asked);
    if (r) {
        result = r->running ? EAI_NOTCANCELED : EAI_CANCELED;
        if (!r->running)
            done = finish(r, EAI_CANCELED);
    }
    unlock_state();
    if (result == EAI_CANCELED)
        finish_batch(done);
    return result;
}
