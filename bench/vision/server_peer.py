"""A plain server as one would write it in Python: HTTP, a thread per connection, Pillow, onnxruntime with its defaults."""
import json
import os
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from threading import Thread

import numpy as np
from PIL import Image

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from peer import job, session, take_turns

todo = job()
network = session(todo["model"], single=False)
side = network.get_inputs()[0].shape[-1]


def embed(content):
    image = Image.open(BytesIO(content)).convert("RGB").resize((side, side), Image.Resampling.BICUBIC)
    values = (np.asarray(image, dtype=np.float32) / np.float32(255) - np.float32(0.5)) / np.float32(0.5)
    row = network.run(["pooler_output"], {"pixel_values": values.transpose(2, 0, 1)[None]})[0][0]
    return row / np.linalg.norm(row)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # Otherwise headers and body are two packets, and the second waits for the caller's acknowledgement.
    wbufsize = -1

    def do_POST(self):
        vector = embed(self.rfile.read(int(self.headers["content-length"])))
        body = json.dumps({"vector": vector.tolist()}).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
Thread(target=server.serve_forever, daemon=True).start()
take_turns({"port": lambda: server.server_address[1]})
