// SPDX-License-Identifier: Apache-2.0
//
// Facts about the process and the machine for the monitoring commands. Not a hot path.
#include <dirent.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "os/os.h"

static int64_t count_fds(void)
{
    DIR *d = opendir("/proc/self/fd");
    if (!d) {
        return -1;
    }
    int64_t n = -1; // the folder itself is open now
    for (const struct dirent *e = readdir(d); e; e = readdir(d)) {
        n += e->d_name[0] != '.';
    }
    closedir(d);
    return n;
}

static void copy(char *to, size_t n, const char *from)
{
    size_t len = from ? strlen(from) : 0;
    len = len < n ? len : n - 1;
    memcpy(to, from ? from : "", len);
    to[len] = '\0';
}

static void get_user(struct env_sysinfo *info)
{
    char store[4096];
    struct passwd pw, *found = NULL;
    if (getpwuid_r(getuid(), &pw, store, sizeof(store), &found) == 0 && found) {
        copy(info->user_name, sizeof(info->user_name), pw.pw_name);
        copy(info->user_home, sizeof(info->user_home), pw.pw_dir);
    } else {
        snprintf(info->user_name, sizeof(info->user_name), "%u", (unsigned)getuid());
        copy(info->user_home, sizeof(info->user_home), getenv("HOME"));
    }
    if (!getcwd(info->user_dir, sizeof(info->user_dir))) {
        info->user_dir[0] = '\0';
    }
}

void sysinfo_get(struct env *env, struct env_sysinfo *info)
{
    (void)env;
    *info = (struct env_sysinfo){.pid = getpid(), .open_fds = count_fds()};
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        info->max_fds = limit.rlim_cur == RLIM_INFINITY ? INT64_MAX : (int64_t)limit.rlim_cur;
    }
    info->mem_total = (int64_t)uv_get_total_memory();
    info->mem_free = (int64_t)uv_get_free_memory();
    size_t rss = 0;
    if (uv_resident_set_memory(&rss) == 0) {
        info->mem_rss = (int64_t)rss;
    }
    struct utsname u;
    if (uname(&u) == 0) {
        copy(info->os_name, sizeof(info->os_name), u.sysname);
        copy(info->os_version, sizeof(info->os_version), u.release);
        // As Java calls it, for the tools that look.
        copy(info->os_arch, sizeof(info->os_arch),
             strcmp(u.machine, "x86_64") == 0 ? "amd64" : u.machine);
    }
    if (gethostname(info->host_name, sizeof(info->host_name) - 1)) {
        copy(info->host_name, sizeof(info->host_name), "localhost");
    }
    get_user(info);
}
