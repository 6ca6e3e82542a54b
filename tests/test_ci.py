"""The rendered pipelines: linters accept them, and their commands do what their jobs say."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tarfile
import tomllib
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import copier
import pytest
import yaml

from .conftest import Installed, Render, commit, git
from .service import CONSTRAINTS, Outcome, Service
from .test_existing_repository import COMMON, DEFAULTS, LAYOUTS, hashes
from .test_update import assert_merged, edit, own_lines
from .variants import TEMPLATE, default_images, variants

SYSTEMS = {
    path.parent.name: yaml.safe_load(path.read_text())
    for path in sorted((TEMPLATE / "template" / "ci").glob("*/ci.yml"))
}
OWN = {
    ".github/workflows/tests.yml": "on: push\njobs: {}\n",
    ".gitlab-ci.yml": "stages: [build, test]\nunit: {script: make}\n",
}
EXISTING = {**COMMON, **LAYOUTS["tests below a package"], **LAYOUTS["tests in a package"]}
ALL = {"dependencies": list(variants()[-1])}
LAYERS = ("tests/integration/", "tests/e2e/")
PINNED = r"[\w-]+/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+"
"""An action: one commit, and its version beside it."""
NONE: dict[str, Any] = {"dependencies": [], "external_apis": []}


@dataclass(frozen=True)
class Case:
    """A folder to render into, and the answers."""

    files: Mapping[str, str] = field(default_factory=dict)
    answers: Mapping[str, Any] = field(default_factory=dict)


CASES = {
    "default": Case(),
    "all": Case(answers=ALL),
    "none": Case(answers=NONE),
    "all-bare": Case(answers={**ALL, "example": False}),
    "none-bare": Case(answers={**NONE, "example": False}),
    "existing": Case(EXISTING),
    "existing-none": Case(EXISTING, NONE),
    "existing-no-tests": Case(
        {"setup.py": "from setuptools import setup\n\nsetup(name='app')\n"},
        {"dependencies": DEFAULTS[:1]},
    ),
    # Its tests are shuffled, and not by our choice.
    "existing-ci": Case({**EXISTING, **OWN, "requirements.txt": "pytest-randomly\n"}),
}

DEFAULT_FIRST = ["default", *(pytest.param(case, marks=pytest.mark.suite) for case in [*CASES][1:])]
"""All cases; without the tests marked `suite`, the default one."""


def put(folder: Path, files: Mapping[str, str]) -> None:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)


@pytest.fixture(params=SYSTEMS)
def ci(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture
def rendered(render: Render, tmp_path: Path) -> Callable[[str, str], Service]:
    """Function that renders a case with a CI."""

    def rendered(case: str, ci: str) -> Service:
        path = tmp_path / "shop"
        put(path, CASES[case].files)
        return render(path, ci=ci, **CASES[case].answers)

    return rendered


def pipeline(service: Service, ci: str) -> Path:
    """The file that a CI reads, or the one that stands beside the repository's own."""
    beside = service.path / str(SYSTEMS[ci]["beside"])
    return beside if beside.exists() else service.path / str(SYSTEMS[ci]["file"])


@dataclass(frozen=True)
class Command:
    script: str
    environment: dict[str, str]

    @property
    def starts_pytest(self) -> bool:
        return bool(re.match(r"pytest\b", self.script))

    @property
    def installs(self) -> bool:
        return bool(re.match(r"(uv|pip)\b", self.script))


Jobs = dict[str, list[list[Command]]]
"""By the name of a job, the commands of each machine that it runs on."""


def jobs_of(service: Service, ci: str) -> Jobs:
    document = yaml.safe_load(pipeline(service, ci).read_text())
    return {"github": github_jobs, "gitlab": gitlab_jobs}[ci](document)


def github_jobs(document: dict[str, Any]) -> Jobs:
    found: Jobs = {}
    for name, job in document["jobs"].items():
        # One Python stands for all: see the test of the versions.
        groups = job.get("strategy", {}).get("matrix", {}).get("group", [1])
        found[name] = []
        for group in groups:
            values = {"strategy.job-total": str(len(groups)), "matrix.group": str(group)}
            found[name].append(
                [
                    Command(
                        step["run"],
                        filled({**document.get("env", {}), **step.get("env", {})}, values),
                    )
                    for step in job["steps"]
                    if "run" in step
                ]
            )
    return found


