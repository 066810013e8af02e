"""Shared by the Python peers: the job, a session, the best of several rounds, and turns."""
import json
import sys
import time


def job():
    """The first line of standard input. With `turns`, further lines follow (take_turns)."""
    return json.loads(sys.stdin.readline())


def session(path, single=True):
    """On one thread that does not spin, or with the runtime's defaults: all cores."""
    import onnxruntime

    if not single:
        return onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
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


def take_turns(runs):
    """Answers each further line, `{"do": name, "with": [...]}`, with the seconds that it took and its result."""
    print(json.dumps({"ready": True}), flush=True)
    for line in sys.stdin:
        turn = json.loads(line)
        started = time.perf_counter()
        result = runs[turn["do"]](*turn.get("with", []))
        print(json.dumps({"seconds": time.perf_counter() - started, "result": result}), flush=True)
