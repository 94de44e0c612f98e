"""Passes requests on to a door of the sandbox, or of another gateway that plays the clouds."""
import http.client
import time

KEPT_S = 20  # a connection that was idle for longer may have been closed by now


class Relay:
    """Byte by byte but for the connection; for the place of Cloud.systems."""

    def __init__(self, port):
        self.port, self._kept = port, []

    def answer(self, request):
        """(status, headers, body)"""
        connection = self._connection()
        try:
            connection.putrequest(request.method, request.target, skip_host=True,
                                  skip_accept_encoding=True)
            for name, value in request.fields:
                if name != "connection":
                    connection.putheader(name, value)
            connection.endheaders(request.body)
            reply = connection.getresponse()
            kept = [(name, value) for name, value in reply.getheaders()
                    if name.lower() not in ("content-length", "connection", "transfer-encoding",
                                            "date")]
            body = reply.read()
        except BaseException:
            connection.close()
            raise
        self._kept.append((time.monotonic(), connection))
        return reply.status, kept, body

    def _connection(self):
        while self._kept:
            since, connection = self._kept.pop()
            if time.monotonic() - since < KEPT_S and connection.sock:
                return connection
            connection.close()
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)

    def close(self):
        while self._kept:
            self._kept.pop()[1].close()
