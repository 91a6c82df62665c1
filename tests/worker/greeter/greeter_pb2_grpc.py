"""The stubs of a small service, as a generator would make them."""

from __future__ import annotations

from typing import Any

import greeter_pb2
import grpc

SERVICE = "greeter.Greeter"


class GreeterServicer:
    """What a service implements."""

    def SayHello(self, request: Any, context: Any) -> Any:
        """Greet somebody."""
        raise NotImplementedError


def add_GreeterServicer_to_server(servicer: GreeterServicer, server: Any) -> None:
    """Serve it."""
    say_hello: grpc.RpcMethodHandler[Any, Any] = grpc.unary_unary_rpc_method_handler(
        servicer.SayHello,
        request_deserializer=greeter_pb2.HelloRequest.FromString,
        response_serializer=greeter_pb2.HelloReply.SerializeToString,
    )
    handler = grpc.method_handlers_generic_handler(SERVICE, {"SayHello": say_hello})
    server.add_generic_rpc_handlers((handler,))
