// SPDX-License-Identifier: Apache-2.0
//
// See report.h.
#include "report.h"

#include <stdbool.h>
#include <sys/resource.h>

#include "base.h"

static uint64_t own_cpu_ns(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
    return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

void bench_report_begin(struct report *r, const struct options *opt)
{
    r->count = 0;
    r->reads = (struct hist){0};
    r->writes = (struct hist){0};
    r->before = bench_proc_read(opt->pids, opt->pid_count);
    r->client_cpu_ns = own_cpu_ns();
    r->seconds = (double)now_ns() / 1e9;
}

void bench_report_end(struct report *r, const struct options *opt)
{
    r->seconds = (double)now_ns() / 1e9 - r->seconds;
    r->client_cpu_ns = own_cpu_ns() - r->client_cpu_ns;
    r->after = bench_proc_read(opt->pids, opt->pid_count);
}

static double per_item(double sum, uint64_t count)
{
    return count == 0 ? 0.0 : sum / (double)count;
}

static double server_us(const struct report *r)
{
    return per_item((double)(r->after.cpu_ns - r->before.cpu_ns) / 1e3, r->count);
}

static double memory_per_item(const struct report *r)
{
    return per_item(((double)r->after.rss_kb - (double)r->before.rss_kb) * 1024.0, r->count);
}

static bool measures_memory(const struct options *opt)
{
    return opt->mode == MODE_FILL || opt->mode == MODE_IDLE || opt->mode == MODE_WATCHES;
}

static void print_hist_text(FILE *to, const char *name, const struct hist *h)
{
    if (h->count == 0) {
        return;
    }
    fprintf(to, "%-9s latency ms: mean %.3f  p50 %.3f  p90 %.3f  p99 %.3f  p99.9 %.3f  max %.3f\n",
            name, bench_hist_mean_ns(h) / 1e6, (double)bench_hist_quantile(h, 0.5) / 1e6,
            (double)bench_hist_quantile(h, 0.9) / 1e6, (double)bench_hist_quantile(h, 0.99) / 1e6,
            (double)bench_hist_quantile(h, 0.999) / 1e6, (double)h->max_ns / 1e6);
}

static void print_text(const struct report *r, const struct options *opt, FILE *to)
{
    const char *plural = strcmp(r->what, "watch") == 0 ? "es" : "s";
    fprintf(to, "%llu %s%s in %.3f s: %.0f/s\n", (unsigned long long)r->count, r->what, plural,
            r->seconds, (double)r->count / r->seconds);
    if (r->unanswered > 0) {
        fprintf(to, "%llu more were due and had no answer when the run ended\n",
                (unsigned long long)r->unanswered);
    }
    struct hist all = r->reads;
    bench_hist_merge(&all, &r->writes);
    if (r->reads.count > 0 && r->writes.count > 0) {
        print_hist_text(to, "reads", &r->reads);
        print_hist_text(to, "writes", &r->writes);
    }
    print_hist_text(to, "all", &all);
    if (opt->pid_count > 0) {
        double cores = (double)(r->after.cpu_ns - r->before.cpu_ns) / 1e9 / r->seconds;
        fprintf(to, "server: %.3f us CPU per %s (%.2f cores), resident %llu KB, peak %llu KB\n",
                server_us(r), r->what, cores, (unsigned long long)r->after.rss_kb,
                (unsigned long long)r->after.rss_peak_kb);
        if (measures_memory(opt)) {
            fprintf(to, "server: %llu KB before, %.0f bytes per %s\n",
                    (unsigned long long)r->before.rss_kb, memory_per_item(r), r->what);
        }
    }
    fprintf(to, "client: %.3f us CPU per %s\n", per_item((double)r->client_cpu_ns / 1e3, r->count),
            r->what);
}

static void print_hist_json(FILE *to, const char *name, const struct hist *h)
{
    fprintf(to,
            ", \"%s\": {\"count\": %llu, \"mean\": %.6f, \"p50\": %.6f, \"p90\": %.6f, "
            "\"p99\": %.6f, \"p999\": %.6f, \"max\": %.6f}",
            name, (unsigned long long)h->count, bench_hist_mean_ns(h) / 1e6,
            (double)bench_hist_quantile(h, 0.5) / 1e6, (double)bench_hist_quantile(h, 0.9) / 1e6,
            (double)bench_hist_quantile(h, 0.99) / 1e6, (double)bench_hist_quantile(h, 0.999) / 1e6,
            (double)h->max_ns / 1e6);
}

static void print_json(const struct report *r, const struct options *opt, FILE *to)
{
    fprintf(to,
            "{\"what\": \"%s\", \"count\": %llu, \"seconds\": %.6f, \"per_second\": %.1f, "
            "\"unanswered\": %llu, \"client_cpu_us\": %.4f",
            r->what, (unsigned long long)r->count, r->seconds, (double)r->count / r->seconds,
            (unsigned long long)r->unanswered, per_item((double)r->client_cpu_ns / 1e3, r->count));
    if (opt->pid_count > 0) {
        fprintf(to,
                ", \"server_cpu_us\": %.4f, \"rss_before_kb\": %llu, \"rss_after_kb\": %llu, "
                "\"rss_peak_kb\": %llu, \"bytes_per_item\": %.1f",
                server_us(r), (unsigned long long)r->before.rss_kb,
                (unsigned long long)r->after.rss_kb, (unsigned long long)r->after.rss_peak_kb,
                memory_per_item(r));
    }
    struct hist all = r->reads;
    bench_hist_merge(&all, &r->writes);
    print_hist_json(to, "latency_ms", &all);
    print_hist_json(to, "reads_ms", &r->reads);
    print_hist_json(to, "writes_ms", &r->writes);
    fputs("}\n", to);
}

void bench_report_print(const struct report *r, const struct options *opt, FILE *to)
{
    if (opt->json) {
        print_json(r, opt, to);
    } else {
        print_text(r, opt, to);
    }
    fflush(to);
}
