"""The core without sockets: two relay ends wired together, and an `h2` peer at each side."""

from __future__ import annotations

import random

import h2.config
import h2.connection
import h2.events
import h2.settings
import pytest

from gateway.relay import frames
from gateway.relay.connection import Connection
from gateway.relay.limits import Limits
from gateway.relay.shared import Shared

KIB, MIB = 1024, 1024 * 1024


class Bridge:
    """Hears both sides and sends each new stream of the client on to the server, as calls do."""

    def __init__(self, shared):
        self.shared = shared
        self.client = Connection(shared, self, is_server=True)
        self.server = Connection(shared, self, is_server=False)
        self.done: list[int] = []
        self.resets: list[tuple[bool, int]] = []

    def on_headers(self, stream, fields, *, end):
        block = b"".join(field.wire for field in fields)
        if stream.connection is self.client:
            server = self.server.open_stream(block, end=end)
            stream.peer, server.peer = server, stream
            stream.is_fast = server.is_fast = True
        else:
            self.client.send_headers(stream.peer, block, end=end)

    def on_data(self, stream, payload, *, end):
        peer = stream.peer
        peer.connection.send_data(peer, payload, len(payload), end=end)

    def on_reset(self, stream, code):
        self.resets.append((stream.connection is self.client, code))
        stream.peer.connection.reset(stream.peer, code)

    def on_done(self, stream):
        self.done.append(stream.id)

    def on_goaway(self, connection, last_id):
        pass

    def on_ping_answered(self, connection):
        pass


class Peer:
    """A real HTTP/2 implementation at the other end of a connection."""

    def __init__(self, connection, *, client_side, window=65535):
        self.connection = connection
        self.h2 = h2.connection.H2Connection(
            h2.config.H2Configuration(client_side=client_side, header_encoding="utf-8")
        )
        self.h2.initiate_connection()
        self.h2.update_settings({h2.settings.SettingCodes.INITIAL_WINDOW_SIZE: window})
        self.events: list[h2.events.Event] = []
        self.takes = True

    def data(self, stream_id):
        return b"".join(
            one.data for one in self.events if isinstance(one, h2.events.DataReceived) and one.stream_id == stream_id
        )


class World:
    def __init__(self, limits=None, window=65535):
        self.now = 0.0
        self.shared = Shared(limits or Limits(), lambda: self.now)
        self.bridge = Bridge(self.shared)
        self.client = Peer(self.bridge.client, client_side=True, window=window)
        self.server = Peer(self.bridge.server, client_side=False, window=window)
        self.cut = random.Random(7)
        self.run()

    def run(self):
        """Carry bytes both ways until nothing moves."""
        moved = True
        while moved:
            moved = False
            for peer in (self.client, self.server):
                if data := peer.h2.data_to_send():
                    moved = True
                    while data:
                        size = self.cut.choice((1, 7, 9, 100, 5000, 70000))
                        peer.connection.receive(data[:size])
                        data = data[size:]
                connection = peer.connection
                while connection.outbox or connection.has_more:
                    moved = True
                    came, connection.outbox = b"".join(bytes(one) for one in connection.outbox), []
                    if connection.has_more:
                        connection.resume()
                    events = peer.h2.receive_data(came)
                    peer.events += events
                    for event in events:
                        if isinstance(event, h2.events.DataReceived) and peer.takes and event.flow_controlled_length:
                            peer.h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
        self.shared.dirty.clear()


def request(path="/a.B/C"):
    return [
        (":method", "POST"),
        (":scheme", "http"),
        (":path", path),
        (":authority", "here"),
        ("content-type", "application/grpc"),
        ("te", "trailers"),
    ]


def pump(world, peer, stream_id, data, *, end=True):
    """Send all of it as windows allow."""
    while data:
        room = min(peer.h2.local_flow_control_window(stream_id), 16384, len(data))
        if not room:
            before = peer.h2.local_flow_control_window(stream_id)
            world.run()
            if peer.h2.local_flow_control_window(stream_id) == before:
                return data
            continue
        peer.h2.send_data(stream_id, data[:room], end_stream=end and room == len(data))
        data = data[room:]
    world.run()
    return b""


@pytest.mark.parametrize("size", [0, 1, 16384, 16385, 65536, 300 * KIB, 9 * MIB])
def test_a_request_arrives_whole_in_any_size(size):
    world = World()
    world.client.h2.send_headers(1, request(), end_stream=not size)
    body = random.Random(size).randbytes(size)
    assert pump(world, world.client, 1, body) == b""
    world.run()
    assert world.server.data(1) == body
    assert any(isinstance(one, h2.events.StreamEnded) for one in world.server.events)


def test_answers_and_trailers_come_back_on_the_right_streams():
    world = World()
    for stream_id in (1, 3, 5):
        world.client.h2.send_headers(stream_id, request(f"/a.B/{stream_id}"), end_stream=True)
    world.run()
    asked = {dict(one.headers)[":path"]: one.stream_id for one in world.server.events if hasattr(one, "headers")}
    for path, stream_id in asked.items():
        world.server.h2.send_headers(stream_id, [(":status", "200")])
        world.server.h2.send_data(stream_id, path.encode() * 100)
        world.server.h2.send_headers(stream_id, [("grpc-status", "0"), ("path", path)], end_stream=True)
    world.run()
    for stream_id in (1, 3, 5):
        assert world.client.data(stream_id) == f"/a.B/{stream_id}".encode() * 100
    assert not world.bridge.client.streams
    assert not world.bridge.server.streams


