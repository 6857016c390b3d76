/* Licensed under the Apache License, Version 2.0; see LICENSE. */
#include "tsgi_identity.h"

#include "apr_strings.h"
#include "unixd.h"

#include <errno.h>
#include <grp.h>
#include <limits.h>
#include <pwd.h>
#include <stdlib.h>
#include <unistd.h>

/* ---- after fork ------------------------------------------------------------------ */

static int groups_contain(const gid_t *groups, int n, gid_t gid)
{
    for (int i = 0; i < n; i++) {
        if (groups[i] == gid) {
            return 1;
        }
    }
    return 0;
}

/* The kernel sorts what setgroups() gave it, so this compares sets, both free of duplicates. */
static int groups_are(const gid_t *expected, int n)
{
    gid_t now[TSGI_IDENTITY_MAX_GROUPS];
    int count = getgroups(TSGI_IDENTITY_MAX_GROUPS, now);
    if (count != n) {
        return 0;
    }
    for (int i = 0; i < n; i++) {
        if (!groups_contain(now, count, expected[i])) {
            return 0;
        }
    }
    return 1;
}

static int ids_are(uid_t uid, gid_t gid)
{
    uid_t ruid, euid, suid;
    gid_t rgid, egid, sgid;
    return getresuid(&ruid, &euid, &suid) == 0 && getresgid(&rgid, &egid, &sgid) == 0 &&
           ruid == uid && euid == uid && suid == uid && rgid == gid && egid == gid &&
           sgid == gid;
}

/* child side: no malloc, no log */
int tsgi_identity_assume(const tsgi_identity_t *identity)
{
    int root = geteuid() == 0;
    /* One who is not root may well have gid 0 (as in OpenShift's containers): it cannot be left. */
    if (identity->uid == 0 || (root && identity->gid == 0)) {
        errno = EPERM;
        return TSGI_IDENTITY_IS_ROOT;
    }
    if (root && setgroups((size_t)identity->ngroups, identity->groups) != 0) {
        return TSGI_IDENTITY_SETGROUPS;
    }
    if (setresgid(identity->gid, identity->gid, identity->gid) != 0) {
        return TSGI_IDENTITY_SETRESGID;
    }
    if (setresuid(identity->uid, identity->uid, identity->uid) != 0) {
        return TSGI_IDENTITY_SETRESUID;
    }
    errno = EPERM;
    if (!ids_are(identity->uid, identity->gid)) {
        return TSGI_IDENTITY_WRONG_IDS;
    }
    if (root && !groups_are(identity->groups, identity->ngroups)) {
        return TSGI_IDENTITY_WRONG_GROUPS;
    }
    if (setuid(0) == 0 || seteuid(0) == 0 || setresuid(0, 0, 0) == 0 ||
        (identity->gid != 0 && (setgid(0) == 0 || setresgid(0, 0, 0) == 0))) {
        return TSGI_IDENTITY_REGAINED;
    }
    return TSGI_IDENTITY_OK;
}

const char *tsgi_identity_step(int step)
{
    static const char *const names[TSGI_IDENTITY_STEPS] = {
        [TSGI_IDENTITY_OK] = "nothing failed",
        [TSGI_IDENTITY_IS_ROOT] = "uid 0 or gid 0 was asked for",
        [TSGI_IDENTITY_SETGROUPS] = "setgroups() failed",
        [TSGI_IDENTITY_SETRESGID] = "setresgid() failed",
        [TSGI_IDENTITY_SETRESUID] = "setresuid() failed",
        [TSGI_IDENTITY_WRONG_IDS] = "uid or gid are not what was set",
        [TSGI_IDENTITY_WRONG_GROUPS] = "the supplementary groups are not what was set",
        [TSGI_IDENTITY_REGAINED] = "root's privileges could be had back",
    };
    return step >= 0 && step < TSGI_IDENTITY_STEPS ? names[step]
                                                   : "an unknown step failed";
}

/* ---- at configuration time ------------------------------------------------------- */

/* "#123" → 123. (uid_t)-1 means "leave as it is" to the kernel and is never an id. */
static int parse_id(const char *text, unsigned int *id)
{
    char *end;
    if (text[0] != '#' || text[1] < '0' || text[1] > '9') {
        return 0;
    }
    errno = 0;
    unsigned long long value = strtoull(text + 1, &end, 10);
    if (errno != 0 || *end != '\0' || value >= UINT_MAX) {
        return 0;
    }
    *id = (unsigned int)value;
    return 1;
}

/* getpw*() and getgr*() set errno to these, or to 0, when there simply is no such entry. */
static const char *nss_reason(apr_pool_t *p, int error)
{
    char text[128];
    switch (error) {
    case 0:
    case ENOENT:
    case ESRCH:
    case EBADF:
    case EPERM:
        return "there is none of that name on this system";
    default:
        return apr_psprintf(p, "the system could not tell: %s",
                            apr_strerror(error, text, sizeof(text)));
    }
}

