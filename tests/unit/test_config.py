"""File, environment and flags: who wins, what is a fault, and that secrets stay hidden."""

import json
import traceback
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from worker.config import Loaded, Settings, duration_text, parse_duration, read
from worker.config.reference import reference
from worker.errors import ConfigError, ExitCode
from worker.events import Stream

SECRET = "correct horse battery"


def loaded(tmp_path: Path, toml: str = "", environment: Mapping[str, str] | None = None, **flags: Any) -> Loaded:
    file = tmp_path / "tidemark.toml"
    file.write_text(toml)
    return read(file, {key.replace("__", "."): value for key, value in flags.items()}, environment or {})


def faults(tmp_path: Path, toml: str = "", environment: Mapping[str, str] | None = None, **flags: Any) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        loaded(tmp_path, toml, environment, **flags)
    assert caught.value.exit_code is ExitCode.USAGE
    return [line.strip().replace(f"{tmp_path}/", "") for line in caught.value.message.splitlines()[1:]]


def test_the_later_source_wins(tmp_path: Path) -> None:
    toml = '[kafka]\ngroup_id = "file"\nbootstrap_servers = "file:1"\n[store]\nthreads = 2\n'
    environment = {"TIDEMARK_KAFKA__GROUP_ID": "environment", "TIDEMARK_KAFKA__BOOTSTRAP_SERVERS": "environment:1"}
    settings = loaded(tmp_path, toml, environment, kafka__group_id="flag").settings
    assert (settings.kafka.group_id, settings.kafka.bootstrap_servers, settings.store.threads) == ("flag", "environment:1", 2)


def test_each_setting_knows_its_origin(tmp_path: Path) -> None:
    rows = loaded(tmp_path, "[store]\nthreads = 2\n", {"TIDEMARK_SERVE__PORT": "1"}, log__level="debug").rows()
    origins = {row.key: (row.value, row.origin, row.place) for row in rows}
    assert origins["store.threads"] == (2, "file", str(tmp_path / "tidemark.toml"))
    assert origins["serve.port"] == (1, "environment", "TIDEMARK_SERVE__PORT")
    assert origins["log.level"] == ("debug", "flag", "flag")
    assert origins["time.watermark_delay"] == ("5m", "default", "")


def test_the_file_is_named_by_flag_else_by_variable_else_lies_in_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("flag", "variable", "tidemark"):
        (tmp_path / f"{name}.toml").write_text(f'reporting_currency = "{name}"\n')
    variable = {"TIDEMARK_CONFIG": "variable.toml"}
    assert read(Path("flag.toml"), environment=variable).settings.reporting_currency == "flag"
    assert read(environment=variable).settings.reporting_currency == "variable"
    assert read(environment={}).settings.reporting_currency == "tidemark"
    (tmp_path / "tidemark.toml").unlink()
    assert read(environment={}).settings == Settings()


def test_a_named_file_that_is_not_there_is_a_fault() -> None:
    with pytest.raises(ConfigError, match=r"nowhere\.toml: can't be read: No such file"):
        read(Path("nowhere.toml"), environment={})


def test_broken_toml_is_a_fault_with_its_line(tmp_path: Path) -> None:
    assert "at line 2" in faults(tmp_path, "[kafka]\ngroup_id = \n")[0]


def test_all_faults_are_listed_at_once_each_with_its_place_and_remedy(tmp_path: Path) -> None:
    toml = """
        [kafka]
        bootstrap_server = "x:1"
        [kafka.topics]
        orders = "events"
        touchpoints = "events"
        [kafka.options]
        security.protocol = "SSL"
        auto.offset.reset = "earliest"
        [retention]
        days = 2
        [time]
        allowed_lateness = "2d"
        watermark_delay = 5
    """
    environment = {"TIDEMARK_SERVE__PROT": "1", "TIDEMARK_STORE__MEMORY_LIMIT": "lots"}
    assert faults(tmp_path, toml, environment, log__level="loud") == [
        'tidemark.toml: kafka.bootstrap_server: there is no such setting; did you mean "kafka.bootstrap_servers"?',
        'TIDEMARK_SERVE__PROT: there is no such setting; did you mean "TIDEMARK_SERVE__PORT"?',
        'TIDEMARK_STORE__MEMORY_LIMIT: store.memory_limit: \'lots\' is not a size; write it as DuckDB does: "512MB", "1.5GiB"',
        "tidemark.toml: kafka.topics.touchpoints: 'events' is the topic of orders too; each stream needs its own",
        "tidemark.toml: kafka.options.auto.offset.reset: is the worker's own, its promises rest on it; remove it",
        'tidemark.toml: time.watermark_delay: a number has no unit; write a number and a unit: "250ms", "30s", "5m", "1h30m", "1d"',
        "flag: log.level: input should be 'debug', 'info', 'warning' or 'error'",
        "tidemark.toml: retention.days: 2 days are not longer than time.allowed_lateness: a day would be sealed before it is closed",
    ]


def test_a_fault_does_not_bring_about_another(tmp_path: Path) -> None:
    toml = '[retention]\ndays = 1\n[time]\nallowed_lateness = "12 hrs"\n'
    assert [fault.split(": ")[1] for fault in faults(tmp_path, toml)] == ["time.allowed_lateness"]