def filled(environment: dict[str, str], values: dict[str, str]) -> dict[str, str]:
    """An environment with the value of each expression of GitHub's."""
    expression = re.compile(r"\$\{\{ (.+?) \}\}")
    return {
        # A secret that nobody set is empty.
        name: expression.sub(lambda match: values.get(match[1], ""), text)
        for name, text in environment.items()
    }


def gitlab_jobs(document: dict[str, Any]) -> Jobs:
    found: Jobs = {}
    for name, job in document.items():
        if "extends" not in job:
            continue
        job = {**document[job["extends"]], **job}
        parts = job.get("parallel", 1)
        machines = range(1, (parts if isinstance(parts, int) else 1) + 1)
        found[name.removeprefix("testbed-").removeprefix("shop-")] = [
            [
                Command(line, {"CI_NODE_TOTAL": str(len(machines)), "CI_NODE_INDEX": str(machine)})
                for line in job["before_script"] + job["script"]
            ]
            for machine in machines
        ]
    return found


def execute(service: Service, command: Command, *options: str) -> Outcome:
    """Run a command as CI does, in the environment of the service; options are pytest's."""
    own = service.path / ".venv"
    path = f"{own / 'bin'}:{Path(sys.executable).parent}:{os.environ['PATH']}"
    environment = {
        "CI": "true",
        "GITHUB_RUN_ID": "12345678901",
        "CI_PIPELINE_ID": "1234567890",
        "PATH": path,
        "VIRTUAL_ENV": str(own),
        "UV_CONSTRAINT": str(CONSTRAINTS),
        "PIP_CONSTRAINT": str(CONSTRAINTS),
        "PYTEST_ADDOPTS": shlex.join(options),
        **command.environment,
    }
    return service.run("bash", "-e", "-c", command.script, env=environment)


def must(command: list[str], cwd: Path | None = None) -> str:
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def assert_linters_accept(path: Path, ci: str) -> None:
    """Have the schema of a CI, and for GitHub zizmor, find nothing in a pipeline."""
    assert re.findall(r".* $|.*\t|.*\{%.*|^\n\n", path.read_text(), re.MULTILINE) == []
    schema = {"github": "vendor.github-workflows", "gitlab": "vendor.gitlab-ci"}[ci]
    must([sys.executable, "-m", "check_jsonschema", "--builtin-schema", schema, str(path)])
    if ci == "github":
        options = ["--offline", "--no-progress", "--persona", "auditor"]
        must([str(Path(sys.executable).with_name("zizmor")), *options, str(path)])


def assert_actionlint_accepts(workflow: Path) -> None:
    """Have actionlint find nothing in a workflow; without actionlint, skip."""
    beside = Path(sys.executable).with_name("actionlint")
    program = str(beside) if beside.exists() else shutil.which("actionlint")
    if program is None:
        pytest.skip("no actionlint: .ci/run builds it where Go is, see docs/decisions")

    must([program, str(workflow)])


@pytest.mark.parametrize("case", DEFAULT_FIRST)
def test_linters_accept_the_pipeline(
    rendered: Callable[[str, str], Service], case: str, ci: str
) -> None:
    service = rendered(case, ci)

    assert_linters_accept(pipeline(service, ci), ci)


@pytest.mark.parametrize("case", DEFAULT_FIRST)
def test_actionlint_accepts_the_workflow(
    rendered: Callable[[str, str], Service], case: str
) -> None:
    assert_actionlint_accepts(pipeline(rendered(case, "github"), "github"))


def test_each_action_is_one_commit_with_its_version(
    rendered: Callable[[str, str], Service],
) -> None:
    text = pipeline(rendered("default", "github"), "github").read_text()

    used = set(re.findall(r"uses: (.*)", text))

    assert all(re.fullmatch(PINNED, each) for each in used)
    assert {each.partition("@")[0] for each in used} == {
        "actions/cache",
        "actions/checkout",
        "astral-sh/setup-uv",
    }
    assert len(used) == 3


