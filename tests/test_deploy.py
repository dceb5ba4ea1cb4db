"""What is deployed fits together and fits the worker: compose file, Dockerfile, Prometheus rules. No engine is needed."""

import json
import re
import shutil
import subprocess
from importlib import resources
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from worker.config import Settings, read
from worker.metrics import Metrics

ROOT = Path(__file__).resolve().parent.parent
PROMETHEUS = ROOT / "deploy" / "prometheus"


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
    return content


@pytest.fixture(scope="module")
def dockerfile() -> list[tuple[str, str]]:
    """(instruction, the rest of it) in order; comments dropped, continued lines joined."""
    text = re.sub(r"^#.*\n", "", (ROOT / "deploy" / "Dockerfile").read_text(), flags=re.MULTILINE)
    lines = re.sub(r"\\\n\s*", "", text).splitlines()
    return [(line.split(maxsplit=1)[0], line.split(maxsplit=1)[1]) for line in lines if line.strip()]


def image_environment(dockerfile: list[tuple[str, str]]) -> dict[str, str]:
    settings = " ".join(rest for name, rest in dockerfile if name == "ENV").split()
    return dict(setting.split("=", 1) for setting in settings)


def test_the_compose_file_keeps_to_the_compose_specification(compose: dict[str, Any]) -> None:
    specification = resources.files("check_jsonschema") / "builtin_schemas" / "vendor" / "compose-spec.json"
    faults = jsonschema.Draft202012Validator(json.loads(specification.read_text())).iter_errors(compose)
    assert [fault.message for fault in faults] == []


