"""Shared by the Python peers: a single-threaded session, and the best of several rounds."""
import json
import sys
import time


def job():
    return json.load(sys.stdin)


def session(path):
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def measure(count, rounds, run):
    run()
    wall = cpu = float("inf")
    for _ in range(rounds):
        used, started = time.process_time(), time.perf_counter()
        run()
        wall = min(wall, time.perf_counter() - started)
        cpu = min(cpu, time.process_time() - used)
    return {"perSecond": count / wall, "cpuMs": cpu / count * 1000}
