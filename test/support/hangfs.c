/*
 * hangfs: shows a local directory as a shared one that can fail like a file server.
 *
 *     hangfs BACKING_DIR MOUNT_POINT
 *
 * Every call is passed to the backing directory, unless a rule says otherwise. Rules come as lines on stdin, each is
 * answered with one line on stdout once it is in force, and nothing is cached by the kernel, so several mounts of one
 * backing directory behave like several hosts on one server:
 *
 *     rule hang  WHO OPS     the call waits until no rule makes it wait, then happens
 *     rule eio   WHO OPS     the call fails with EIO
 *     rule enospc WHO OPS    the call fails with ENOSPC
 *     rule erofs WHO OPS     the call fails with EROFS
 *     quota BYTES FILES      EDQUOT for what would have the backing file system hold more than that, whoever put it there;
 *                            statfs goes on showing the whole of it, as a server with a quota does
 *     gateway                from now on it looks like HDFS through its NFS gateway: directories of n names have n + 2 links
 *                            and 32 bytes for each, hard links fail with EIO, and so does a create of a name that is there;
 *                            of a file that has grown since it was read here first the rest is EIO
 *     clear                  no rules and no quota; every waiting call goes on
 *     waiting                answers how many calls wait
 *     count WHO              answers how many calls WHO has made since the start: "ok getattr=3 open=2 ..."
 *
 * WHO is `all` or a comma list of process ids (as this process sees them, a thread counts as its process); OPS is `all`
 * or a comma list of the names in OPS below. A waiting call of a process that gets SIGKILL ends at once with EINTR, as on
 * a hard NFS mount. The end of stdin unmounts and ends, so no mount outlives the test that made it.
 *
 * While a call waits, the kernel holds the locks of what it works on (of the directory for create, mkdir, unlink), and
 * other processes queue behind it, whomever the rule names. To let one host hang and not the others, give each host its
 * own mount of the same backing directory, as with NFS.
 */
#define _GNU_SOURCE
#define FUSE_USE_VERSION 312
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <fuse.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <unistd.h>

#define OPS(X) \
  X(getattr) X(open) X(create) X(read) X(write) X(utimens) X(unlink) X(mkdir) X(rmdir) X(readdir) X(rename) X(link) \
  X(symlink) X(readlink) X(truncate) X(fsync) X(flush) X(chmod) X(chown) X(statfs) X(access)

#define AS_ENUM(name) OP_##name,
#define AS_TEXT(name) #name,
enum op { OPS(AS_ENUM) OP_COUNT };
static const char *const op_names[] = { OPS(AS_TEXT) };

enum { MAX_RULES = 16, MAX_PIDS = 64, MAX_COUNTED = 256 };
enum effect { HANG, FAIL_EIO, FAIL_ENOSPC, FAIL_EROFS };
static const int errno_of[] = { [FAIL_EIO] = EIO, [FAIL_ENOSPC] = ENOSPC, [FAIL_EROFS] = EROFS };

struct rule {
  enum effect effect;
  bool everybody;
  int pid_count;
  pid_t pids[MAX_PIDS];
  bool ops[OP_COUNT];
};

