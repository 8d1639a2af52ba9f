"""host.json, local.settings.json and the environment."""

from __future__ import annotations

import json
import os
import pathlib

import pytest

from local.functions_host.settings import (
    Account,
    AppSettings,
    ConnectionString,
    HostSettings,
    QueueSettings,
    SettingsError,
    merge,
    parse_timespan,
    read_host,
    read_local,
)


def host(folder: pathlib.Path, environ: dict[str, str] | None = None, **document: object) -> HostSettings:
    (folder / "host.json").write_text(json.dumps({"version": "2.0", **document}))
    return read_host(folder, environ or {})


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("00:05:00", 300),
        ("01:02:03.5", 3723.5),
        ("1.00:00:01", 86401),
        ("00:30", 1800),
        ("23:59:59", 86399),
        ("24:00:00", 24 * 86400),  # days, as .NET reads it
        ("2", 2 * 86400),
        ("-00:00:01", -1),
    ],
)
def test_time_spans_are_read_as_dotnet_reads_them(text: str, seconds: float) -> None:
    assert parse_timespan(text) == seconds


@pytest.mark.parametrize("text", ["", "five minutes", "1:2:3:4", "00:00:5s"])
def test_what_is_no_time_span_is_refused(text: str) -> None:
    with pytest.raises(SettingsError, match="not a time span"):
        parse_timespan(text)


def test_an_empty_host_json_means_the_defaults_of_the_real_host(tmp_path: pathlib.Path) -> None:
    batches = 8 * (os.cpu_count() or 1)
    assert host(tmp_path) == HostSettings("api", 1800, None, QueueSettings(16, batches, 5, 0, 60, base64=True))


def test_host_json_is_followed(tmp_path: pathlib.Path) -> None:
    queues = {
        "batchSize": 4,
        "newBatchThreshold": 1,
        "maxDequeueCount": 2,
        "visibilityTimeout": "00:00:30",
        "maxPollingInterval": "00:00:02",
        "messageEncoding": "none",
    }
    got = host(
        tmp_path,
        functionTimeout="-1",
        functions=["a"],
        extensions={"http": {"routePrefix": ""}, "queues": queues},
    )
    assert got == HostSettings("", None, frozenset({"a"}), QueueSettings(4, 1, 2, 30, 2, base64=False))


def test_the_environment_overrides_host_json(tmp_path: pathlib.Path) -> None:
    environ = {
        "AzureFunctionsJobHost__extensions__Queues__MaxDequeueCount": "9",
        "AzureFunctionsJobHost__functionTimeout": "00:00:01",
    }
    got = host(tmp_path, environ, extensions={"queues": {"maxDequeueCount": 2}})
    assert (got.queues.max_dequeue_count, got.function_timeout_s) == (9, 1)


@pytest.mark.parametrize(
    "wrong",
    [
        {"version": "1.0"},
        {"functionTimeout": "soon"},
        {"functionTimeout": "00:00:00"},
        {"extensions": {"queues": {"batchSize": 33}}},
        {"extensions": {"queues": {"maxDequeueCount": "x"}}},
        {"extensions": {"queues": {"messageEncoding": "utf8"}}},
        {"extensions": {"queues": {"maxPollingInterval": "00:00:00.05"}}},
    ],
    ids=json.dumps,
)
def test_a_wrong_value_in_host_json_is_refused(tmp_path: pathlib.Path, wrong: dict[str, object]) -> None:
    with pytest.raises(SettingsError):
        host(tmp_path, None, **wrong)


def test_an_app_without_host_json_is_refused(tmp_path: pathlib.Path) -> None:
    with pytest.raises(SettingsError, match=r"host\.json is missing"):
        read_host(tmp_path, {})


def test_the_environment_wins_over_local_settings(tmp_path: pathlib.Path) -> None:
    (tmp_path / "local.settings.json").write_text('{"IsEncrypted": false, "Values": {"A": "file", "B": "file"}}')
    merged = merge({"A": "process"}, read_local(tmp_path))
    assert (merged["A"], merged["B"], merged["AZURE_FUNCTIONS_ENVIRONMENT"]) == ("process", "file", "Development")


def test_there_need_be_no_local_settings(tmp_path: pathlib.Path) -> None:
    assert read_local(tmp_path) == {}


@pytest.mark.parametrize("text", ['{"IsEncrypted": true}', '{"Values": {"A": 1}}', "{"])
def test_local_settings_that_cannot_be_used_are_refused(tmp_path: pathlib.Path, text: str) -> None:
    (tmp_path / "local.settings.json").write_text(text)
    with pytest.raises(SettingsError, match=r"local\.settings\.json"):
        read_local(tmp_path)


def test_percent_signs_name_a_setting() -> None:
    settings = AppSettings({"QUEUE": "jobs", "N": "1"})
    assert settings.resolve("%queue%-%N%") == "jobs-1"
    with pytest.raises(SettingsError, match="no setting MISSING"):
        settings.resolve("%MISSING%")


@pytest.mark.parametrize(
    ("environ", "name", "connection"),
    [
        ({"X": "UseDevelopmentStorage=true"}, "X", ConnectionString("UseDevelopmentStorage=true")),
        ({"X": "plain", "AzureWebJobsX": "prefixed"}, "X", ConnectionString("prefixed")),
        ({"AzureWebJobsStorage": "default"}, "", ConnectionString("default")),
        ({"AzureWebJobsStorage": "default"}, "AzureWebJobsStorage", ConnectionString("default")),
        ({"X__queueServiceUri": "https://q"}, "X", Account("https://q")),
        ({"X__serviceUri": "https://s"}, "X", Account("https://s")),
        ({"X__accountName": "acc", "X__clientId": "id"}, "X", Account("https://acc.queue.core.windows.net", "id")),
        ({"AzureWebJobsStorage__accountName": "acc"}, "", Account("https://acc.queue.core.windows.net")),
    ],
)
def test_a_connection_is_a_string_or_an_account_with_an_identity(
    environ: dict[str, str], name: str, connection: object
) -> None:
    assert AppSettings(environ).connection(name) == connection


def test_a_missing_connection_names_the_settings_that_would_make_one() -> None:
    with pytest.raises(SettingsError, match="X__queueServiceUri"):
        AppSettings({}).connection("X")


def test_the_secret_of_a_connection_string_is_not_printed() -> None:
    assert "key" not in repr(ConnectionString("AccountKey=key"))


@pytest.mark.parametrize(
    ("name", "value", "disabled"),
    [
        ("AzureWebJobs.f.Disabled", "true", True),
        ("AzureWebJobs_f_Disabled", "1", True),
        ("AzureWebJobs.f.Disabled", "false", False),
        ("AzureWebJobs.g.Disabled", "true", False),
    ],
)
def test_a_setting_disables_a_function(name: str, value: str, disabled: bool) -> None:
    assert AppSettings({name: value}).is_disabled("f") is disabled
