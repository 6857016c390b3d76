/* Licensed under the Apache License, Version 2.0; see LICENSE. */
/**
 * @file tsgi_module.h
 * What every file of the module needs: the module record, message numbers, logging policy.
 */
#ifndef TSGI_MODULE_H
#define TSGI_MODULE_H

#include "httpd.h"
#include "http_config.h"
#include "http_log.h"

#define TSGI_VERSION "0.1.0"

/** The module record, defined in mod_tsgi.c. */
extern module AP_MODULE_DECLARE_DATA tsgi_module;
APLOG_USE_MODULE(tsgi);

/**
 * Prefix of a message: TSGI_LOGNO(<number>) "group %s: …". Numbers are unique for ever and explained in
 * docs/errors.md (test/meta checks both). Levels: a defect of the installation or the app = ERR, what heals
 * itself = WARNING, planned events = NOTICE or INFO, flow = TRACE1-8.
 */
#define TSGI_LOGNO(n) "TSGI" #n ": "

/** Handler name that the aliases set. */
#define TSGI_HANDLER "tsgi-script"

#endif
