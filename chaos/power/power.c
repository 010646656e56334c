/*
 * What a disk has after a power cut, as a library for LD_PRELOAD.
 *
 * A kill leaves to the system what the system has not written yet; a power cut does not. So this notes, for each file below POWER_ROOT, what
 * each call has changed and what was there before, until an fsync or an fdatasync. Once the process is dead `chaos/src/power.rs` reads the
 * notes, and puts back, leaves out or tears what was not synced. Nothing is really synced: nobody but the notes may know what is durable.
 *
 * The notes are the file POWER_LOG. Each is a head of seven numbers of 64 bits, then two texts or the bytes that were there:
 *
 *   kind, 1st..4th number, length of the 1st text or of the bytes, length of the 2nd text
 *
 *   'W' a write:    inode, offset, bytes written, size before                    and the bytes before, as far as there were any
 *   'T' a new size: inode, new size, size before                                 and the bytes that are cut off
 *   'S' a sync:     inode, length of the notes when it began
 *   'C' a name that is new:    path
 *   'R' a name that changes:   path before, path after;   1st number: whether the path after had a file, which is kept
 *   'U' a name that is gone:   path
 *   'D' a folder that was synced: path;                   1st number: length of the notes when it began
 *
 * A file that loses a name is kept in POWER_LOG.kept under the place of its note. All of this is under one lock, so that the notes are in the
 * sequence of what was done; the system calls are made directly, so that no call of this library comes back to it. Content is noted before
 * it changes, a name after: a process that is killed in between has changed nothing, or a name that is durable by chance.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#define EXPORTED __attribute__((visibility("default")))
#define FILES 65536

enum kind { UNKNOWN = 0, PLAIN, FOLDER };

struct watched {
    enum kind kind;
    uint64_t inode;
    int appends;
    char *path;
};

static struct watched watched[FILES];
static pthread_mutex_t turn = PTHREAD_MUTEX_INITIALIZER;
static char root[PATH_MAX];
static size_t root_length;
static char kept[PATH_MAX];
static int notes = -1;
static uint64_t noted;
static unsigned long sync_micros;

static void fail(const char *what) {
    dprintf(2, "power: %s: %s\n", what, strerror(errno));
    abort();
}

__attribute__((constructor)) static void begin(void) {
    const char *below = getenv("POWER_ROOT"), *log = getenv("POWER_LOG"), *micros = getenv("POWER_SYNC_MICROS");
    if (below == NULL || log == NULL) return;
    sync_micros = micros == NULL ? 0 : strtoul(micros, NULL, 10);
    snprintf(root, sizeof root, "%s/", below);
    root_length = strlen(root);
    snprintf(kept, sizeof kept, "%s.kept", log);
    syscall(SYS_mkdirat, AT_FDCWD, kept, 0700);
    notes = syscall(SYS_openat, AT_FDCWD, log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (notes < 0) fail("the notes cannot be opened");
    noted = syscall(SYS_lseek, notes, 0L, SEEK_END);
}

/* Of the folder itself or of something in it. */
static int is_below(const char *path) {
    if (notes < 0 || path == NULL || strncmp(path, root, root_length - 1) != 0) return 0;
    return path[root_length - 1] == '/' || path[root_length - 1] == 0;
}

static struct watched *of(int file) {
    return notes >= 0 && file >= 0 && file < FILES && watched[file].kind != UNKNOWN ? &watched[file] : NULL;
}

static struct watched *plain(int file) {
    struct watched *found = of(file);
    return found != NULL && found->kind == PLAIN ? found : NULL;
}

/* Only with the lock. */
static void note(int64_t kind, int64_t first, int64_t second, int64_t third, int64_t fourth, const void *one, size_t one_length,
                 const void *other, size_t other_length) {
    int64_t head[7] = {kind, first, second, third, fourth, (int64_t)one_length, (int64_t)other_length};
    struct iovec parts[3] = {{head, sizeof head}, {(void *)one, one_length}, {(void *)other, other_length}};
    size_t all = sizeof head + one_length + other_length;
    if (syscall(SYS_writev, (long)notes, parts, 3L) != (long)all) fail("a note was not written");
    noted += all;
}

static int64_t size_of(int file) {
    struct stat found;
    return fstat(file, &found) == 0 ? (int64_t)found.st_size : 0;
}

