"""The messages of a small service, as a generator would make them."""

from __future__ import annotations

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

_FILE = descriptor_pb2.FileDescriptorProto(name="greeter.proto", package="greeter", syntax="proto3")
for _message, _field in [("HelloRequest", "name"), ("HelloReply", "message")]:
    _FILE.message_type.add(name=_message).field.add(
        name=_field,
        number=1,
        type=descriptor_pb2.FieldDescriptorProto.TYPE_STRING,
        label=descriptor_pb2.FieldDescriptorProto.LABEL_OPTIONAL,
    )
_POOL = descriptor_pool.DescriptorPool()
_POOL.AddSerializedFile(_FILE.SerializeToString())

HelloRequest = message_factory.GetMessageClass(_POOL.FindMessageTypeByName("greeter.HelloRequest"))
HelloReply = message_factory.GetMessageClass(_POOL.FindMessageTypeByName("greeter.HelloReply"))
