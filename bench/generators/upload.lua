-- wrk: each request sends 1 MiB.
wrk.method = 'POST'
wrk.body = string.rep('0123456789abcdef', 65536)
wrk.headers['Content-Type'] = 'application/octet-stream'
