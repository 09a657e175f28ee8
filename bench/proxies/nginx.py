"""nginx as a gRPC proxy, with one worker.

Its upstream connections carry one call at a time; `keepalive` holds them between calls. Request bodies are never
buffered by grpc_pass; client_body_buffer_size is the window that a client gets.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from bench.proxies.proxy import Missing, Proxy, find, version_of, write

if TYPE_CHECKING:
    from bench.proxies.proxy import Where

CONFIG = """\
daemon off;
worker_processes 1;
pid {folder}/nginx.pid;
error_log stderr error;
worker_rlimit_nofile 16384;
{user}
events {{ worker_connections 8192; }}
http {{
  access_log off;
  client_body_temp_path {folder}/nginx-body;
  proxy_temp_path {folder}/nginx-proxy;
  fastcgi_temp_path {folder}/nginx-fastcgi;
  uwsgi_temp_path {folder}/nginx-uwsgi;
  scgi_temp_path {folder}/nginx-scgi;
  tcp_nodelay on;
  http2_recv_buffer_size 1m;
  upstream peer {{
    server {upstream};
    keepalive 1024;
    keepalive_requests 1000000;
    keepalive_timeout 1h;
  }}
  server {{
    listen {listen} http2;
    http2_max_concurrent_streams 4096;
    http2_chunk_size 16k;
    keepalive_requests 1000000;
    keepalive_timeout 1h;
    client_max_body_size 0;
    client_body_buffer_size 1m;
    client_body_timeout 1h;
    client_header_timeout 1h;
    send_timeout 1h;
    location / {{
      grpc_pass grpc://peer;
      grpc_buffer_size 256k;
      grpc_read_timeout 1h;
      grpc_send_timeout 1h;
    }}
  }}
}}
"""


def _find() -> str:
    try:
        return find("nginx")
    except Missing:
        raise Missing("nginx is not installed: apt install nginx-light") from None


def _command(where: Where) -> list[str]:
    user = "user root;" if os.geteuid() == 0 else ""
    text = CONFIG.format(folder=where.folder, listen=where.listen, upstream=where.upstream, user=user)
    return [_find(), "-e", "stderr", "-p", str(where.folder), "-c", write(where.folder, "nginx.conf", text)]


NGINX = Proxy("nginx", "nginx", lambda: version_of(_find(), "-v"), _command)
