// SPDX-License-Identifier: Apache-2.0
#include "test/support/disk_models.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

char *models[MODELS_MAX + 1];

void models_make(int last)
{
    struct dkit k;
    assert_in_range(last, 0, MODELS_MAX);
    dkit_init(&k, 1);
    assert_int_equal(dkit_open(&k), ERR_OK);
    for (int i = 0; i <= last; i++) {
        struct buf b = {0};
        dkit_dump(k.tree, &b);
        models[i] = (char *)b.p;
        dkit_append_n(&k, 1);
    }
    dkit_fini(&k);
}

void models_free(void)
{
    for (int i = 0; i <= MODELS_MAX; i++) {
        free(models[i]);
        models[i] = NULL;
    }
}

void models_expect(struct dkit *k, int64_t zxid)
{
    assert_int_equal(tree_zxid(k->tree), zxid);
    struct buf b = {0};
    dkit_dump(k->tree, &b);
    assert_string_equal((const char *)b.p, models[zxid]);
    tree_check(k->tree);
    buf_fini(&b);
}

void models_reopen(struct dkit *k, bool power)
{
    dkit_close(k);
    fake_env_reboot(k->f, power);
    if (dkit_open(k)) {
        fail_msg("%.*s", (int)k->f->log.n, (const char *)k->f->log.p);
    }
}
