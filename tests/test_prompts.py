"""The questions in a terminal: keys, a wrong answer and its correction, and Ctrl-C."""

import os
import pty
import select
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import copier
import pytest
import yaml
from copier._main import Worker
from copier._user_data import Question
from copier.errors import UserMessageError

pytestmark = pytest.mark.suite

DOWN, ENTER, INTERRUPT, DELETE_LINE = "\x1b[B", "\r", "\x03", "\x15"
TIMEOUT = 60.0


class Terminal:
    """A copy of the template in a pseudo-terminal."""

    def __init__(self, template: Path, folder: Path, *arguments: str) -> None:
        self.output = ""
        self.all_output = ""
        self._end, end = pty.openpty()
        command = [sys.executable, "-m", "copier", "copy", *arguments, str(template), str(folder)]
        env = os.environ | {"TERM": "xterm", "COLUMNS": "200", "LINES": "50"}
        self.process = subprocess.Popen(command, stdin=end, stdout=end, stderr=end, env=env)
        os.close(end)

    def wait_for(self, text: str) -> None:
        """Read until a text appears that was not there at the last call."""
        deadline = time.monotonic() + TIMEOUT
        while text not in self.output:
            left = deadline - time.monotonic()
            assert left > 0 and select.select([self._end], [], [], left)[0], self.output
            text_read = os.read(self._end, 65536).decode(errors="replace")
            self.output += text_read
            self.all_output += text_read
        self.output = self.output.partition(text)[2]

    def type(self, *keys: str) -> None:
        for key in keys:
            os.write(self._end, key.encode())

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self._end)


SHORT = ("-d", "dependencies=[redis, kafka]", "-d", "apis=[]", "-d", "external_apis=[]")
"""Answers that are not of interest here."""


@pytest.fixture
def terminal(template: Path, tmp_path: Path) -> Iterator[Terminal]:
    terminal = Terminal(template, tmp_path / "shop")
    yield terminal
    terminal.close()


def test_answers_are_chosen_with_the_keys_and_a_wrong_one_is_corrected(
    terminal: Terminal, tmp_path: Path
) -> None:
    terminal.wait_for("Enter takes the proposed answer")
    terminal.wait_for("What is the service called?")
    terminal.type(ENTER)
    terminal.wait_for("What is the name of its Python package?")
    terminal.type(DELETE_LINE, "class", ENTER)
    terminal.wait_for("add _service (a keyword of Python")
    terminal.type(DELETE_LINE, "store", ENTER)
    terminal.wait_for("Which servers does the service talk to?")
    terminal.wait_for("runs without Docker")
    terminal.type(DOWN, " ", DOWN, " ", ENTER)
    terminal.wait_for("Which APIs does the service offer?")
    terminal.type(ENTER)
    terminal.wait_for("Which third-party HTTP APIs does the service call?")
    terminal.type(DELETE_LINE, "[]", ENTER)
    terminal.wait_for("Render a small example")
    terminal.type("n")
    terminal.wait_for("Where is your SQLAlchemy metadata?")
    terminal.type(ENTER)
    terminal.wait_for("Which file configures Alembic?")
    terminal.type(ENTER)
    terminal.wait_for("Where is your ASGI app?")
    terminal.type(ENTER)
    terminal.wait_for("Which CI system")
    terminal.type(DOWN, ENTER)
    terminal.wait_for("Servers: PostgreSQL.")
    terminal.wait_for("Write the files?")
    terminal.type("y")
    terminal.wait_for("The guide is tests/README.md")

    answers = yaml.safe_load((tmp_path / "shop" / ".copier-answers.yml").read_text())
    assert answers["package_name"] == "store"
    assert answers["dependencies"] == ["postgres"]
    assert (answers["example"], answers["ci"]) == (False, "gitlab")
    assert "render" not in answers


def test_interrupt_is_one_line_and_renders_nothing(terminal: Terminal, tmp_path: Path) -> None:
    terminal.wait_for("What is the service called?")
    terminal.type(INTERRUPT)
    terminal.wait_for("Execution stopped by user")

    assert terminal.process.wait(TIMEOUT) != 0
    assert not (tmp_path / "shop").exists()


def answered(terminal: Terminal) -> None:
    """Answer each question with what is proposed, up to the last."""
    for question in (
        "What is the service called?",
        "its Python package?",
        "Render a small example",
        "Which CI system",
    ):
        terminal.wait_for(question)
        terminal.type(ENTER)


EXISTING = {
    "pyproject.toml": "[project]\nname = 'app'\nversion = '1'\n",
    "tests/test_own.py": "",
    "tests/integration/cache/test_own.py": "",
}


