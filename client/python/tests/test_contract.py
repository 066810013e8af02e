"""What is written by hand against the contract it follows."""

from __future__ import annotations

import dataclasses
import inspect
import unittest

from heimdex_client import (
    DEFAULT_TIMEOUTS,
    AsyncHeimdexClient,
    HeimdexClient,
    TranscribeOptions,
    VadParameters,
    answers,
)
from heimdex_client._proto import common_pb2, faces_pb2, inference_service_pb2, server_info_pb2, speech_pb2
from heimdex_client._transport import RESPONSES


def parameters_of(client: type, call: str) -> list[str]:
    parameters = inspect.signature(getattr(client, call)).parameters.values()
    return [str(parameter).replace("AsyncAudioSource", "AudioSource") for parameter in parameters]


class ContractTest(unittest.TestCase):
    def test_both_clients_have_the_same_calls(self) -> None:
        calls = [name for name in vars(HeimdexClient) if not name.startswith("_")]
        self.assertEqual(calls, [name for name in vars(AsyncHeimdexClient) if not name.startswith("_")])
        self.assertGreater(len(calls), 7)
        for call in ("__init__", *calls):
            self.assertEqual(parameters_of(HeimdexClient, call), parameters_of(AsyncHeimdexClient, call), call)

    def test_every_rpc_has_its_answer_and_its_time_limit(self) -> None:
        rpcs = {method.name for method in inference_service_pb2.DESCRIPTOR.services_by_name["InferenceService"].methods}
        self.assertEqual(RESPONSES.keys(), rpcs | {"Check"})
        self.assertEqual(DEFAULT_TIMEOUTS.keys(), RESPONSES.keys())

    def test_answers_have_every_field_of_their_messages(self) -> None:
        messages = {}
        for module in (common_pb2, faces_pb2, server_info_pb2, speech_pb2):
            messages.update(module.DESCRIPTOR.message_types_by_name)
        messages.update(ServerInfo=messages["GetServerInfoResponse"], Transcript=messages["TranscribeResponse"])
        kinds = [
            kind for kind in vars(answers).values() if dataclasses.is_dataclass(kind) and kind.__module__ == answers.__name__
        ]
        compared = [kind for kind in kinds if kind.__name__ in messages and kind is not answers.Embedding]
        self.assertGreater(len(compared), 15)
        for kind in compared:
            fields = {field.name for field in dataclasses.fields(kind)}
            self.assertEqual(fields, {field.name for field in messages[kind.__name__].fields}, kind.__name__)

    def test_options_have_every_field_of_their_messages(self) -> None:
        for kind in (TranscribeOptions, VadParameters):
            fields = speech_pb2.DESCRIPTOR.message_types_by_name[kind.__name__].fields
            self.assertEqual(set(kind.__annotations__), {field.name for field in fields})