def test_workflow_gives_each_job_little_and_not_for_long(
    rendered: Callable[[str, str], Service],
) -> None:
    workflow = yaml.safe_load(pipeline(rendered("default", "github"), "github").read_text())

    assert workflow["permissions"] == {}
    assert list(workflow["jobs"]) == ["lint", "types", "unit", "integration", "gates", "sandbox"]
    for job in workflow["jobs"].values():
        assert job["permissions"] == {"contents": "read"}
        assert 0 < job["timeout-minutes"] <= 30
        assert job["steps"][0]["with"] == {"persist-credentials": False}


def test_main_runs_everything_and_a_pull_request_all_but_the_sandboxes(
    rendered: Callable[[str, str], Service],
) -> None:
    workflow = yaml.safe_load(pipeline(rendered("default", "github"), "github").read_text())

    # YAML 1.1 reads the key `on` as a boolean.
    events = workflow[True]
    assert events["push"] == {"branches": ["main", "master"]}
    assert set(events) == {"push", "pull_request", "schedule", "workflow_dispatch"}
    assert events["pull_request"] is None
    # A commit of main is not cancelled by the next one.
    assert workflow["concurrency"]["cancel-in-progress"] == (
        "${{ github.event_name == 'pull_request' }}"
    )
    conditions = {name: job["if"] for name, job in workflow["jobs"].items() if "if" in job}
    assert conditions == {"sandbox": "github.event_name != 'pull_request'"}


@pytest.mark.parametrize("case", ["default", "existing-ci"])
def test_default_branch_runs_everything_and_a_merge_request_all_but_the_sandboxes(
    rendered: Callable[[str, str], Service], case: str
) -> None:
    document = yaml.safe_load(pipeline(rendered(case, "gitlab"), "gitlab").read_text())

    when = {
        name.removeprefix("testbed-"): [
            rule["if"] for rule in {**document[job["extends"]], **job}["rules"]
        ]
        for name, job in document.items()
        if "extends" in job
    }

    branches = [
        '$CI_PIPELINE_SOURCE == "schedule" || $CI_PIPELINE_SOURCE == "web"',
        "$CI_COMMIT_BRANCH == $CI_DEFAULT_BRANCH",
    ]
    requests = ['$CI_PIPELINE_SOURCE == "merge_request_event"']
    assert when.pop("sandbox", branches) == branches
    assert set(when) >= {"unit", "integration", "gates"}
    assert all(rules == branches + requests for rules in when.values())


def test_unit_tests_run_on_each_supported_python(
    rendered: Callable[[str, str], Service], ci: str
) -> None:
    service = rendered("default", ci)
    document = yaml.safe_load(pipeline(service, ci).read_text())

    if ci == "github":
        versions = document["jobs"]["unit"]["strategy"]["matrix"]["python"]
    else:
        ((versions,),) = [list(each.values()) for each in document["unit"]["parallel"]["matrix"]]

    project = tomllib.loads((service.path / "pyproject.toml").read_text())
    assert versions == ["3.11", "3.12", "3.13"]
    assert project["project"]["requires-python"] == f">={versions[0]}"
    # All other jobs have the last one.
    text = pipeline(service, ci).read_text()
    assert set(re.findall(r'(?:python-version|PYTHON): "(.*)"', text)) == {versions[-1]}


def test_linter_and_types_are_checked_where_the_project_is_new(
    rendered: Callable[[str, str], Service], installed: Installed, ci: str
) -> None:
    service = rendered("all", ci)
    (service.path / ".venv").symlink_to(installed(variants()[-1]).path / ".venv")
    jobs = jobs_of(service, ci)

    for name, expected in (("lint", 2), ("types", 1)):
        commands = [each for each in jobs[name][0] if not each.installs]
        assert len(commands) == expected
        for command in commands:
            tool = service.path / ".venv" / "bin" / command.script.split()[0]
            assert tool.exists(), f"{tool.name} is not in the group dev"
            done = execute(service, command)
            assert done.code == 0, done.output


