// SPDX-License-Identifier: Apache-2.0
//
// Memory per znode: makes --fill nodes of --size bytes in batches, and compares the server's
// memory before and after.
#include "run.h"

void bench_workload_fill(struct run *r, struct report *report)
{
    report->what = "znode";
    bench_run_rest(r, 0.5);
    bench_report_begin(report, r->opt);
    bench_run_nodes(r, OP_CREATE, 'k', 0, r->opt->count, r->opt->size);
    report->count = r->opt->count;
    bench_report_end(report, r->opt);
    bench_report_print(report, r->opt, stdout);
    bench_run_hold(r);
    if (!r->opt->keep) {
        bench_run_nodes(r, OP_DELETE, 'k', 0, r->opt->count, 0);
    }
}