/* Writes and notes what was there. Only with the lock. */
static ssize_t write_at(int file, struct watched *to, const void *bytes, size_t length, int64_t offset) {
    int64_t size = size_of(file);
    size_t before = offset >= size ? 0 : (size_t)(size - offset) < length ? (size_t)(size - offset) : length;
    char *was = malloc(before + 1);
    if (was == NULL) fail("no memory");
    for (size_t at = 0; at < before;) {
        ssize_t got = syscall(SYS_pread64, (long)file, was + at, before - at, offset + (int64_t)at);
        if (got <= 0) fail("what is overwritten cannot be read");
        at += got;
    }
    note('W', (int64_t)to->inode, offset, (int64_t)length, size, was, before, NULL, 0);
    free(was);
    return syscall(SYS_pwrite64, (long)file, bytes, length, offset);
}

/* Only with the lock. */
static int resize(int file, struct watched *to, int64_t size) {
    int64_t before = size_of(file);
    size_t cut = size < before ? (size_t)(before - size) : 0;
    char *was = malloc(cut + 1);
    if (was == NULL) fail("no memory");
    for (size_t at = 0; at < cut;) {
        ssize_t got = syscall(SYS_pread64, (long)file, was + at, cut - at, size + (int64_t)at);
        if (got <= 0) fail("what is cut off cannot be read");
        at += got;
    }
    note('T', (int64_t)to->inode, size, before, 0, was, cut, NULL, 0);
    free(was);
    return syscall(SYS_ftruncate, (long)file, size);
}

static void forget(int file) {
    if (file < 0 || file >= FILES || watched[file].kind == UNKNOWN) return;
    free(watched[file].path);
    memset(&watched[file], 0, sizeof watched[file]);
}

/* Only with the lock. */
static void watch(int file, const char *path, int flags) {
    struct stat found;
    if (file < 0 || file >= FILES) return;
    forget(file);
    if (fstat(file, &found) != 0) return;
    if (S_ISREG(found.st_mode)) watched[file].kind = PLAIN;
    else if (S_ISDIR(found.st_mode)) watched[file].kind = FOLDER;
    else return;
    watched[file].inode = found.st_ino;
    watched[file].appends = (flags & O_APPEND) != 0;
    watched[file].path = strdup(path);
}

static int open_any(int folder, const char *path, int flags, mode_t mode) {
    if (!is_below(path)) return syscall(SYS_openat, (long)folder, path, (long)flags, (long)mode);
    pthread_mutex_lock(&turn);
    struct stat found;
    int was_there = lstat(path, &found) == 0;
    int wanted = flags & ~O_TRUNC;
    /* What is overwritten has to be read. */
    if ((flags & O_ACCMODE) == O_WRONLY) wanted = (wanted & ~O_ACCMODE) | O_RDWR;
    int file = syscall(SYS_openat, (long)folder, path, (long)wanted, (long)mode);
    int problem = errno;
    if (file >= 0) {
        if (!was_there && (flags & O_CREAT)) note('C', 0, 0, 0, 0, path, strlen(path), NULL, 0);
        watch(file, path, flags);
        struct watched *to = plain(file);
        if ((flags & O_TRUNC) && to != NULL && size_of(file) > 0) resize(file, to, 0);
    }
    pthread_mutex_unlock(&turn);
    errno = problem;
    return file;
}

#define WITH_MODE(flags, mode)                                  \
    mode_t mode = 0;                                            \
    if (flags & (O_CREAT | (O_TMPFILE & ~O_DIRECTORY))) {       \
        va_list rest;                                           \
        va_start(rest, flags);                                  \
        mode = va_arg(rest, mode_t);                            \
        va_end(rest);                                           \
    }

EXPORTED int open(const char *path, int flags, ...) {
    WITH_MODE(flags, mode)
    return open_any(AT_FDCWD, path, flags, mode);
}

EXPORTED int open64(const char *path, int flags, ...) {
    WITH_MODE(flags, mode)
    return open_any(AT_FDCWD, path, flags, mode);
}

EXPORTED int openat(int folder, const char *path, int flags, ...) {
    WITH_MODE(flags, mode)
    return open_any(folder, path, flags, mode);
}

EXPORTED int openat64(int folder, const char *path, int flags, ...) {
    WITH_MODE(flags, mode)
    return open_any(folder, path, flags, mode);
}

EXPORTED int close(int file) {
    if (of(file) != NULL) {
        pthread_mutex_lock(&turn);
        forget(file);
        pthread_mutex_unlock(&turn);
    }
    return syscall(SYS_close, (long)file);
}

static int copied(int from, int to) {
    if (to >= 0 && of(from) != NULL && from != to) {
        pthread_mutex_lock(&turn);
        char *path = watched[from].path;
        watch(to, path == NULL ? "" : path, watched[from].appends ? O_APPEND : 0);
        pthread_mutex_unlock(&turn);
    }
    return to;
}

