// SPDX-License-Identifier: Apache-2.0
#include "node/settings.h"

#include <stdint.h>

#include "tree/ip.h"

void settings_tree(const struct config *c, uint64_t seed, struct tree_config *t)
{
    *t = (struct tree_config){
        .acl = {.skip_acl = c->skip_acl, .digest_enabled = c->digest_auth},
        .extended_types = c->extended_types,
        .emulate_353_ttl = c->emulate_353_ttl,
        .enforce_quota = c->enforce_quota,
        .digest_enabled = c->tree_digest,
        .close_session_txn = c->close_session_paths,
        .reconfig_enabled = c->reconfig_enabled,
        .seed = seed,
        .bytes_max = (size_t)(c->frame_max + c->frame_extra),
    };
}

static int compression_of(const char *name)
{
    struct slice s = slice_str(name);
    return slice_eq_str(s, "gz") ? DISK_GZIP : slice_eq_str(s, "snappy") ? DISK_SNAPPY : DISK_PLAIN;
}

void settings_disk(const struct config *c, struct disk_config *d)
{
    *d = (struct disk_config){
        .data_dir = c->data_dir,
        .data_log_dir = c->data_log_dir,
        .prealloc_bytes = c->prealloc_kb * 1024,
        .snap_count = c->snap_count,
        .snap_size_bytes = c->snap_size_kb > 0 ? c->snap_size_kb * 1024 : 0,
        .log_size_bytes = c->log_size_kb > 0 ? c->log_size_kb * 1024 : 0,
        .snap_retain = (int32_t)c->snap_retain,
        .purge_interval_ms = c->purge_interval_ms,
        .force_sync = c->force_sync,
        .trust_empty = c->trust_empty,
        .last_zxid_section = c->last_zxid_section,
        .digest_section = c->tree_digest,
        .compression = compression_of(c->compression),
        .fsync_warn_ms = c->fsync_warn_ms,
        .bytes_max = (size_t)(c->frame_max + c->frame_extra),
    };
}

void settings_serve(const struct config *c, uint64_t seed, const char *version,
                    struct serve_config *s)
{
    *s = (struct serve_config){
        .server_id = 0,
        .tick_ms = (int32_t)c->tick_ms,
        .session_min_ms = (int32_t)c->session_min_ms,
        .session_max_ms = (int32_t)c->session_max_ms,
        .frame_max = (size_t)c->frame_max,
        .bytes_max = (size_t)(c->frame_max + c->frame_extra),
        .client_cnxns_max = (int32_t)c->client_cnxns_max,
        .cnxns_max = (int32_t)c->cnxns_max,
        .outstanding_max = (int32_t)c->outstanding_max,
        .large_request_threshold = c->large_request_threshold,
        .large_request_max_bytes = c->large_request_max_bytes,
        .throttle_max_requests = (int32_t)c->throttle_max_requests,
        .throttled_op_wait_ms = (int32_t)c->throttled_op_wait_ms,
        .connection_tokens = (int32_t)c->connection_tokens,
        .connection_token_fill_ms = (int32_t)c->connection_token_fill_ms,
        .connection_token_fill_count = (int32_t)c->connection_token_fill_count,
        .sessionless_timeout_ms = (int32_t)c->sessionless_ms,
        .fourletter_whitelist = c->fourletter_whitelist,
        .super_digest = c->super_digest,
        .digest_alg = c->digest_alg,
        .ensemble_auth_name = c->ensemble_auth_name,
        .enforce_auth = c->enforce_auth,
        .enforce_auth_schemes = c->enforce_auth_schemes,
        .read_only_enabled = c->read_only,
        .seed = seed,
        .version = version,
    };
}

enum err settings_client_addr(const struct config *c, struct net_addr *at)
{
    *at = (struct net_addr){.family = 4, .ip = {127, 0, 0, 1}, .port = (uint16_t)c->client_port};
    if (!c->client_address) {
        return ERR_OK;
    }
    struct slice text = slice_str(c->client_address);
    struct ip_net ip = {.ip = {127, 0, 0, 1}, .len = 4};
    if (!slice_eq_str(text, "localhost") && !ip_parse(text, &ip)) {
        return ERR_INVALID;
    }
    at->family = ip.len == 4 ? 4 : 6;
    memcpy(at->ip, ip.ip, sizeof(at->ip));
    return ERR_OK;
}