@pytest.mark.parametrize("files", [{}, EXISTING], ids=["new", "existing"])
def test_summary_says_how_many_files_follow_and_which_commands(
    template: Path, tmp_path: Path, files: dict[str, str]
) -> None:
    folder = tmp_path / "my shop"
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    terminal = Terminal(template, folder, *SHORT)
    try:
        answered(terminal)
        terminal.wait_for("Write the files?")
        summary = terminal.all_output
        terminal.type(ENTER)
        terminal.wait_for("The guide is tests/README.md")
    finally:
        terminal.close()

    written = [path for path in folder.rglob("*") if path.is_file()]
    assert f"{len(written) - len(files)} files go into " in summary
    assert "Servers: Redis, Kafka." in summary
    runs = Path("/var/run/docker.pid").exists()
    assert ("so the tests start them in containers" in summary) == runs
    command = "pytest tests/integration" if files else 'uv run pytest -m ""'
    assert f"  {command}" in summary
    assert ("  git init" in summary) == (not files)


def test_no_to_the_last_question_writes_nothing(template: Path, tmp_path: Path) -> None:
    terminal = Terminal(template, tmp_path / "shop", *SHORT)
    try:
        answered(terminal)
        terminal.wait_for("Write the files?")
        terminal.type("n")
        terminal.wait_for("nothing was written")
        assert terminal.process.wait(TIMEOUT) != 0
    finally:
        terminal.close()

    assert not (tmp_path / "shop").exists()


def test_nobody_is_asked_again_who_gave_every_answer(template: Path, tmp_path: Path) -> None:
    answers: dict[str, Any] = {
        "project_name": "Shop",
        "package_name": "shop",
        "dependencies": [],
        "apis": [],
        "external_apis": [],
        "example": True,
        "ci": "none",
    }
    copier.run_copy(str(template), tmp_path / "shop", data=answers, quiet=True)

    assert (tmp_path / "shop" / "tests").is_dir()


PROBLEMS: dict[str, tuple[str, ...]] = {
    "project_name": ('a"b', "", "x" * 61),
    "package_name": ("2fast", "x" * 41, "nonlocal", "multiprocessing", "pytest"),
    "external_apis": ("[ß]", '["---"]', f"[{'a' * 31}]", "[a b, a-b]", "{a: b}"),
    "sqlalchemy_metadata": ("app.models",),
    "alembic_config": ("a b",),
    "asgi_app": ("app",),
}
COLUMNS = 80


@pytest.fixture(scope="module")
def worker(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Worker]:
    """Copier after its questions were answered, for what it shows in a terminal."""
    folder = tmp_path_factory.mktemp("worker") / "shop"
    with Worker(str(template), folder, data={"example": False}, defaults=True) as worker:
        worker._ask()
        yield worker


def shown(worker: Worker, question: str) -> dict[str, Any]:
    """What Copier hands to the terminal for a question."""
    return Question(
        answers=worker.answers,
        context=worker._render_context(),
        jinja_env=worker.jinja_env,
        var_name=question,
        **worker.template.questions_data[question],
    ).get_questionary_structure()


def test_every_validator_that_people_meet_is_measured(worker: Worker) -> None:
    questions = worker.template.questions_data
    assert set(PROBLEMS) == {
        name
        for name, details in questions.items()
        if "validator" in details and details.get("ask", True)
    }


@pytest.mark.parametrize("question", PROBLEMS)
def test_problem_fits_into_a_terminal_and_is_the_same_on_the_command_line(
    worker: Worker, template: Path, tmp_path: Path, question: str
) -> None:
    prefix = f"Validation error for question '{question}': "
    for answer in PROBLEMS[question]:
        message = shown(worker, question)["validate"](answer)

        assert message.startswith(prefix), (answer, message)
        assert len(message) <= COLUMNS, (len(message), message)
        advice = message.removeprefix(prefix)
        assert advice.startswith(("use ", "add ", "leave out ", "rename ")), advice
        with pytest.raises(UserMessageError) as refused:
            data = {"example": False, question: answer}
            copier.run_copy(str(template), tmp_path / "shop", data=data, defaults=True, quiet=True)
        if answer and answer[0] != "{":
            assert advice in str(refused.value)


def test_questions_and_choices_fit_into_a_terminal(worker: Worker) -> None:
    for name, details in worker.template.questions_data.items():
        if name in ("guard", "render", "refusals"):
            continue  # Shown never, or in lines of its own.
        if details.get("ask", True) and details.get("when", True) is not False:
            structure = shown(worker, name)
            assert all(len(f"?? {line}") <= COLUMNS for line in structure["message"].splitlines())
            for choice in structure.get("choices", []):
                assert len(f" » ● {choice.title}") <= COLUMNS, choice.title


def test_keys_are_told_once_for_each_list(terminal: Terminal) -> None:
    """The prompt says how to choose; no question says so again."""
    hint = "<space> to select"
    terminal.wait_for("What is the service called?")
    terminal.type(ENTER)
    terminal.wait_for("its Python package?")
    terminal.type(ENTER)
    terminal.wait_for(hint)
    terminal.wait_for("Kafka")

    assert terminal.all_output.lower().count("space") == 1
