/* Licensed under the Apache License, Version 2.0; see LICENSE. */
#include "tsgi_tls.h"
#include "tsgi_request.h"

#include "apr_strings.h"
#include "http_ssl.h"

#include <string.h>

/* All certificates of a client together; a certificate of 4 KiB is a large one. */
#define MAX_CERTIFICATES (64 * 1024)

typedef struct {
    request_rec *r;
    tsgi_field_t *fields;
    size_t count;
} facts_t;

/* @return NULL for what is not there. */
static const char *look_up(request_rec *r, const char *name)
{
    const char *value = ap_ssl_var_lookup(r->pool, r->server, r->connection, r, name);
    return value != NULL && value[0] != '\0' ? value : NULL;
}

static void add(facts_t *facts, const char *name, const char *value)
{
    if (value != NULL) {
        tsgi_field_t *field = &facts->fields[facts->count++];
        memset(field, 0, sizeof(*field));
        field->name = (tsgi_str_t){name, (uint32_t)strlen(name)};
        field->value = (tsgi_str_t){value, (uint32_t)strlen(value)};
    }
}

/* The client's certificate and what it sent along to show where it comes from. */
static void add_certificates(facts_t *facts)
{
    const char *pem = look_up(facts->r, "SSL_CLIENT_CERT");
    apr_size_t total = 0;

    for (int i = 0; pem != NULL && i <= TSGI_TLS_CHAIN; i++) {
        total += strlen(pem);
        if (total > MAX_CERTIFICATES) {
            return;
        }
        add(facts,
            i == 0 ? TSGI_FACT_PREFIX "tls.certificate" : TSGI_FACT_PREFIX "tls.chain",
            pem);
        pem = look_up(facts->r,
                      apr_psprintf(facts->r->pool, "SSL_CLIENT_CERT_CHAIN_%d", i));
    }
}

size_t tsgi_tls_facts(request_rec *r, tsgi_field_t *fields)
{
    facts_t facts = {r, fields, 0};
    const char *text;

    if (!ap_ssl_conn_is_ssl(r->connection)) {
        return 0;
    }
    add(&facts, TSGI_FACT_PREFIX "tls.protocol", look_up(r, "SSL_PROTOCOL"));
    add(&facts, TSGI_FACT_PREFIX "tls.cipher", look_up(r, "SSL_CIPHER"));
    add(&facts, TSGI_FACT_PREFIX "tls.servername", look_up(r, "SSL_TLS_SNI"));
    text = look_up(r, "SSL_SESSION_RESUMED");
    if (text != NULL && strcmp(text, "Resumed") == 0) {
        add(&facts, TSGI_FACT_PREFIX "tls.resumed", "1");
    }
    text = look_up(r, "SSL_CLIENT_VERIFY");
    if (text != NULL && strcmp(text, "NONE") != 0) {
        add(&facts, TSGI_FACT_PREFIX "tls.verify", text);
        add_certificates(&facts);
    }
    return facts.count;
}
