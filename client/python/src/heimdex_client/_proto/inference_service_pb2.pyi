from heimdex_client._proto import embedding_pb2 as _embedding_pb2
from heimdex_client._proto import faces_pb2 as _faces_pb2
from heimdex_client._proto import server_info_pb2 as _server_info_pb2
from heimdex_client._proto import speech_pb2 as _speech_pb2
from google.protobuf import descriptor as _descriptor
from typing import ClassVar as _ClassVar

DESCRIPTOR: _descriptor.FileDescriptor