@pytest.mark.parametrize(
    ("toml", "fault"),
    [
        ('store = "x.duckdb"', "store: there is no such setting"),
        ("[store.path]\nx = 1", "store.path.x: there is no such setting"),
        ("[serve]\nport = 70000", "serve.port: input should be less than or equal to 65535"),
        ("[kafka.topics]", "kafka.topics: no stream has a topic"),
        ('[kafka.topics]\nordres = "x"', "kafka.topics.ordres: input should be 'orders'"),
        ('[kafka.topics]\norders = "sp ace"', "kafka.topics.orders: 'sp ace' is no topic's name"),
        ('[kafka.topics]\norders = "a"\nproducts = "a.dlq"', "kafka.dlq_suffix: rejected messages of orders would go to 'a.dlq'"),
        ('[kafka]\nbootstrap_servers = "a:1,b"', "kafka.bootstrap_servers: 'b' is not host:port"),
        ('[kafka.options]\n"group.id" = "x"', "kafka.options.group.id: set kafka.group_id instead"),
        ('[kafka.options]\n"a" = "x"\n[kafka.secrets]\n"a" = "y"', "kafka.secrets.a: is given in kafka.options too"),
        ('[registry]\nusername = "x"', "registry.username: has no password"),
        ('[registry]\nurl = "registry:8081"', "registry.url: string should match"),
        ('[registry]\nurl = "http://u:p@registry"', "registry.url: must not hold a user or password"),
        ('[time]\nreporting_time_zone = "Europe/Berln"', 'no IANA time zone; did you mean "Europe/Berlin"?'),
        ('[time]\nidle_timeout = "0s"', "time.idle_timeout: must be longer than nothing"),
        ("[tables]\ndaily_sale = true", 'tables.daily_sale: there is no such table; did you mean "daily_sales"?'),
        ("[tables]\ncustomer_sales_day = false", "daily_sales needs customer_sales_day, which is off"),
        ('[store]\ncheckpoint_threshold = "10%"', "store.checkpoint_threshold: '10%' is a share"),
    ],
)
def test_a_fault_says_what_is_wrong(tmp_path: Path, toml: str, fault: str) -> None:
    found = faults(tmp_path, toml)
    assert fault in found[0]
    assert len(found) == 1


def test_a_variable_changes_one_topic_and_an_empty_one_switches_it_off(tmp_path: Path) -> None:
    topics = loaded(tmp_path, "", {"TIDEMARK_KAFKA__TOPICS__ORDERS": "shop.orders"}).settings.kafka.topics
    assert topics == {Stream.ORDERS: "shop.orders", Stream.TOUCHPOINTS: "touchpoints"}
    topics = loaded(tmp_path, "", {"TIDEMARK_KAFKA__TOPICS__TOUCHPOINTS": ""}).settings.kafka.topics
    assert topics == {Stream.ORDERS: "orders"}


def test_the_files_topics_are_the_whole_list(tmp_path: Path) -> None:
    assert loaded(tmp_path, '[kafka.topics]\norders = "o"\n').settings.kafka.topics == {Stream.ORDERS: "o"}


def test_librdkafka_names_may_be_written_with_or_without_quotes_and_as_variables(tmp_path: Path) -> None:
    toml = '[kafka.options]\nsecurity.protocol = "SSL"\n"socket.keepalive.enable" = true\n'
    options = loaded(tmp_path, toml, {"TIDEMARK_KAFKA__OPTIONS__CLIENT_ID": "a"}).settings.kafka.options
    assert options == {"security.protocol": "SSL", "socket.keepalive.enable": "true", "client.id": "a"}


def test_variables_that_kubernetes_or_the_test_suite_set_are_let_be(tmp_path: Path) -> None:
    foreign = {
        "TIDEMARK_SERVICE_HOST": "10.0.0.1",
        "TIDEMARK_SERVICE_PORT_METRICS": "9464",
        "TIDEMARK_PORT": "tcp://10.0.0.1:9464",
        "TIDEMARK_PORT_9464_TCP_ADDR": "10.0.0.1",
        "TIDEMARK_HEADLESS_SERVICE_HOST": "10.0.0.1",
        "TIDEMARK_TEST_KAFKA": "127.0.0.1:9092",
        "TIDEMARKER": "x",
    }
    assert loaded(tmp_path, "", foreign).settings == Settings()
    assert faults(tmp_path, "", {"TIDEMARK_SERVE_PORT": "1"}) == [
        'TIDEMARK_SERVE_PORT: there is no such setting; did you mean "TIDEMARK_SERVE__PORT"?'
    ]


@pytest.mark.parametrize(
    ("text", "duration"),
    [
        ("250ms", timedelta(milliseconds=250)),
        ("90s", timedelta(seconds=90)),
        ("1h30m", timedelta(minutes=90)),
        ("1h 30m", timedelta(minutes=90)),
        ("1.5h", timedelta(minutes=90)),
        ("1d", timedelta(days=1)),
        ("2w", timedelta(days=14)),
        ("PT5M", timedelta(minutes=5)),
        ("P1DT12H", timedelta(hours=36)),
    ],
)
def test_durations_are_a_number_and_a_unit_or_iso(text: str, duration: timedelta) -> None:
    assert parse_duration(text) == duration