struct counter {
  pid_t pid;
  long calls[OP_COUNT];
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct rule rules[MAX_RULES];
static int rule_count;
static struct counter counters[MAX_COUNTED];
static int counter_count;
/* -1 for none. */
static long long quota_bytes = -1, quota_files = -1;
static atomic_int waiting;
static atomic_bool as_gateway;
static int backing_fd;
static const char *mount_point;

/* The kernel names the calling thread; rules name processes. 0 for a thread that is gone or not ours to see. */
static pid_t process_of(pid_t thread)
{
  char path[64], line[256];
  long pid = 0;
  snprintf(path, sizeof path, "/proc/%d/status", (int)thread);
  FILE *file = fopen(path, "re");
  if (file == NULL) return 0;
  while (fgets(line, sizeof line, file) != NULL)
    if (sscanf(line, "Tgid: %ld", &pid) == 1) break;
  fclose(file);
  return (pid_t)pid;
}

static void count_call(pid_t pid, enum op op)
{
  int i = 0;
  while (i < counter_count && counters[i].pid != pid) i++;
  if (i == MAX_COUNTED) return;
  if (i == counter_count) counters[counter_count++] = (struct counter){ .pid = pid };
  counters[i].calls[op]++;
}

static bool concerns(const struct rule *rule, pid_t pid, enum op op)
{
  if (!rule->ops[op]) return false;
  if (rule->everybody) return true;
  for (int i = 0; i < rule->pid_count; i++)
    if (rule->pids[i] == pid) return true;
  return false;
}

/* What becomes of this call now: 0, an error to answer with, or 1 for "wait". */
static int judge(pid_t pid, enum op op)
{
  int verdict = 0;
  for (int i = 0; i < rule_count && verdict == 0; i++) {
    if (!concerns(&rules[i], pid, op)) continue;
    verdict = rules[i].effect == HANG ? 1 : -errno_of[rules[i].effect];
  }
  return verdict;
}

/* First line of every call: waits, fails or lets it pass. */
static int enter(enum op op)
{
  pid_t pid = process_of(fuse_get_context()->pid);
  pthread_mutex_lock(&lock);
  count_call(pid, op);
  int verdict = judge(pid, op);
  pthread_mutex_unlock(&lock);
  if (verdict != 1) return verdict;
  waiting++;
  while (verdict == 1) {
    usleep(2000);
    if (fuse_interrupted()) {
      verdict = -EINTR;
      break;
    }
    pthread_mutex_lock(&lock);
    verdict = judge(pid, op);
    pthread_mutex_unlock(&lock);
  }
  waiting--;
  return verdict;
}

/* Would this be over the quota? To be asked under the lock, together with what it is asked for. */
static bool over_quota(off_t bytes, int files)
{
  enum { PAGE = 4096 };
  struct statvfs now;
  if (quota_bytes < 0 || fstatvfs(backing_fd, &now) == -1) return false;
  long long used_bytes = (long long)(now.f_blocks - now.f_bfree) * (long long)now.f_frsize;
  long long used_files = (long long)(now.f_files - now.f_ffree);
  long long more_bytes = (bytes + PAGE - 1) / PAGE * PAGE;
  return used_bytes + more_bytes > quota_bytes || used_files + files > quota_files;
}

static const char *relative(const char *path) { return path[1] == '\0' ? "." : path + 1; }

/* For calls that make a name. */
static bool no_name_left(const char *path)
{
  pthread_mutex_lock(&lock);
  bool over = over_quota(0, 1);
  pthread_mutex_unlock(&lock);
  return over && faccessat(backing_fd, relative(path), F_OK, AT_SYMLINK_NOFOLLOW) == -1;
}

#define ENTER(op) \
  do { \
    int verdict = enter(OP_##op); \
    if (verdict != 0) return verdict; \
  } while (0)
#define ANSWER(call) return (call) == -1 ? -errno : 0

static int hang_getattr(const char *path, struct stat *out, struct fuse_file_info *info)
{
  ENTER(getattr);
  if (info != NULL) ANSWER(fstat((int)info->fh, out));
  if (fstatat(backing_fd, relative(path), out, AT_SYMLINK_NOFOLLOW) == -1) return -errno;
  if (!as_gateway || !S_ISDIR(out->st_mode)) return 0;
  int fd = openat(backing_fd, relative(path), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  DIR *dir = fd == -1 ? NULL : fdopendir(fd);
  if (dir == NULL) return -errno;
  /* With . and .. */
  out->st_nlink = 0;
  while (readdir(dir) != NULL) out->st_nlink++;
  closedir(dir);
  out->st_size = 32 * (off_t)out->st_nlink;
  return 0;
}

/* O_DIRECT would ask the backing file system for aligned buffers, which is no concern of a caller here. */
static int open_backing(const char *path, int flags, mode_t mode, struct fuse_file_info *info)
{
  int fd = openat(backing_fd, relative(path), (flags & ~O_DIRECT) | O_CLOEXEC, mode);
  if (fd == -1) return -errno;
  info->fh = (uint64_t)fd;
  /* The kernel asks for what a process reads, not for whole pages. */
  info->direct_io = as_gateway;
  return 0;
}

static int hang_open(const char *path, struct fuse_file_info *info)
{
  ENTER(open);
  return open_backing(path, info->flags & ~(O_CREAT | O_EXCL), 0, info);
}

static int hang_create(const char *path, mode_t mode, struct fuse_file_info *info)
{
  ENTER(create);
  if (no_name_left(path)) return -EDQUOT;
  int made = open_backing(path, info->flags | O_CREAT, mode, info);
  return made == -EEXIST && as_gateway ? -EIO : made;
}

/* How long each file was when it was read here first. Told apart by name and inode: tests use no name of one twice. */
enum { MAX_READ_FILES = 4096 };
static struct { char *path; ino_t inode; off_t size; } read_files[MAX_READ_FILES];
static int read_file_count;

/* So much of it is given; whoever asks for nothing that is there is not noted. */
static off_t given_of(const char *path, int fd, off_t offset)
{
  struct stat now;
  if (fstat(fd, &now) == -1 || offset >= now.st_size) return offset;
  pthread_mutex_lock(&lock);
  int at = 0;
  while (at < read_file_count && (read_files[at].inode != now.st_ino || strcmp(read_files[at].path, path) != 0)) at++;
  if (at == read_file_count && at < MAX_READ_FILES) {
    read_files[at].path = strdup(path);
    read_files[at].inode = now.st_ino;
    read_files[at].size = now.st_size;
    read_file_count++;
  }
  off_t given = at < MAX_READ_FILES ? read_files[at].size : now.st_size;
  pthread_mutex_unlock(&lock);
  return given > offset ? given : -1;
}

static int hang_read(const char *path, char *buffer, size_t size, off_t offset, struct fuse_file_info *info)
{
  ENTER(read);
  if (as_gateway) {
    off_t given = given_of(path, (int)info->fh, offset);
    if (given == -1) return -EIO;
    if (given > offset && size > (size_t)(given - offset)) size = (size_t)(given - offset);
  }
  ssize_t got = pread((int)info->fh, buffer, size, offset);
  return got == -1 ? -errno : (int)got;
}

static int hang_write(const char *path, const char *buffer, size_t size, off_t offset, struct fuse_file_info *info)
{
  (void)path;
  ENTER(write);
  struct stat before;
  pthread_mutex_lock(&lock);
  off_t end = offset + (off_t)size;
  bool grows = fstat((int)info->fh, &before) == 0 && end > before.st_size;
  bool over = grows && over_quota(end - before.st_size, 0);
  ssize_t put = over ? -1 : pwrite((int)info->fh, buffer, size, offset);
  int error = over ? EDQUOT : errno;
  pthread_mutex_unlock(&lock);
  return put == -1 ? -error : (int)put;
}

static int hang_flush(const char *path, struct fuse_file_info *info)
{
  (void)path, (void)info;
  ENTER(flush);
  return 0;
}

/* The kernel waits for no answer to this one, so no rule applies. */
static int hang_release(const char *path, struct fuse_file_info *info)
{
  (void)path;
  close((int)info->fh);
  return 0;
}

static int hang_utimens(const char *path, const struct timespec times[2], struct fuse_file_info *info)
{
  ENTER(utimens);
  if (info != NULL) ANSWER(futimens((int)info->fh, times));
  ANSWER(utimensat(backing_fd, relative(path), times, AT_SYMLINK_NOFOLLOW));
}

static int hang_unlink(const char *path)
{
  ENTER(unlink);
  ANSWER(unlinkat(backing_fd, relative(path), 0));
}

static int hang_mkdir(const char *path, mode_t mode)
{
  ENTER(mkdir);
  if (no_name_left(path)) return -EDQUOT;
  ANSWER(mkdirat(backing_fd, relative(path), mode));
}

static int hang_rmdir(const char *path)
{
  ENTER(rmdir);
  ANSWER(unlinkat(backing_fd, relative(path), AT_REMOVEDIR));
}

static int hang_readdir(const char *path, void *buffer, fuse_fill_dir_t fill, off_t offset,
                        struct fuse_file_info *info, enum fuse_readdir_flags flags)
{
  (void)offset, (void)info, (void)flags;
  ENTER(readdir);
  int fd = openat(backing_fd, relative(path), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd == -1) return -errno;
  DIR *dir = fdopendir(fd);
  if (dir == NULL) {
    int error = errno;
    close(fd);
    return -error;
  }
  for (struct dirent *entry; (entry = readdir(dir)) != NULL;) {
    struct stat known = { .st_ino = entry->d_ino, .st_mode = (mode_t)entry->d_type << 12 };
    if (fill(buffer, entry->d_name, &known, 0, 0) != 0) break;
  }
  closedir(dir);
  return 0;
}

static int hang_rename(const char *from, const char *to, unsigned int flags)
{
  ENTER(rename);
  ANSWER(renameat2(backing_fd, relative(from), backing_fd, relative(to), flags));
}

static int hang_link(const char *from, const char *to)
{
  ENTER(link);
  if (as_gateway) return -EIO;
  ANSWER(linkat(backing_fd, relative(from), backing_fd, relative(to), 0));
}

static int hang_symlink(const char *target, const char *path)
{
  ENTER(symlink);
  if (no_name_left(path)) return -EDQUOT;
  ANSWER(symlinkat(target, backing_fd, relative(path)));
}

static int hang_readlink(const char *path, char *buffer, size_t size)
{
  ENTER(readlink);
  ssize_t length = readlinkat(backing_fd, relative(path), buffer, size - 1);
  if (length == -1) return -errno;
  buffer[length] = '\0';
  return 0;
}

static int hang_truncate(const char *path, off_t size, struct fuse_file_info *info)
{
  ENTER(truncate);
  if (info != NULL) ANSWER(ftruncate((int)info->fh, size));
  int fd = openat(backing_fd, relative(path), O_WRONLY | O_CLOEXEC);
  if (fd == -1) return -errno;
  int answer = ftruncate(fd, size) == -1 ? -errno : 0;
  close(fd);
  return answer;
}

static int hang_fsync(const char *path, int data_only, struct fuse_file_info *info)
{
  (void)path;
  ENTER(fsync);
  ANSWER(data_only ? fdatasync((int)info->fh) : fsync((int)info->fh));
}

static int hang_fsyncdir(const char *path, int data_only, struct fuse_file_info *info)
{
  (void)data_only, (void)info;
  ENTER(fsync);
  int fd = openat(backing_fd, relative(path), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd == -1) return -errno;
  int answer = fsync(fd) == -1 ? -errno : 0;
  close(fd);
  return answer;
}

static int hang_chmod(const char *path, mode_t mode, struct fuse_file_info *info)
{
  (void)info;
  ENTER(chmod);
  ANSWER(fchmodat(backing_fd, relative(path), mode, 0));
}

static int hang_chown(const char *path, uid_t uid, gid_t gid, struct fuse_file_info *info)
{
  (void)info;
  ENTER(chown);
  ANSWER(fchownat(backing_fd, relative(path), uid, gid, AT_SYMLINK_NOFOLLOW));
}

static int hang_statfs(const char *path, struct statvfs *out)
{
  (void)path;
  ENTER(statfs);
  ANSWER(fstatvfs(backing_fd, out));
}

static int hang_access(const char *path, int mode)
{
  ENTER(access);
  ANSWER(faccessat(backing_fd, relative(path), mode, 0));
}

/* rule EFFECT WHO OPS */
static const char *add_rule(const char *effect, const char *who, char *ops)
{
  struct rule rule = { .everybody = strcmp(who, "all") == 0 };
  if (strcmp(effect, "hang") == 0) rule.effect = HANG;
  else if (strcmp(effect, "eio") == 0) rule.effect = FAIL_EIO;
  else if (strcmp(effect, "enospc") == 0) rule.effect = FAIL_ENOSPC;
  else if (strcmp(effect, "erofs") == 0) rule.effect = FAIL_EROFS;
  else return "no such effect";
  for (const char *at = who; !rule.everybody && *at != '\0';) {
    char *end;
    long pid = strtol(at, &end, 10);
    if (pid <= 0 || end == at || (*end != ',' && *end != '\0')) return "not a list of process ids";
    if (rule.pid_count == MAX_PIDS) return "too many process ids";
    rule.pids[rule.pid_count++] = (pid_t)pid;
    at = *end == ',' ? end + 1 : end;
  }
  bool all_ops = strcmp(ops, "all") == 0;
  for (int i = 0; i < OP_COUNT; i++) rule.ops[i] = all_ops;
  char *rest = NULL;
  for (char *name = all_ops ? NULL : strtok_r(ops, ",", &rest); name != NULL; name = strtok_r(NULL, ",", &rest)) {
    int i = 0;
    while (i < OP_COUNT && strcmp(op_names[i], name) != 0) i++;
    if (i == OP_COUNT) return "no such call";
    rule.ops[i] = true;
  }
  const char *problem = NULL;
  pthread_mutex_lock(&lock);
  if (rule_count == MAX_RULES) problem = "too many rules";
  else rules[rule_count++] = rule;
  pthread_mutex_unlock(&lock);
  return problem;
}

static void print_counts(const char *who)
{
  long sum[OP_COUNT] = { 0 };
  pthread_mutex_lock(&lock);
  for (int i = 0; i < counter_count; i++)
    for (int op = 0; op < OP_COUNT; op++)
      if (strcmp(who, "all") == 0 || counters[i].pid == (pid_t)atol(who)) sum[op] += counters[i].calls[op];
  pthread_mutex_unlock(&lock);
  printf("ok");
  for (int op = 0; op < OP_COUNT; op++)
    if (sum[op] > 0) printf(" %s=%ld", op_names[op], sum[op]);
  printf("\n");
}

static void obey(char *line)
{
  char *rest = NULL;
  const char *verb = strtok_r(line, " \n", &rest);
  const char *problem = NULL;
  if (verb == NULL) problem = "empty line";
  else if (strcmp(verb, "rule") == 0) {
    const char *effect = strtok_r(NULL, " \n", &rest);
    const char *who = strtok_r(NULL, " \n", &rest);
    char *ops = strtok_r(NULL, " \n", &rest);
    problem = ops == NULL ? "usage: rule EFFECT WHO OPS" : add_rule(effect, who, ops);
  } else if (strcmp(verb, "clear") == 0) {
    pthread_mutex_lock(&lock);
    rule_count = 0;
    quota_bytes = quota_files = -1;
    pthread_mutex_unlock(&lock);
  } else if (strcmp(verb, "quota") == 0) {
    const char *bytes = strtok_r(NULL, " \n", &rest);
    const char *files = strtok_r(NULL, " \n", &rest);
    if (files == NULL) problem = "usage: quota BYTES FILES";
    else {
      pthread_mutex_lock(&lock);
      quota_bytes = atoll(bytes);
      quota_files = atoll(files);
      pthread_mutex_unlock(&lock);
    }
  } else if (strcmp(verb, "gateway") == 0) {
    as_gateway = true;
  } else if (strcmp(verb, "waiting") == 0) {
    printf("ok %d\n", waiting);
    return;
  } else if (strcmp(verb, "count") == 0) {
    const char *who = strtok_r(NULL, " \n", &rest);
    print_counts(who == NULL ? "all" : who);
    return;
  } else problem = "no such verb";
  if (problem == NULL) printf("ok\n");
  else printf("error %s\n", problem);
}

/* Lets every call go on, detaches the mount, and ends even when somebody still holds a file open in it. */
static void leave(void)
{
  pthread_mutex_lock(&lock);
  rule_count = 0;
  pthread_mutex_unlock(&lock);
  pid_t child = fork();
  if (child == 0) {
    execlp("fusermount3", "fusermount3", "-u", "-z", "-q", "--", mount_point, (char *)NULL);
    _exit(127);
  }
  if (child > 0) waitpid(child, NULL, 0);
  sleep(1);
  _exit(0);
}

static void *take_orders(void *nothing)
{
  char line[4096];
  (void)nothing;
  while (fgets(line, sizeof line, stdin) != NULL) obey(line);
  leave();
  return NULL;
}

/* Runs once the mount stands. */
static void *hang_init(struct fuse_conn_info *connection, struct fuse_config *config)
{
  pthread_t thread;
  (void)connection;
  config->attr_timeout = 0;
  config->entry_timeout = 0;
  config->negative_timeout = 0;
  config->use_ino = 1;
  config->hard_remove = 1;
  pthread_create(&thread, NULL, take_orders, NULL);
  printf("mounted\n");
  return NULL;
}

#define AS_MEMBER(name) .name = hang_##name,
static const struct fuse_operations operations = { OPS(AS_MEMBER).init = hang_init, .release = hang_release,
                                                   .fsyncdir = hang_fsyncdir };

int main(int argc, char **argv)
{
  if (argc != 3 && argc != 4) {
    fprintf(stderr, "usage: hangfs BACKING_DIR MOUNT_POINT [OPTIONS]\n");
    return 2;
  }
  backing_fd = open(argv[1], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (backing_fd == -1) {
    fprintf(stderr, "hangfs: %s: %s\n", argv[1], strerror(errno));
    return 1;
  }
  mount_point = argv[2];
  setvbuf(stdout, NULL, _IOLBF, 0);
  umask(0);
  /* A waiting call keeps its thread, so there must be far more threads than calls that a test lets wait. */
  char *arguments[] = { argv[0], "-f", "-o", "fsname=hangfs,subtype=tajo-hangfs,max_threads=500,default_permissions",
                        argv[2], "-o", argc > 3 ? argv[3] : "max_threads=500" };
  return fuse_main(7, arguments, &operations, NULL);
}