@pytest.mark.suite
@pytest.mark.parametrize("levels", [(), ("services", "my shop")], ids=["root", "subfolder"])
def test_pipeline_of_a_subfolder_runs_there_and_for_its_changes(
    template: Path, tmp_path: Path, ci: str, levels: tuple[str, ...]
) -> None:
    git(tmp_path, "init", "--quiet", "--initial-branch", "main")
    path = tmp_path.joinpath(*levels)

    message = copy_into(
        template, path, "-d", f"ci={ci}", "-d", "package_name=shop", "-d", "project_name=shop"
    )

    service = Service(path)
    folder = "/".join(levels)
    text = pipeline(service, ci).read_text()
    document = yaml.safe_load(text)
    answers = yaml.safe_load((path / ".copier-answers.yml").read_text())
    assert answers["subfolder"] == folder
    assert ("changes" in text or "working-directory" in text) == bool(folder)
    if not folder:
        return
    if ci == "github":
        assert document["defaults"] == {"run": {"working-directory": folder}}
        assert document["name"] == f"{folder}/tests"
        for event in ("push", "pull_request"):
            assert document[True][event]["paths"] == [f"{folder}/**"]
        for job in document["jobs"].values():
            assert job["steps"][1]["with"]["working-directory"] == folder
        (hashed,) = set(re.findall(r"hashFiles\('(.*)'\)", text))
        assert (tmp_path / hashed).is_file()
        assert "move .github/workflows/tests.yml there" in message
    else:
        (line,) = re.findall(r"^  (include: .*)$", message, re.MULTILINE)
        assert (tmp_path / yaml.safe_load(line)["include"]).is_file()
        assert all(name.lstrip(".").startswith("shop-") for name in document)
        (cache,) = document[".shop-python"]["cache"]["key"]["files"]
        assert (tmp_path / cache).is_file()
        # Every job starts in the root folder of the repository.
        command = jobs_of(service, ci)["unit"][0][0].script
        done = Service(tmp_path).run("bash", "-e", "-c", f"{command}\npwd")
        assert done.output.strip() == str(path)
    schema = {"github": "vendor.github-workflows", "gitlab": "vendor.gitlab-ci"}[ci]
    checked = pipeline(service, ci)
    must([sys.executable, "-m", "check_jsonschema", "--builtin-schema", schema, str(checked)])


@pytest.mark.suite
def test_update_keeps_the_folder_of_the_pipeline(template: Path, tmp_path: Path, ci: str) -> None:
    git(tmp_path, "init", "--quiet", "--initial-branch", "main")
    path = tmp_path / "services" / "shop"
    copy_into(template, path, "-d", f"ci={ci}", "-d", "dependencies=[]")
    commit(tmp_path, "rendered")
    before = pipeline(Service(path), ci).read_text()

    copier.run_update(path, defaults=True, overwrite=True, quiet=True)

    assert pipeline(Service(path), ci).read_text() == before
    assert git(tmp_path, "status", "--porcelain") == ""


@pytest.mark.parametrize(
    ("case", "expected"),
    [("default", True), ("none", False), ("existing", True), ("existing-none", False)],
)
def test_images_are_cached_where_there_are_any(
    rendered: Callable[[str, str], Service], case: str, expected: bool
) -> None:
    text = pipeline(rendered(case, "github"), "github").read_text()

    assert ("actions/cache@" in text) == ("docker" in text) == expected


@pytest.mark.parametrize(
    ("case", "jobs"),
    [
        ("default", ["lint", "types", "unit", "integration", "gates", "sandbox"]),
        ("all-bare", ["lint", "types", "unit", "integration", "gates"]),
        ("none", ["lint", "types", "unit", "integration", "gates"]),
        ("none-bare", ["lint", "types", "unit"]),
        ("existing", ["unit", "integration", "gates"]),
        ("existing-none", ["unit"]),
    ],
)
def test_jobs_are_those_that_have_tests(
    rendered: Callable[[str, str], Service], case: str, jobs: list[str], ci: str
) -> None:
    found = jobs_of(rendered(case, ci), ci)

    assert list(found) == jobs
    for machines in found.get("gates", []):
        assert [each.script for each in machines if not each.installs][-1] == (
            "python -m tests.testbed gates"
        )