@pytest.mark.parametrize("window", [1, 100, 65535, 1 << 20])
def test_a_window_smaller_than_a_frame_stops_nothing(window):
    world = World(window=window)
    world.client.h2.send_headers(1, request())
    body = random.Random(1).randbytes(3000 if window == 1 else 200 * KIB)
    assert pump(world, world.client, 1, body) == b""
    assert world.server.data(1) == body


def test_a_server_that_does_not_read_stops_its_sender_and_nobody_else():
    world = World()
    world.server.takes = False
    world.client.h2.send_headers(1, request())
    left = pump(world, world.client, 1, bytes(2 * MIB))
    assert left
    sent = 2 * MIB - len(left)
    assert sent <= 65535 + 256 * KIB
    assert world.shared.stats.queued == world.bridge.client.held == sent - 65535
    # What came is acknowledged on the connection, so that other streams go on.
    assert world.client.h2.outbound_flow_control_window > MIB


def test_it_goes_on_where_it_stopped_when_the_server_reads_again():
    world = World()
    world.server.takes = False
    world.client.h2.send_headers(1, request())
    body = random.Random(3).randbytes(MIB)
    left = pump(world, world.client, 1, body)
    world.server.takes = True
    taken = len(world.server.data(1))
    world.server.h2.acknowledge_received_data(taken, 1)
    world.run()
    assert pump(world, world.client, 1, left) == b""
    assert world.server.data(1) == body
    assert world.shared.stats.queued == world.bridge.client.held == 0


def test_a_reset_drops_what_waits():
    world = World()
    world.server.takes = False
    world.client.h2.send_headers(1, request())
    pump(world, world.client, 1, bytes(MIB))
    world.client.h2.reset_stream(1, frames.ErrorCode.CANCEL)
    world.run()
    assert world.bridge.resets == [(True, 8)]
    assert world.shared.stats.queued == world.bridge.client.held == 0
    assert not world.bridge.server.streams
    assert any(isinstance(one, h2.events.StreamReset) for one in world.server.events)


def test_a_full_transport_gets_no_more_than_a_window_of_each_stream():
    world = World(window=8 * MIB)
    world.client.h2.send_headers(1, request())
    world.run()
    world.bridge.server.is_paused = True
    left = pump(world, world.client, 1, bytes(MIB))
    assert MIB - len(left) == world.bridge.client.held == world.shared.stats.queued == 65535
    world.bridge.server.unpause()
    world.run()
    assert world.bridge.client.held == world.shared.stats.queued == 0
    assert pump(world, world.client, 1, left) == b""
    assert len(world.server.data(1)) == MIB


def test_many_streams_in_any_order_of_frames_lose_and_mix_nothing():
    world = World()
    rng = random.Random(11)
    bodies = {1 + 2 * number: rng.randbytes(rng.choice((10, 1000, 40000, 120000))) for number in range(40)}
    left = dict(bodies)
    for stream_id in bodies:
        world.client.h2.send_headers(stream_id, request())
    while left:
        stream_id = rng.choice(list(left))
        data = left[stream_id]
        room = min(world.client.h2.local_flow_control_window(stream_id), rng.choice((1, 50, 5000, 16384)), len(data))
        if room:
            world.client.h2.send_data(stream_id, data[:room], end_stream=room == len(data))
        left[stream_id] = data[room:]
        if not left[stream_id]:
            del left[stream_id]
        if rng.random() < 0.3:
            world.run()
    world.run()
    for stream_id, body in bodies.items():
        assert world.server.data(stream_id) == body
    assert world.shared.stats.queued == 0


@pytest.mark.parametrize("how", ["announce_end", "refuse_new", "fail"])
def test_a_connection_that_ends_before_the_peer_s_preface_came_has_its_own_before_its_end(how):
    shared = Shared(Limits(), lambda: 0.0)
    connection = Connection(shared, Bridge(shared), is_server=True)
    arguments = (frames.ErrorCode.NO_ERROR, "it took too long") if how == "fail" else ()
    getattr(connection, how)(*arguments)
    written = b"".join(bytes(one) for one in connection.outbox)
    assert written[3] == frames.SETTINGS
    client = Peer(connection, client_side=True)
    connection.outbox.clear()
    connection.receive(client.h2.data_to_send())
    kinds_and_flags = [(bytes(one)[3], bytes(one)[4]) for one in connection.outbox]
    assert (frames.SETTINGS, 0) not in kinds_and_flags, "its own settings went twice"


def test_nothing_follows_the_last_goaway():
    world = World(window=0)
    world.client.h2.send_headers(1, request(), end_stream=True)
    world.run()
    world.server.h2.send_headers(1, [(":status", "200")])
    world.server.h2.send_data(1, bytes(1000))
    world.run()
    client = world.bridge.client
    assert client.blocked
    client.receive(frames.window_update(1, 5000) + frames.frame(frames.PING, 0, 0, b"too short"[:7]))
    client.resume()
    world.server.h2.send_data(1, bytes(1000))
    world.bridge.server.receive(world.server.h2.data_to_send())
    written = b"".join(bytes(one) for one in client.outbox)
    last = frames.goaway(1, frames.ErrorCode.FRAME_SIZE_ERROR, "a frame of the wrong size for its type")
    assert written.endswith(last)