static const char *resolve_group(apr_pool_t *p, const char *option, const char *name,
                                 gid_t *gid)
{
    unsigned int id;
    if (name[0] == '#') {
        if (!parse_id(name, &id)) {
            return apr_psprintf(p, "%s=%s: expected a group's name or # and its number",
                                option, name);
        }
        *gid = id;
        return NULL;
    }
    errno = 0;
    const struct group *entry = getgrnam(name);
    if (entry == NULL) {
        return apr_psprintf(p, "%s=%s: expected an existing group, but %s", option, name,
                            nss_reason(p, errno));
    }
    *gid = entry->gr_gid;
    return NULL;
}

static void take_entry(apr_pool_t *p, const struct passwd *entry, tsgi_identity_t *out)
{
    out->uid = entry->pw_uid;
    out->gid = entry->pw_gid;
    out->name = apr_pstrdup(p, entry->pw_name);
    out->home = entry->pw_dir != NULL && entry->pw_dir[0] == '/'
                    ? apr_pstrdup(p, entry->pw_dir)
                    : "/";
    out->shell = entry->pw_shell != NULL && entry->pw_shell[0] == '/'
                     ? apr_pstrdup(p, entry->pw_shell)
                     : "/bin/sh";
}

/* A uid without an entry in passwd is usual in containers. */
static void take_uid(apr_pool_t *p, uid_t uid, gid_t gid, tsgi_identity_t *out)
{
    const struct passwd *entry = getpwuid(uid);
    if (entry != NULL) {
        take_entry(p, entry, out);
        return;
    }
    out->uid = uid;
    out->gid = gid;
    out->name = apr_psprintf(p, "#%u", (unsigned int)uid);
    out->home = "/";
    out->shell = "/bin/sh";
}

static const char *resolve_user(apr_pool_t *p, const char *option, const char *name,
                                tsgi_identity_t *out)
{
    unsigned int id;
    if (name[0] == '#') {
        if (!parse_id(name, &id)) {
            return apr_psprintf(p, "%s=%s: expected a user's name or # and its number",
                                option, name);
        }
        take_uid(p, id, 0, out);
        return NULL;
    }
    errno = 0;
    const struct passwd *entry = getpwnam(name);
    if (entry == NULL) {
        return apr_psprintf(p, "%s=%s: expected an existing user, but %s", option, name,
                            nss_reason(p, errno));
    }
    take_entry(p, entry, out);
    return NULL;
}

static void add_group(tsgi_identity_t *out, gid_t gid)
{
    if (!groups_contain(out->groups, out->ngroups, gid)) {
        out->groups[out->ngroups++] = gid;
    }
}

static const char *too_many_groups(apr_pool_t *p, const tsgi_identity_t *out)
{
    return apr_psprintf(
        p,
        "user %s has more than %d supplementary groups; name those that the "
        "group needs with supplementary-groups=",
        out->name, TSGI_IDENTITY_MAX_GROUPS);
}

/* What initgroups() would set. */
static const char *own_groups(apr_pool_t *p, tsgi_identity_t *out)
{
    if (out->name == NULL ||
        out->name[0] == '#') { /* no entry in passwd: no groups of its own */
        add_group(out, out->gid);
        return NULL;
    }
    gid_t *found = apr_palloc(p, sizeof(gid_t) * TSGI_IDENTITY_MAX_GROUPS);
    int n = TSGI_IDENTITY_MAX_GROUPS;
    if (getgrouplist(out->name, out->gid, found, &n) < 0) {
        return too_many_groups(p, out);
    }
    for (int i = 0; i < n; i++) {
        add_group(out, found[i]);
    }
    return NULL;
}

static const char *named_groups(apr_pool_t *p, const char *names, tsgi_identity_t *out)
{
    char *last = NULL;
    char *list = apr_pstrdup(p, names);
    for (char *name = apr_strtok(list, ", ", &last); name != NULL;
         name = apr_strtok(NULL, ", ", &last)) {
        gid_t gid = 0;
        const char *error = resolve_group(p, "supplementary-groups", name, &gid);
        if (error != NULL) {
            return error;
        }
        if (out->ngroups == TSGI_IDENTITY_MAX_GROUPS) {
            return too_many_groups(p, out);
        }
        add_group(out, gid);
    }
    return NULL;
}