def test_sandbox_job_alone_has_the_environment_of_the_keys(
    rendered: Callable[[str, str], Service], ci: str
) -> None:
    document = yaml.safe_load(pipeline(rendered("default", ci), ci).read_text())

    environments = {
        name: job["environment"]
        for name, job in document.get("jobs", document).items()
        if "environment" in job
    }

    expected = {"github": "sandbox", "gitlab": {"name": "sandbox", "action": "access"}}
    assert environments == {"sandbox": expected[ci]}


def test_sandbox_job_needs_no_server_and_skips_sandboxes_without_a_key(
    rendered: Callable[[str, str], Service], installed: Installed, ci: str
) -> None:
    service = rendered("default", ci)
    (service.path / ".venv").symlink_to(installed(variants()[-1]).path / ".venv")
    ((*_, command),) = jobs_of(service, ci)["sandbox"]

    # There is no engine: a test that asked for a server would fail.
    environment = {**command.environment, "DOCKER_HOST": "unix:///nowhere"}
    done = execute(service, Command(command.script, environment), "--servers", "containers")

    assert done.code == 0, done.output
    assert done.count("skipped") == 2
    assert done.count("passed") == 0


def node_ids(output: str) -> list[str]:
    return re.findall(r"^(\S+\.py::.+?)(?: PASSED.*)?$", output, re.MULTILINE)


def ran(output: str) -> list[str]:
    return re.findall(r"^(\S+\.py::.+?) PASSED", output, re.MULTILINE)


RUN = [
    ("none", "github"),
    ("existing", "github"),
    ("existing-ci", "gitlab"),
    ("existing-none", "github"),
    ("existing-no-tests", "gitlab"),
]


@pytest.mark.suite
@pytest.mark.parametrize(
    ("case", "ci"),
    [pytest.param(*each, marks=pytest.mark.engine if each[1] == "github" else ()) for each in RUN],
    ids=["-".join(each) for each in RUN],
)
def test_jobs_together_run_every_test_once(
    rendered: Callable[[str, str], Service], request: pytest.FixtureRequest, case: str, ci: str
) -> None:
    if ci == "github":
        request.getfixturevalue("engine")
    service = rendered(case, ci)
    service.environment["DATABASE_URL"] = "of the developer"
    own = service.path / "tests" / "integration" / "test_mine.py"
    if own.exists():
        # A command that names this folder alone sets the environment for tests.
        own.write_text(own.read_text().replace(' == "of the developer"', ""))
    new = not case.startswith("existing")
    if new:
        constrain(service.path / "pyproject.toml")
    uv = [sys.executable, "-m", "uv", "--quiet", "venv", "--seed", "--python", sys.executable]
    must([*uv, str(service.path / ".venv")])
    jobs = jobs_of(service, ci)

    installs = {each.script for machines in jobs.values() for one in machines for each in one}
    for command in [each for each in jobs["unit"][0] if each.installs]:
        done = execute(service, command)
        assert done.code == 0, done.output
        installs.remove(command.script)

    found: dict[str, list[str]] = {}
    for job, machines in jobs.items():
        for number, commands in enumerate(machines):
            for command in [each for each in commands if each.starts_pytest]:
                done = execute(service, command, "-v")
                assert done.code == 0, done.output
                assert done.all_passed or case == "existing-no-tests" and job == "unit"
                found[f"{job} {number}"] = ran(done.output)

    listing = service.pytest(*(["-m", ""] if new else []), "--collect-only", "-q")
    every = node_ids(listing.output)
    assert Counter(node for nodes in found.values() for node in nodes) == Counter(every)
    inside = [node for node in every if node.startswith(LAYERS)]
    if "integration" in jobs:
        assert Counter(inside) == Counter(found["integration 0"] + found["integration 1"])
        assert found["integration 0"] and found["integration 1"]
    assert service.leftovers() == []
    # All jobs install in the same way.
    assert not [script for script in installs if re.match(r"(uv|pip)\b", script)]


