"""Makes the code of the protocol: `python proto/generate.py` after each change of a .proto file."""

import re
import subprocess
import sys
from pathlib import Path

PROTO = Path(__file__).parent
GENERATED = PROTO.parent / "src" / "{{ package_name }}" / "generated"


def generate(target: Path = GENERATED) -> None:
    files = sorted(PROTO.glob("*.proto"))
    outputs = [f"--{kind}_out={target}" for kind in ("python", "pyi", "grpc_python")]
    command = [sys.executable, "-m", "grpc_tools.protoc", f"--proto_path={PROTO}", *outputs]
    subprocess.run([*command, *map(str, files)], check=True)
    for module in target.glob("*_pb2*.py*"):
        # The compiler expects its modules on the path, not in a package.
        text = module.read_text(encoding="utf-8")
        text = re.sub(r"^import (\w+_pb2) as", r"from . import \1 as", text, flags=re.MULTILINE)
        module.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    generate()