static int control(int file, int what, long with) {
    int answer = syscall(SYS_fcntl, (long)file, (long)what, with);
    return what == F_DUPFD || what == F_DUPFD_CLOEXEC ? copied(file, answer) : answer;
}

EXPORTED int fcntl(int file, int what, ...) {
    va_list rest;
    va_start(rest, what);
    long with = va_arg(rest, long);
    va_end(rest);
    return control(file, what, with);
}

EXPORTED int fcntl64(int file, int what, ...) {
    va_list rest;
    va_start(rest, what);
    long with = va_arg(rest, long);
    va_end(rest);
    return control(file, what, with);
}

EXPORTED int dup2(int from, int to) {
    if (from == to) return syscall(SYS_fcntl, (long)from, (long)F_GETFD, 0L) < 0 ? -1 : to;
    int answer = syscall(SYS_dup3, (long)from, (long)to, 0L);
    if (answer >= 0 && of(to) != NULL) {
        pthread_mutex_lock(&turn);
        forget(to);
        pthread_mutex_unlock(&turn);
    }
    return copied(from, answer);
}

EXPORTED ssize_t write(int file, const void *bytes, size_t length) {
    struct watched *to = plain(file);
    if (to == NULL) return syscall(SYS_write, (long)file, bytes, length);
    pthread_mutex_lock(&turn);
    int64_t at = to->appends ? size_of(file) : syscall(SYS_lseek, (long)file, 0L, SEEK_CUR);
    ssize_t done = write_at(file, to, bytes, length, at);
    int problem = errno;
    if (done >= 0) syscall(SYS_lseek, (long)file, at + done, SEEK_SET);
    pthread_mutex_unlock(&turn);
    errno = problem;
    return done;
}

EXPORTED ssize_t writev(int file, const struct iovec *parts, int count) {
    if (plain(file) == NULL) return syscall(SYS_writev, (long)file, parts, (long)count);
    ssize_t all = 0;
    for (int part = 0; part < count; part++) {
        ssize_t done = write(file, parts[part].iov_base, parts[part].iov_len);
        if (done < 0) return all > 0 ? all : done;
        all += done;
        if ((size_t)done < parts[part].iov_len) break;
    }
    return all;
}

static ssize_t write_there(int file, const void *bytes, size_t length, int64_t at) {
    struct watched *to = plain(file);
    if (to == NULL) return syscall(SYS_pwrite64, (long)file, bytes, length, at);
    pthread_mutex_lock(&turn);
    ssize_t done = write_at(file, to, bytes, length, at);
    int problem = errno;
    pthread_mutex_unlock(&turn);
    errno = problem;
    return done;
}

EXPORTED ssize_t pwrite(int file, const void *bytes, size_t length, off_t at) { return write_there(file, bytes, length, at); }
EXPORTED ssize_t pwrite64(int file, const void *bytes, size_t length, off64_t at) { return write_there(file, bytes, length, at); }

static int resize_any(int file, int64_t size) {
    struct watched *to = plain(file);
    if (to == NULL) return syscall(SYS_ftruncate, (long)file, size);
    pthread_mutex_lock(&turn);
    int done = resize(file, to, size);
    int problem = errno;
    pthread_mutex_unlock(&turn);
    errno = problem;
    return done;
}

EXPORTED int ftruncate(int file, off_t size) { return resize_any(file, size); }
EXPORTED int ftruncate64(int file, off64_t size) { return resize_any(file, size); }

/* What is copied within the system would not be noted: who asks for it has another way. */
EXPORTED ssize_t copy_file_range(int from, off64_t *from_at, int to, off64_t *to_at, size_t length, unsigned flags) {
    if (plain(to) == NULL) return syscall(SYS_copy_file_range, (long)from, from_at, (long)to, to_at, length, (long)flags);
    errno = ENOSYS;
    return -1;
}

EXPORTED ssize_t sendfile(int to, int from, off_t *at, size_t length) {
    if (plain(to) == NULL) return syscall(SYS_sendfile, (long)to, (long)from, at, length);
    errno = ENOSYS;
    return -1;
}

EXPORTED ssize_t sendfile64(int to, int from, off64_t *at, size_t length) { return sendfile(to, from, at, length); }

/* A disk takes its time, and it is then that the power goes. */
static void take_time(void) {
    static __thread uint64_t random;
    struct timespec wait = {0, 0};
    if (sync_micros == 0) return;
    if (random == 0) random = (uint64_t)&random ^ ((uint64_t)getpid() << 32) ^ 0x9e3779b97f4a7c15u;
    random ^= random << 13, random ^= random >> 7, random ^= random << 17;
    wait.tv_nsec = (long)(random % sync_micros) * 1000;
    syscall(SYS_nanosleep, &wait, NULL);
}