def test_the_docker_client_reads_the_compose_file() -> None:
    if not shutil.which("docker") or subprocess.run(["docker", "compose", "version"], capture_output=True, check=False).returncode:
        pytest.skip("the docker client has no compose plugin here")
    done = subprocess.run(["docker", "compose", "config", "--quiet"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_the_image_has_the_malloc_that_it_preloads(dockerfile: list[tuple[str, str]]) -> None:
    library = image_environment(dockerfile)["LD_PRELOAD"]
    installed = [rest for name, rest in dockerfile if name == "RUN" and "apt-get install" in rest]
    assert library == "libjemalloc.so.2", "by its name alone, for its directory is another on each architecture"
    assert any("libjemalloc2" in step.split() for step in installed)


def test_every_service_is_bounded_unprivileged_and_closed_to_other_machines(compose: dict[str, Any]) -> None:
    for name, service in compose["services"].items():
        assert service["mem_limit"], name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", [])), name
        assert re.search(r":v?\d+\.\d+\.\d+$", service["image"]), name


def test_every_service_that_stays_is_restarted_and_tells_its_health(compose: dict[str, Any]) -> None:
    for name, service in compose["services"].items():
        if name != "topics":  # runs once
            assert service["restart"] == "unless-stopped", name
            assert "healthcheck" in service or name == "worker", name  # the worker's is in its image


def test_services_wait_for_what_they_need(compose: dict[str, Any]) -> None:
    services = compose["services"]
    for name, service in services.items():
        for needed, how in service.get("depends_on", {}).items():
            if how["condition"] == "service_healthy":
                assert "healthcheck" in services[needed], (name, needed)
            else:
                assert how["condition"] == "service_completed_successfully", (name, needed)
                assert services[needed]["restart"] == "no", (name, needed)


def test_secrets_come_from_files_that_git_and_the_image_do_not_see(compose: dict[str, Any]) -> None:
    ignored = (ROOT / ".gitignore").read_text().splitlines()
    assert "/deploy/secrets/" in ignored
    assert all(secret["file"].startswith("deploy/secrets/") for secret in compose["secrets"].values())
    assert (ROOT / ".dockerignore").read_text().splitlines()[1] == "*"  # everything, but for what is named after it
    for service in compose["services"].values():
        mounted = {f"/run/secrets/{secret}" for secret in service.get("secrets", [])}
        assert mounted == set(re.findall(r"/run/secrets/\w+", json.dumps(service.get("environment", {}))))


def test_the_worker_of_the_compose_file_starts_with_these_settings(compose: dict[str, Any], dockerfile: list[tuple[str, str]]) -> None:
    settings = read(environment=image_environment(dockerfile) | compose["services"]["worker"]["environment"]).settings
    assert settings.kafka.bootstrap_servers == "kafka:9095"
    assert settings.kafka.options == {"security.protocol": "SASL_PLAINTEXT", "sasl.mechanism": "PLAIN", "sasl.username": "tidemark"}
    assert settings.kafka.secret_files == {"sasl.password": Path("/run/secrets/kafka_password")}
    assert settings.registry.url == "http://registry:8080/apis/ccompat/v7"
    assert settings.store.path.is_relative_to("/data")


def test_the_compose_file_makes_the_topics_that_the_worker_reads_and_writes(compose: dict[str, Any]) -> None:
    made = re.search(r"for topic in ([^;]+);", compose["services"]["topics"]["command"][0])
    assert made is not None
    kafka = Settings().kafka
    assert set(made[1].split()) == {topic + suffix for topic in kafka.topics.values() for suffix in ("", kafka.dlq_suffix)}


def test_the_root_file_system_is_read_only_and_what_is_written_lies_on_a_volume(
    compose: dict[str, Any], dockerfile: list[tuple[str, str]]
) -> None:
    worker = compose["services"]["worker"]
    assert worker["read_only"] is True
    assert "worker:/data" in worker["volumes"]
    environment = image_environment(dockerfile)
    assert environment["TMPDIR"] == "/data"
    assert environment["PYTHONDONTWRITEBYTECODE"] == "1"
    assert ("VOLUME", "/data") in dockerfile


def test_the_image_runs_as_a_numeric_user_that_is_not_root(dockerfile: list[tuple[str, str]]) -> None:
    user = [rest for name, rest in dockerfile if name == "USER"][-1]
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", user)
    assert [name for name, _ in dockerfile].index("USER") < [name for name, _ in dockerfile].index("ENTRYPOINT")


def test_the_image_is_made_in_two_stages_from_locked_packages(dockerfile: list[tuple[str, str]]) -> None:
    bases = [rest for name, rest in dockerfile if name == "FROM"]
    assert len(bases) == 2
    assert bases[1] == bases[0].removesuffix(" AS build")  # the environment's python is a link into the base
    assert re.fullmatch(r"python:3\.\d+-slim-\w+", bases[1])
    installs = [
        command for name, rest in dockerfile if name == "RUN" for command in rest.split("&&") if " install " in command and "pip" in command
    ]
    assert installs
    assert all("--require-hashes" in command or "--no-index" in command for command in installs)
    assert not [rest for name, rest in dockerfile if name == "ADD"]


def test_what_the_image_copies_exists_and_is_sent_to_the_build(dockerfile: list[tuple[str, str]]) -> None:
    sent = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    copied = {path for name, rest in dockerfile if name == "COPY" and "--from" not in rest for path in rest.split()[:-1]}
    assert copied == sent
    assert all((ROOT / path).exists() for path in copied)


def test_the_container_stops_by_sigterm_and_tells_its_health(dockerfile: list[tuple[str, str]]) -> None:
    instructions = dict(dockerfile)
    assert instructions["STOPSIGNAL"] == "SIGTERM"
    assert json.loads(instructions["ENTRYPOINT"]) == ["tidemark"]  # exec form: the signal reaches the worker
    assert json.loads(instructions["CMD"]) == ["run"]
    check = json.loads(instructions["HEALTHCHECK"].split("CMD ", 1)[1])
    compile(check[2], "HEALTHCHECK", "exec")
    assert "/healthz" in check[2]


def promtool() -> str:
    """Where promtool is; the test is skipped where there is none (.ci/run brings one)."""
    found = shutil.which("promtool") or shutil.which("promtool", path=str(ROOT / "build" / "promtool"))
    if not found:
        pytest.skip("no promtool here (Debian's package prometheus has it)")
    return found


@pytest.mark.parametrize("arguments", [("check", "config", "prometheus.yml"), ("test", "rules", "tidemark.rules.test.yml")], ids=" ".join)
def test_promtool_accepts(arguments: tuple[str, ...]) -> None:
    done = subprocess.run([promtool(), *arguments], cwd=PROMETHEUS, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def alerts() -> list[dict[str, Any]]:
    groups = yaml.safe_load((PROMETHEUS / "tidemark.rules.yml").read_text())["groups"]
    return [rule for group in groups for rule in group["rules"]]


def test_every_alert_says_what_and_what_to_do() -> None:
    for alert in alerts():
        assert alert["labels"]["severity"] in {"page", "ticket"}, alert["alert"]
        assert {"summary", "description"} <= alert["annotations"].keys(), alert["alert"]


def test_every_metric_of_the_rules_exists() -> None:
    families = Metrics().registry.collect()
    there = {family.name + ("_total" if family.type == "counter" else "") for family in families}
    for alert in alerts():
        assert set(re.findall(r"\btidemark_\w+", alert["expr"])) <= there, alert["alert"]
