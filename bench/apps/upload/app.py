def application(environ, start_response):
    length = 0
    while True:
        chunk = environ['wsgi.input'].read(65536)
        if not chunk:
            break
        length += len(chunk)
    body = str(length).encode()
    start_response('200 OK', [('Content-Type', 'text/plain'), ('Content-Length', str(len(body)))])
    return [body]