def test_shards_of_a_whole_service_have_every_test_once(
    rendered: Callable[[str, str], Service], installed: Installed, ci: str
) -> None:
    service = rendered("default", ci)
    (service.path / ".venv").symlink_to(installed(variants()[-1]).path / ".venv")

    shards = []
    for commands in jobs_of(service, ci)["integration"]:
        (command,) = (each for each in commands if each.starts_pytest)
        shards.append(node_ids(execute(service, command, "--collect-only", "-q").output))

    listing = service.pytest("-m", "integration or e2e", "--collect-only", "-q")
    assert Counter(node for shard in shards for node in shard) == Counter(node_ids(listing.output))
    assert len(shards) == 2 and all(shards)


def constrain(project: Path) -> None:
    """Have `uv sync` take the versions that all other tests take."""
    pins = [line for line in CONSTRAINTS.read_text().splitlines() if not line.startswith("#")]
    text = f"\n[tool.uv]\nconstraint-dependencies = {json.dumps(pins)}\n"
    project.write_text(project.read_text() + text)


def test_shards_run_every_test_once_with_the_durations_of_the_comment(
    rendered: Callable[[str, str], Service], installed: Installed, ci: str
) -> None:
    service = rendered("none", ci)
    (service.path / ".venv").symlink_to(installed(()).path / ".venv")
    text = pipeline(service, ci).read_text()
    (store,) = set(re.findall(r"# `(pytest.* --store-durations)`", text))

    done = execute(service, Command(store, {}))

    assert done.all_passed, done.output
    stored = json.loads((service.path / ".test_durations").read_text())
    shards = []
    for commands in jobs_of(service, ci)["integration"]:
        (command,) = (each for each in commands if each.starts_pytest)
        done = execute(service, command, "--collect-only", "-q")
        assert "No test durations found" not in done.output
        shards.append(node_ids(done.output))
    expected = [node for node in stored if node.startswith(LAYERS)]
    assert Counter(node for shard in shards for node in shard) == Counter(expected)
    assert all(shards)


@pytest.mark.suite
@pytest.mark.engine
def test_images_are_saved_and_loaded(
    rendered: Callable[[str, str], Service], tmp_path: Path, engine: None
) -> None:
    service = rendered("default", "github")
    archive = tmp_path / "images.tar"
    scripts = [
        each.script.replace("/tmp/images.tar", str(archive))
        for each in jobs_of(service, "github")["integration"][0]
        if "docker" in each.script and not each.starts_pytest
    ]

    done = [service.run("bash", "-e", "-c", script) for script in scripts]

    assert len(done) == 2
    assert [each.code for each in done] == [0, 0], done
    with tarfile.open(archive) as file:
        manifest = file.extractfile("manifest.json")
        assert manifest is not None
        tags = {tag for image in json.load(manifest) for tag in image["RepoTags"]}
    assert tags == set(default_images())


