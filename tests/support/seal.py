"""Requests to a door, signed as the clouds' own clients sign them (what tests/support/cloud.py checks,
from the other side)."""
import datetime
import hashlib
import hmac
import http.client
import secrets
import urllib.parse

from gateway import Answer


def _digest(data):
    return hashlib.sha256(data).hexdigest()


def _quote(text):
    return urllib.parse.quote(str(text), safe="-_.~")


def _mac(key, text):
    return hmac.new(key, text.encode(), "sha256")


def _canonical(method, path, query, fields, body):
    names = sorted(fields)
    block = "".join(f"{name}:{fields[name]}\n" for name in names)
    return "\n".join([method, path, query, block, ";".join(names), _digest(body)]), ";".join(names)


def _sdk(method, path, query, fields, body, key, secret, now, _region):
    fields["x-sdk-date"] = now.strftime("%Y%m%dT%H%M%SZ")
    canonical, signed = _canonical(method, path.rstrip("/") + "/", query, fields, body)
    text = "\n".join(["SDK-HMAC-SHA256", fields["x-sdk-date"], _digest(canonical.encode())])
    return (f"SDK-HMAC-SHA256 Access={key}, SignedHeaders={signed}, "
            f"Signature={_mac(secret.encode(), text).hexdigest()}")


def _acs3(method, path, query, fields, body, key, secret, now, _region):
    fields.update({"x-acs-date": now.strftime("%Y-%m-%dT%H:%M:%SZ"), "x-acs-version": "2016-04-28",
                   "x-acs-signature-nonce": secrets.token_hex(16),
                   "x-acs-content-sha256": _digest(body)})
    canonical, signed = _canonical(method, path, query, fields, body)
    text = "ACS3-HMAC-SHA256\n" + _digest(canonical.encode())
    return (f"ACS3-HMAC-SHA256 Credential={key},SignedHeaders={signed},"
            f"Signature={_mac(secret.encode(), text).hexdigest()}")


def _aws4(method, path, query, fields, body, key, secret, now, region):
    day, fields["x-amz-date"] = now.strftime("%Y%m%d"), now.strftime("%Y%m%dT%H%M%SZ")
    canonical, signed = _canonical(method, path, query, fields, body)
    scope = f"{day}/{region}/ec2/aws4_request"
    text = "\n".join(["AWS4-HMAC-SHA256", fields["x-amz-date"], scope, _digest(canonical.encode())])
    made = b"AWS4" + secret.encode()
    for part in scope.split("/"):
        made = _mac(made, part).digest()
    return (f"AWS4-HMAC-SHA256 Credential={key}/{scope}, SignedHeaders={signed}, "
            f"Signature={_mac(made, text).hexdigest()}")


SCHEMES = {"sdk-hmac-sha256": _sdk, "acs3-hmac-sha256": _acs3, "aws4-hmac-sha256": _aws4}


def knock(port, scheme, key, secret, method, path, query=None, fields=None, body=b"",
          region="eu-central-1", timeout=60):
    """One request to a door; its answer."""
    text = "&".join(f"{_quote(n)}={_quote(v)}" for n, v in sorted((query or {}).items()))
    sent = {"host": f"127.0.0.1:{port}", **(fields or {})}
    now = datetime.datetime.now(datetime.timezone.utc)
    authorization = SCHEMES[scheme](method, path, text, sent, body, key, secret, now, region)
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)
    try:
        connection.request(method, path + ("?" + text if text else ""), body=body,
                           headers={**sent, "Authorization": authorization})
        reply = connection.getresponse()
        return Answer(reply.status, reply.getheaders(), reply.read())
    finally:
        connection.close()
