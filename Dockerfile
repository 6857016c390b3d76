# Apache httpd, Node.js and mod_tsgi; serves the application in /srv/app on port 8080.
#
#   docker build -t mod_tsgi .
#   docker run -p 8080:8080 mod_tsgi
#
# An image of your own:
#
#   FROM mod_tsgi
#   COPY --chown=root:root . /srv/app
#
# Entry files must belong to root or to the user that the container runs as: with a mounted
# directory add `--user "$(id -u):$(id -g)" --tmpfs /run/mod_tsgi:mode=1777`.
#
# Every RUN step is a script that test/docker runs as well.

FROM debian:trixie-slim AS build
WORKDIR /usr/src/mod_tsgi
COPY scripts/docker-packages.sh scripts/setup.sh scripts/
RUN scripts/docker-packages.sh build
COPY . .
RUN scripts/docker-build.sh /image

FROM debian:trixie-slim
COPY scripts/docker-packages.sh scripts/docker-layout.sh /usr/lib/mod_tsgi/scripts/
RUN /usr/lib/mod_tsgi/scripts/docker-packages.sh runtime
RUN /usr/lib/mod_tsgi/scripts/docker-layout.sh
COPY --from=build /image /

ENV TSGI_ENTRY=/srv/app/index.js TSGI_PROCESSES=1 TSGI_PORT=8080
USER www-data
WORKDIR /srv/app
EXPOSE 8080
# SIGWINCH makes httpd finish what is in hand before it ends.
STOPSIGNAL SIGWINCH
CMD ["/usr/sbin/apache2", "-f", "/etc/mod_tsgi/httpd.conf", "-DFOREGROUND"]
