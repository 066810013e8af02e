"""Writes src/heimdex_client/_proto from proto/ (python3 generate.py), or compares it (--check). Needs grpcio-tools.

The generated modules register their messages in a descriptor pool of this package. In the default pool they would collide with
code that a program generated from another version of the contract, and with googleapis-common-protos.
"""

from __future__ import annotations

import sys
import tempfile
from importlib.resources import files
from pathlib import Path

from grpc_tools import protoc

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
OUT = HERE / "src/heimdex_client/_proto"
PACKAGE = "heimdex_client/_proto"
GOOGLE = ROOT / "node_modules/google-gax/build/protos/google/rpc"

SOURCES = [
    *sorted((ROOT / "proto/heimdex/inference/v1").glob("*.proto")),
    GOOGLE / "status.proto",
    GOOGLE / "error_details.proto",
    ROOT / "node_modules/grpc-health-check/proto/health/v1/health.proto",
]
DEFAULT_POOL = "from google.protobuf import descriptor_pool as _descriptor_pool"
OWN_POOL = "from heimdex_client import _pool as _descriptor_pool"


def generate(scratch: Path) -> dict[str, str]:
    """The generated files by name. Every proto file is in the package's own directory, so that imports name the package."""
    protos = scratch / PACKAGE
    protos.mkdir(parents=True)
    for source in SOURCES:
        text = source.read_text()
        for prefix in ("heimdex/inference/v1/", "google/rpc/"):
            text = text.replace(f'import "{prefix}', f'import "{PACKAGE}/')
        (protos / source.name).write_text(text)
    out = scratch / "out"
    out.mkdir()
    arguments = ["protoc", f"-I{scratch}", f"-I{files('grpc_tools') / '_proto'}", f"--python_out={out}", f"--pyi_out={out}"]
    if protoc.main([*arguments, *(f"{PACKAGE}/{source.name}" for source in SOURCES)]) != 0:
        raise SystemExit("protoc failed")
    return {path.name: path.read_text().replace(DEFAULT_POOL, OWN_POOL) for path in sorted((out / PACKAGE).iterdir())}


def main() -> None:
    with tempfile.TemporaryDirectory() as directory:
        fresh = generate(Path(directory))
    found = {path.name: path.read_text() for path in OUT.glob("*_pb2.py*")}
    if "--check" in sys.argv:
        stale = [name for name in sorted(fresh.keys() | found.keys()) if fresh.get(name) != found.get(name)]
        if stale:
            raise SystemExit(f"Not current with proto/: {', '.join(stale)}. Run: npm run generate")
        return
    for name in found:
        (OUT / name).unlink()
    for name, text in fresh.items():
        (OUT / name).write_text(text)


main()