static int sync_any(int file, long call) {
    struct watched *to = of(file);
    if (to == NULL) return syscall(call, (long)file);
    pthread_mutex_lock(&turn);
    enum kind kind = to->kind;
    uint64_t inode = to->inode, until = noted;
    char path[PATH_MAX];
    snprintf(path, sizeof path, "%s", to->path);
    pthread_mutex_unlock(&turn);
    take_time();
    pthread_mutex_lock(&turn);
    if (kind == PLAIN) note('S', (int64_t)inode, (int64_t)until, 0, 0, NULL, 0, NULL, 0);
    else note('D', (int64_t)until, 0, 0, 0, path, strlen(path), NULL, 0);
    pthread_mutex_unlock(&turn);
    return 0;
}

EXPORTED int fsync(int file) { return sync_any(file, SYS_fsync); }
EXPORTED int fdatasync(int file) { return sync_any(file, SYS_fdatasync); }

/* Gives a file another name, under the place of the next note, so that its bytes are there once its own name is gone. Whether there was one. */
static int keep(const char *path) {
    char other[PATH_MAX + 32];
    snprintf(other, sizeof other, "%s/%llu", kept, (unsigned long long)noted);
    return syscall(SYS_linkat, AT_FDCWD, path, AT_FDCWD, other, 0L) == 0;
}

/* Nothing has become of it. */
static void drop_kept(void) {
    char other[PATH_MAX + 32];
    snprintf(other, sizeof other, "%s/%llu", kept, (unsigned long long)noted);
    syscall(SYS_unlinkat, AT_FDCWD, other, 0L);
}

static int rename_any(int from_folder, const char *from, int to_folder, const char *to, unsigned flags) {
    if (!is_below(from) && !is_below(to)) return syscall(SYS_renameat2, (long)from_folder, from, (long)to_folder, to, (long)flags);
    pthread_mutex_lock(&turn);
    int replaced = keep(to);
    int done = syscall(SYS_renameat2, (long)from_folder, from, (long)to_folder, to, (long)flags);
    int problem = errno;
    if (done == 0) note('R', replaced, 0, 0, 0, from, strlen(from), to, strlen(to));
    else drop_kept();
    pthread_mutex_unlock(&turn);
    errno = problem;
    return done;
}

EXPORTED int rename(const char *from, const char *to) { return rename_any(AT_FDCWD, from, AT_FDCWD, to, 0); }
EXPORTED int renameat(int from_folder, const char *from, int to_folder, const char *to) {
    return rename_any(from_folder, from, to_folder, to, 0);
}
EXPORTED int renameat2(int from_folder, const char *from, int to_folder, const char *to, unsigned flags) {
    return rename_any(from_folder, from, to_folder, to, flags);
}

static int unlink_any(int folder, const char *path, int flags) {
    if (!is_below(path) || (flags & AT_REMOVEDIR)) return syscall(SYS_unlinkat, (long)folder, path, (long)flags);
    pthread_mutex_lock(&turn);
    keep(path);
    int done = syscall(SYS_unlinkat, (long)folder, path, (long)flags);
    int problem = errno;
    if (done == 0) note('U', 0, 0, 0, 0, path, strlen(path), NULL, 0);
    else drop_kept();
    pthread_mutex_unlock(&turn);
    errno = problem;
    return done;
}

EXPORTED int unlink(const char *path) { return unlink_any(AT_FDCWD, path, 0); }
EXPORTED int unlinkat(int folder, const char *path, int flags) { return unlink_any(folder, path, flags); }

static int link_any(int from_folder, const char *from, int to_folder, const char *to, int flags) {
    if (!is_below(to)) return syscall(SYS_linkat, (long)from_folder, from, (long)to_folder, to, (long)flags);
    pthread_mutex_lock(&turn);
    int done = syscall(SYS_linkat, (long)from_folder, from, (long)to_folder, to, (long)flags);
    int problem = errno;
    if (done == 0) note('C', 0, 0, 0, 0, to, strlen(to), NULL, 0);
    pthread_mutex_unlock(&turn);
    errno = problem;
    return done;
}

EXPORTED int link(const char *from, const char *to) { return link_any(AT_FDCWD, from, AT_FDCWD, to, 0); }
EXPORTED int linkat(int from_folder, const char *from, int to_folder, const char *to, int flags) {
    return link_any(from_folder, from, to_folder, to, flags);
}