@pytest.mark.parametrize("text", ["", "5", "m", "5 minutes", "30m1h", "1h1h", "5m!", "-5m", "P", "PX", "1e3s", "٣s", "99999999999w"])
def test_what_is_not_a_duration_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a duration; write a number and a unit"):
        parse_duration(text)


@given(st.integers(0, 10**12))
def test_a_duration_reads_as_it_is_written(milliseconds: int) -> None:
    duration = timedelta(milliseconds=milliseconds)
    assert parse_duration(duration_text(duration)) == duration


def test_negative_durations_are_faults(tmp_path: Path) -> None:
    assert "must not be negative" in faults(tmp_path, time__allowed_lateness=timedelta(days=-1))[0]


@pytest.mark.parametrize("size", ["512MB", "1.5GiB", "1 gb", "60%"])
def test_sizes_are_those_that_duckdb_takes(tmp_path: Path, size: str) -> None:
    assert loaded(tmp_path, store__memory_limit=size).settings.store.memory_limit == size
    duckdb.connect(config={"memory_limit": size}).close()


@pytest.mark.parametrize("size", ["512", "0MB", "-1", "none", "5XB", "120%", ""])
def test_other_sizes_are_faults(tmp_path: Path, size: str) -> None:
    assert "store.memory_limit" in faults(tmp_path, store__memory_limit=size)[0]


def test_a_secret_shows_nowhere(tmp_path: Path) -> None:
    (tmp_path / "token").write_text(SECRET + "\n")
    toml = f'[registry]\ntoken_file = "{tmp_path}/token"\n'
    known = loaded(tmp_path, toml, {"TIDEMARK_KAFKA__SECRETS__SASL_PASSWORD": SECRET})
    shown = [repr(known), str(known.settings), known.settings.model_dump_json(), json.dumps([str(row) for row in known.rows()])]
    assert all(SECRET not in text for text in shown)
    assert known.settings.kafka.revealed_secrets() == {"sasl.password": SECRET}
    assert known.settings.registry.revealed_token() == SECRET
    assert known.settings.secret_values() == {SECRET}


@pytest.mark.parametrize(
    "toml",
    [
        f'[kafka.option]\n"sasl.password" = "{SECRET}"\n',
        f'[kafka.options]\n"sasl.password" = "{SECRET}"\n',
        f'[kafka]\nsecrets = "{SECRET}"\n',
        f'[registry]\npasword = "{SECRET}"\n',
        f'[registry]\npassword = ["{SECRET}"]\n',
        f'[registry]\nurl = "http://u:{SECRET}@registry"\n',
    ],
)
def test_a_misplaced_secret_shows_in_no_error_and_no_traceback(tmp_path: Path, toml: str) -> None:
    file = tmp_path / "tidemark.toml"
    file.write_text(toml)
    with pytest.raises(ConfigError) as caught:
        read(file, environment={})
    report = "".join(traceback.TracebackException.from_exception(caught.value, capture_locals=False).format())
    assert SECRET not in report


def test_settings_that_code_builds_keep_their_inputs_out_of_errors_too() -> None:
    with pytest.raises(ValidationError) as caught:
        Settings.model_validate({"registry": {"password": [SECRET]}})
    assert SECRET not in str(caught.value)


def test_files_that_cannot_be_read_are_told_apart_from_settings_that_are_wrong(tmp_path: Path) -> None:
    settings = loaded(tmp_path, f'[kafka.secret_files]\n"sasl.password" = "{tmp_path}/none"\n').settings
    with pytest.raises(ConfigError, match=r"tidemark.toml: kafka\.secret_files\.sasl\.password: .*/none can't be read: No such file"):
        read(tmp_path / "tidemark.toml", environment={}, check_files=True)
    with pytest.raises(ConfigError, match=r"kafka\.secret_files\.sasl\.password: .* can't be read"):
        settings.kafka.revealed_secrets()


def test_the_admin_socket_lies_beside_the_file_unless_set(tmp_path: Path) -> None:
    assert loaded(tmp_path, store__path="data/a.duckdb").settings.admin_socket == Path("data/a.duckdb.sock")
    assert loaded(tmp_path, serve__admin_socket="b.sock").settings.admin_socket == Path("b.sock")


def test_the_page_of_all_settings_is_current() -> None:
    page = Path(__file__).parents[2] / "docs" / "configuration.md"
    assert page.read_text() == reference(), "run: tidemark config docs > docs/configuration.md"


def test_first_days_that_retention_would_lose_are_a_fault(tmp_path: Path) -> None:
    (tmp_path / "tidemark.toml").write_text("[retention]\ndays = 30\n[tables]\ncustomer_first = false\ndaily_users = false\n")
    with pytest.raises(ConfigError, match=r"customer_first is off: the first days of customers would be lost"):
        read(tmp_path / "tidemark.toml", {})
