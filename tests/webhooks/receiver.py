"""A receiver of webhooks that verifies with public libraries: `v1` with
standardwebhooks, `v1a` with PyNaCl.

PUT sets what it verifies with, GET tells the ids that it accepted and the reasons for
which it refused, and a POST is a delivery.
"""

import base64
import json
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from nacl.signing import VerifyKey
from standardwebhooks import Webhook

state = {"verify": None, "accepted": [], "refused": []}
lock = threading.Lock()


def by_public_key(text):
    key = VerifyKey(base64.b64decode(text.removeprefix("whpk_")))

    def verify(body, headers):
        signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
        for signature in headers["webhook-signature"].split(" "):
            version, encoded = signature.split(",")
            if version == "v1a":
                try:
                    return key.verify(signed, base64.b64decode(encoded))
                except Exception as error:
                    last = error
        raise last

    return verify


def by_secret(text):
    webhook = Webhook(text)
    return lambda body, headers: webhook.verify(body, headers)


class Receiver(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def body(self):
        return self.rfile.read(int(self.headers.get("content-length", 0)))

    def answer(self, status, body=b""):
        self.send_response(status)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_PUT(self):
        text = self.body().decode()
        by = by_public_key if text.startswith("whpk_") else by_secret
        state["verify"] = by(text)
        self.answer(204)

    def do_GET(self):
        with lock:
            told = {"accepted": state["accepted"], "refused": state["refused"]}
            self.answer(200, json.dumps(told).encode())

    def do_POST(self):
        body, headers = self.body(), dict(self.headers.items())
        headers = {name.lower(): value for name, value in headers.items()}
        try:
            state["verify"](body, headers)
            json.loads(body)
        except Exception as error:
            with lock:
                state["refused"].append(repr(error))
            return self.answer(400)
        with lock:
            state["accepted"].append(headers["webhook-id"])
        self.answer(204)

    def log_message(self, *_):
        pass


server = ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
print(server.server_port, flush=True)
threading.Thread(target=lambda: (sys.stdin.read(), server.shutdown()), daemon=True).start()
server.serve_forever()