def copy_into(template: Path, path: Path, *options: str) -> str:
    """Copy the template from the command line and return the closing message."""
    command = [sys.executable, "-m", "copier", "copy", "--defaults", *options]
    done = subprocess.run(
        [*command, str(template), str(path)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stderr


@pytest.mark.suite
@pytest.mark.parametrize("files", [EXISTING, {}], ids=["existing", "new"])
def test_pipeline_of_the_repository_stays_and_ours_stands_beside_it(
    template: Path, tmp_path: Path, files: Mapping[str, str], ci: str
) -> None:
    path = tmp_path / "shop"
    put(path, {**files, **OWN})
    git(path, "init", "--quiet", "--initial-branch", "main")
    commit(path, "mine")
    own = hashes(path)

    message = copy_into(template, path, "-d", f"ci={ci}")

    assert {name: hashes(path)[name] for name in own} == own
    beside = yaml.safe_load((path / SYSTEMS[ci]["beside"]).read_text())
    assert not any((path / SYSTEMS[other]["beside"]).exists() for other in SYSTEMS if other != ci)
    if ci == "gitlab":
        (line,) = re.findall(r"^  (include: .*)$", message, re.MULTILINE)
        assert yaml.safe_load(line) == {"include": SYSTEMS[ci]["beside"]}
        assert "add this line to .gitlab-ci.yml" in message
        # It shares a namespace with the jobs of the repository.
        assert all(name.lstrip(".").startswith("testbed-") for name in beside)
    else:
        assert "include:" not in message


@pytest.mark.suite
@pytest.mark.parametrize(
    ("files", "default"),
    [
        ([], "github"),
        ([".github/CODEOWNERS"], "github"),
        ([".gitlab-ci.yml"], "gitlab"),
        ([".gitlab-ci.yml", ".github/workflows/release.yml"], "github"),
    ],
    ids=lambda value: "+".join(value) if isinstance(value, list) else value,
)
def test_default_is_what_the_repository_shows(
    render: Render, tmp_path: Path, files: list[str], default: str
) -> None:
    put(tmp_path / "shop", dict.fromkeys(files, ""))

    service = render(tmp_path / "shop", dependencies=[])

    answers = yaml.safe_load((service.path / ".copier-answers.yml").read_text())
    assert answers["ci"] == default


def test_none_renders_no_pipeline_and_needs_no_package(render: Render, tmp_path: Path) -> None:
    service = render(tmp_path / "shop", ci="none")

    for facts in SYSTEMS.values():
        assert not (service.path / facts["file"]).exists()
    assert not (service.path / ".github").exists()
    assert "pytest-split" not in (service.path / "pyproject.toml").read_text()


@pytest.mark.suite
@pytest.mark.parametrize(("old", "new"), [("github", "gitlab"), ("gitlab", "none")])
def test_update_exchanges_the_pipeline_and_keeps_own_edits(
    render: Render, tmp_path: Path, old: str, new: str
) -> None:
    service = render(tmp_path / "shop", ci=old)
    git(service.path, "init", "--quiet", "--initial-branch", "main")
    commit(service.path, "rendered")
    edit(service, kept=DEFAULTS[0])
    own = own_lines(service)

    data = {"ci": new}
    copier.run_update(service.path, data=data, defaults=True, overwrite=True, quiet=True)

    assert_merged(service, own)
    there = {name for name, facts in SYSTEMS.items() if (service.path / facts["file"]).exists()}
    assert there == {new} - {"none"}
    assert ("pytest-split" in (service.path / "pyproject.toml").read_text()) == (new != "none")
    changed = git(service.path, "status", "--porcelain", "--untracked-files=all").splitlines()
    expected = {SYSTEMS[each]["file"] for each in (old, new) if each != "none"}
    # It says where to put the names of sandboxes, and what to commit for the shards.
    expected |= {".copier-answers.yml", "tests/README.md"}
    expected |= {"pyproject.toml"} if new == "none" else set()
    assert {line[3:] for line in changed} == expected


@pytest.mark.suite
def test_own_edits_of_the_pipeline_survive_another_dependency(
    render: Render, tmp_path: Path, ci: str
) -> None:
    service = render(tmp_path / "shop", ci=ci, dependencies=[])
    git(service.path, "init", "--quiet", "--initial-branch", "main")
    commit(service.path, "rendered")
    path = pipeline(service, ci)
    before = path.read_text()
    own = {
        "github": "\n  mine:\n    runs-on: ubuntu-latest\n    steps:\n      - run: make mine\n",
        "gitlab": "\nmine:\n  script:\n    - make mine\n",
    }[ci]
    path.write_text(before + own)
    commit(service.path, "edited")

    data = {"dependencies": DEFAULTS}
    copier.run_update(service.path, data=data, defaults=True, overwrite=True, quiet=True)

    assert git(service.path, "diff", "--name-only", "--diff-filter=U") == ""
    text = path.read_text()
    assert text.endswith(own)
    assert "--servers" in text