/* Apache is not root: all that can be checked is that nothing else was asked for. */
static const char *check_oneself(apr_pool_t *p, const tsgi_options_t *options,
                                 const tsgi_identity_t *self,
                                 const tsgi_identity_t *asked)
{
    if (options->user != NULL && asked->uid != self->uid) {
        return apr_psprintf(
            p,
            "user=%s: Apache runs as %s and not as root, so it cannot become "
            "another user; leave user= out or start Apache as root",
            options->user, self->name);
    }
    if (options->group != NULL && asked->gid != self->gid) {
        return apr_psprintf(
            p,
            "group=%s: Apache runs with gid %u and not as root, so it cannot "
            "take another group; leave group= out or start Apache as root",
            options->group, (unsigned int)self->gid);
    }
    if (options->supplementary_groups != NULL) {
        return apr_psprintf(
            p,
            "supplementary-groups=%s: Apache does not run as root, so its groups "
            "stay as they are; leave the option out or start Apache as root",
            options->supplementary_groups);
    }
    return NULL;
}

static const char *resolve_oneself(apr_pool_t *p, const tsgi_options_t *options,
                                   tsgi_identity_t *out)
{
    tsgi_identity_t asked = {0};
    const char *error = NULL;
    take_uid(p, geteuid(), getegid(), out);
    out->gid = getegid();
    out->socket_uid = out->uid;
    if (options->user != NULL) {
        error = resolve_user(p, "user", options->user, &asked);
    }
    if (error == NULL && options->group != NULL) {
        error = resolve_group(p, "group", options->group, &asked.gid);
    }
    if (error == NULL && options->socket_user != NULL) {
        tsgi_identity_t owner = {0};
        error = resolve_user(p, "socket-user", options->socket_user, &owner);
        if (error == NULL && owner.uid != out->uid) {
            error =
                apr_psprintf(p,
                             "socket-user=%s: Apache runs as %s and not as root, so its "
                             "sockets are its own; leave the option out",
                             options->socket_user, out->name);
        }
    }
    return error != NULL ? error : check_oneself(p, options, out, &asked);
}

static const char *refuse_root(apr_pool_t *p, const tsgi_options_t *options,
                               const tsgi_identity_t *out)
{
    if (out->uid == 0) {
        return options->user != NULL
                   ? apr_psprintf(p,
                                  "user=%s is root (uid 0): apps never run as root; name "
                                  "another user",
                                  options->user)
                   : "Apache's User is root (uid 0): apps never run as root; give user= "
                     "to "
                     "TSGIDaemonProcess, or set User to an account of its own";
    }
    if (out->gid == 0) {
        return apr_psprintf(
            p,
            "%s%s is gid 0: apps never run with root's group; name another one "
            "with group=",
            options->group != NULL ? "group=" : "the group of user ",
            options->group != NULL ? options->group : out->name);
    }
    if (groups_contain(out->groups, out->ngroups, 0)) {
        return options->supplementary_groups != NULL
                   ? apr_psprintf(
                         p,
                         "supplementary-groups=%s contains root's group (gid 0): apps "
                         "never run with it; leave it out",
                         options->supplementary_groups)
                   : apr_psprintf(
                         p,
                         "user %s is a member of root's group (gid 0): apps never run "
                         "with it; name the groups that are needed with "
                         "supplementary-groups=",
                         out->name);
    }
    return NULL;
}

static const char *resolve_as_root(apr_pool_t *p, const tsgi_options_t *options,
                                   tsgi_identity_t *out)
{
    const char *error = NULL;
    tsgi_identity_t socket_user = {0};
    if (options->user != NULL) {
        error = resolve_user(p, "user", options->user, out);
    }
    else {
        take_uid(p, ap_unixd_config.user_id, ap_unixd_config.group_id, out);
        out->gid = ap_unixd_config.group_id;
    }
    if (error == NULL && options->group != NULL) {
        error = resolve_group(p, "group", options->group, &out->gid);
    }
    if (error == NULL && out->gid == 0 && out->name != NULL && out->name[0] == '#' &&
        options->group == NULL && options->user != NULL) {
        return apr_psprintf(p,
                            "user=%s has no entry in passwd and so no group of its own; "
                            "give one with group=",
                            options->user);
    }
    if (error == NULL) {
        error = options->supplementary_groups != NULL
                    ? named_groups(p, options->supplementary_groups, out)
                    : own_groups(p, out);
    }
    if (error == NULL) {
        error = refuse_root(p, options, out);
    }
    out->socket_uid = ap_unixd_config.user_id;
    if (error == NULL && options->socket_user != NULL) {
        error = resolve_user(p, "socket-user", options->socket_user, &socket_user);
        out->socket_uid = socket_user.uid;
    }
    return error;
}

const char *tsgi_identity_resolve(apr_pool_t *p, const tsgi_options_t *options,
                                  tsgi_identity_t *out)
{
    memset(out, 0, sizeof(*out));
    if (geteuid() != 0) {
        return resolve_oneself(p, options, out);
    }
    out->groups = apr_pcalloc(p, sizeof(gid_t) * TSGI_IDENTITY_MAX_GROUPS);
    return resolve_as_root(p, options, out);
}
