"""The descriptor pool of the generated modules; see generate.py for why it is not the default one."""

from __future__ import annotations

from google.protobuf import any_pb2, descriptor_pool, duration_pb2

_POOL = descriptor_pool.DescriptorPool()
for _file in (any_pb2.DESCRIPTOR, duration_pb2.DESCRIPTOR):
    _POOL.AddSerializedFile(_file.serialized_pb)


def Default() -> descriptor_pool.DescriptorPool:  # noqa: N802, the name that generated code calls
    return _POOL
