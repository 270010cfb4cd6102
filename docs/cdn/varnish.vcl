# What image-proxy needs of Varnish 7: docs/cdn.md says what each part is for. Include it after a backend
# that is image-proxy and an acl of who may purge:
#
#   vcl 4.1;
#   backend default { .host = "127.0.0.1"; .port = "8000"; }
#   acl purgers { "localhost"; }
#   include "/etc/varnish/image-proxy.vcl";

import std;
import xkey;  # from varnish-modules

sub vcl_recv {
  if (req.method == "PURGE") {
    if (client.ip !~ purgers) {
      return (synth(403, "Forbidden"));
    }
    if (req.http.xkey-soft) {
      set req.http.purged = xkey.softpurge(req.http.xkey-soft);
    } elsif (req.http.xkey) {
      set req.http.purged = xkey.purge(req.http.xkey);
    } else {
      return (purge);
    }
    return (synth(200, "Purged " + req.http.purged));
  }

  # Purges and metrics are not for the internet; of what is below /-/ only /-/info/ is. With --mount=/_ipx write
  # ^(/_ipx/-/(?!info/)|/metrics).
  if (req.url ~ "^(/-/(?!info/)|/metrics)") {
    return (synth(404, "Not Found"));
  }

  # A picture does not depend on who asks, and with these Varnish would not look into its cache.
  unset req.http.Cookie;
  unset req.http.Authorization;

  # Three answers to f_auto, and not one for each browser's way to write Accept.
  if (req.http.Accept ~ "(?i)image/avif(?!\s*;\s*q=0(?:\.0*)?\s*(?:,|$))") {
    set req.http.Accept = "image/avif,image/webp";
  } elsif (req.http.Accept ~ "(?i)image/webp(?!\s*;\s*q=0(?:\.0*)?\s*(?:,|$))") {
    set req.http.Accept = "image/webp";
  } else {
    unset req.http.Accept;
  }
}

sub vcl_backend_response {
  set beresp.http.xkey = beresp.http.Surrogate-Key;

  # While the origin fails the stale picture stays: the answer of a failed refresh would take its place.
  if (beresp.status >= 500 && bereq.is_bgfetch) {
    return (abandon);
  }

  # Of errors Varnish keeps 404 and 410 alone. Those that only the URL decides come with a lifetime.
  if (beresp.status >= 400 && beresp.status < 500 && beresp.status != 429
      && beresp.http.Cache-Control ~ "max-age=[0-9]") {
    set beresp.ttl = std.duration(
      regsub(beresp.http.Cache-Control, "^.*?(?:s-maxage|max-age)=([0-9]+).*$", "\1") + "s", 10s);
  }

  # RFC 5861: stale-while-revalidate is grace to Varnish already; stale-if-error it does not know.
  if (beresp.http.Cache-Control ~ "stale-if-error=[0-9]") {
    set beresp.grace = std.duration(
      regsub(beresp.http.Cache-Control, "^.*stale-if-error=([0-9]+).*$", "\1") + "s", 10s);
  }
}

sub vcl_deliver {
  unset resp.http.xkey;
}
