"""Every variable does what it says, or the service refuses to start with a sentence."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from birefnet_client.address import KEY_FILE_VARIABLE, KEY_VARIABLE, SERVER_VARIABLE
from service.environment import distrust_forwarded_headers
from service.errors import CannotStart
from service.settings import Settings, variable
from service.settings_reader import read_settings
from service.wiring import configure

# The specification's section 9.2: a value it shows, what becomes of it, and one that is wrong.
SPECIFIED = [
    ("BIREFNET_USE_TENSORRT", "true", ("use_tensorrt", True), "maybe"),
    ("BIREFNET_DEVICE", "cuda", ("device", "cuda"), "tpu"),
    ("BIREFNET_BATCH_SIZE", "1", ("batch_size", 1), "0"),
    ("BIREFNET_NUM_WORKERS", "2", ("num_workers", 2), "many"),
    ("BIREFNET_PIN_MEMORY", "true", ("pin_memory", True), "2"),
    ("BIREFNET_CUDNN_BENCHMARK", "true", ("cudnn_benchmark", True), "ja"),
    ("BIREFNET_MAX_IMAGE_SIZE_MB", "10", ("max_image_size_mb", 10), "0"),
    ("BIREFNET_MAX_MEGAPIXELS", "50", ("max_megapixels", 50), "-1"),
    ("BIREFNET_PROCESSING_TIMEOUT_SEC", "30", ("processing_timeout_sec", 30), "nan"),
    ("BIREFNET_RATE_LIMIT_PER_MINUTE", "30", ("rate_limit_per_minute", 30), "-1"),
    ("BIREFNET_RATE_LIMIT_PER_SECOND", "3", ("rate_limit_per_second", 3), "3.5"),
    ("LOG_LEVEL", "INFO", ("log_level", "info"), "loud"),
]
OTHERS = [
    ("BIREFNET_ENGINE", "onnxruntime", ("engine", "onnxruntime"), "caffe"),
    ("BIREFNET_PRECISION", "bf16", ("precision", "bf16"), "f8"),
    ("BIREFNET_MAX_DECOMPRESSION_RATIO", "2000", ("max_decompression_ratio", 2000), "1"),
    ("BIREFNET_MAX_QUEUE", "1", ("max_queue", 1), "0"),
    ("BIREFNET_RATE_LIMIT_MODE", "reject", ("rate_limit_mode", "reject"), "drop"),
    ("BIREFNET_MAX_IN_FLIGHT_PER_CLIENT", "0", ("max_in_flight_per_client", 0), "-3"),
    (
        "BIREFNET_TRUSTED_PROXIES",
        "10.0.0.0/8, ::1",
        ("trusted_proxies", ("10.0.0.0/8", "::1")),
        "proxy.local",
    ),
    (
        "BIREFNET_ALLOWED_HOSTS",
        "cutout.example, Photos",
        ("allowed_hosts", ("cutout.example", "photos")),
        "https://cutout.example",
    ),
    (
        "BIREFNET_REDIS_URL",
        "redis://:x@10.0.0.1/0",
        ("redis_url", "redis://:x@10.0.0.1/0"),
        "http://x",
    ),
    (
        "BIREFNET_OTLP_ENDPOINT",
        "http://collector:4318",
        ("otlp_endpoint", "http://collector:4318"),
        "collector:4318",
    ),
    ("BIREFNET_TRACE_RATIO", "0.1", ("trace_ratio", 0.1), "1.1"),
    (
        "BIREFNET_STORAGE_URL",
        "s3://bucket/prefix",
        ("storage_url", "s3://bucket/prefix"),
        "ftp://x/y",
    ),
    ("BIREFNET_MAX_BACKGROUNDS_PER_KEY", "0", ("max_backgrounds_per_key", 0), "-1"),
    ("BIREFNET_MAX_BACKGROUND_MB_PER_KEY", "5", ("max_background_mb_per_key", 5), "x"),
    ("BIREFNET_TASKS", "OFF", ("tasks", "off"), "redis://x"),
    ("BIREFNET_TASKS_KEY", "ab" * 32, ("tasks_key", "ab" * 32), "ab"),
    ("BIREFNET_INFERENCE_TOKEN", "AB" * 32, ("inference_token", "AB" * 32), "ab" * 31 + "x"),
    ("BIREFNET_WEBHOOKS", "true", ("webhooks", True), "public"),
    ("BIREFNET_MAX_TASKS", "5", ("max_tasks", 5), "0"),
    ("BIREFNET_MAX_TASKS_PER_CLIENT", "0", ("max_tasks_per_client", 0), "-1"),
    ("BIREFNET_TASK_RESULT_SEC", "60", ("task_result_sec", 60), "1"),
    ("BIREFNET_IMAGE_URL", "true", ("image_url", True), "public"),
    ("BIREFNET_PORT", "8080", ("port", 8080), "70000"),
    ("LOG_FORMAT", "JSON", ("log_format", "json"), "xml"),
]


@pytest.fixture(autouse=True)
def _empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def refusal() -> str:
    with pytest.raises(SystemExit) as refused:
        read_settings()
    text = str(refused.value)
    assert text.startswith("The service cannot start:\n")
    return text


@pytest.mark.parametrize(("name", "value", "expected", "wrong"), SPECIFIED + OTHERS)
def test_a_variable_does_what_it_says_or_refuses(
    name: str,
    value: str,
    expected: tuple[str, object],
    wrong: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(name, value)
    assert getattr(read_settings(), expected[0]) == expected[1]
    monkeypatch.setenv(name, wrong)
    assert name in refusal()
    assert len(refusal().splitlines()) == 2


@pytest.mark.parametrize(
    "name", ["BIREFNET_MODEL_PATH", "LOG_FILE", "BIREFNET_CACHE_DIR", "BIREFNET_KEYS_FILE"]
)
def test_a_path_may_begin_with_the_home_folder(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, "~/x/file")
    field = next(f for f in Settings.model_fields if variable(f) == name)
    assert getattr(read_settings(), field) == Path.home() / "x/file"


def test_the_defaults_are_the_specifications() -> None:
    settings = read_settings()
    assert settings.max_image_size_mb == 10
    assert settings.max_megapixels == 50
    assert settings.processing_timeout_sec == 30
    assert (settings.rate_limit_per_minute, settings.rate_limit_per_second) == (30, 3)
    assert settings.max_in_flight_per_client == 3
    assert (settings.host, settings.port) == ("127.0.0.1", 55433)
    assert settings.trusted_proxies == settings.cors_origins == ()
    assert (settings.model, settings.device) == ("auto", "auto")


@pytest.mark.parametrize(
    ("wrong", "meant"),
    [
        ("BIREFNET_ENGNE", "BIREFNET_ENGINE"),
        ("BIREFNET_MAX_MEGAPIXEL", "BIREFNET_MAX_MEGAPIXELS"),
        ("birefnet_prt", "BIREFNET_PORT"),
        ("BIREFNET_LOG_LEVEL", "LOG_LEVEL"),
    ],
)
@pytest.mark.parametrize("place", ["environment", ".env"])
def test_a_misspelt_variable_is_refused_with_a_suggestion(
    wrong: str, meant: str, place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if place == ".env":
        Path(".env").write_text(f"{wrong}=1\n")
    else:
        monkeypatch.setenv(wrong, "1")
    assert f"{wrong} is not a setting; did you mean {meant}?" in refusal()


def test_a_variable_like_no_other_is_refused_without_a_guess(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("BIREFNET_QQQQ", "1")
    assert "BIREFNET_QQQQ is not a setting\n" in refusal() + "\n"


def test_what_the_client_reads_may_stand_in_the_same_environment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in (SERVER_VARIABLE, KEY_VARIABLE, KEY_FILE_VARIABLE):
        monkeypatch.setenv(name, "x")
    assert read_settings() == Settings(_env_file=None)  # type: ignore[call-arg]


def test_every_fault_is_named_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BIREFNET_ENGNE", "x")
    monkeypatch.setenv("BIREFNET_PORT", "0")
    monkeypatch.setenv("LOG_LEVEL", "loud")
    text = refusal()
    assert all(name in text for name in ("BIREFNET_ENGNE", "BIREFNET_PORT", "LOG_LEVEL"))
    assert len(text.splitlines()) == 4


def test_the_environment_wins_over_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    Path(".env").write_text("BIREFNET_PORT=1111\nBIREFNET_MAX_QUEUE=7\n")
    monkeypatch.setenv("BIREFNET_PORT", "2222")
    assert (read_settings().port, read_settings().max_queue) == (2222, 7)


def test_variables_of_other_programs_are_none_of_our_business() -> None:
    Path(".env").write_text("DATABASE_URL=x\nPORT=1\n")
    assert read_settings().port == 55433


def test_a_path_and_another_name_contradict_each_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BIREFNET_MODEL_PATH", "/models/u2netp.onnx")
    monkeypatch.setenv("BIREFNET_MODEL", "u2net")
    text = refusal()
    assert "BIREFNET_MODEL_PATH names u2netp.onnx and BIREFNET_MODEL names u2net" in text


@pytest.mark.parametrize("name", ["auto", "u2netp"])
def test_a_path_goes_with_auto_and_with_its_own_name(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BIREFNET_MODEL_PATH", "/models/u2netp.onnx")
    monkeypatch.setenv("BIREFNET_MODEL", name)
    assert read_settings().model == name


@pytest.mark.parametrize(
    "name", ["BIREFNET_PIN_MEMORY", "BIREFNET_CUDNN_BENCHMARK", "BIREFNET_USE_TENSORRT"]
)
def test_what_needs_a_gpu_contradicts_the_cpu(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, "true")
    monkeypatch.setenv("BIREFNET_DEVICE", "cpu")
    assert f"{name}=true needs a GPU and contradicts BIREFNET_DEVICE=cpu" in refusal()
    monkeypatch.setenv(name, "false")
    assert read_settings().device == "cpu"


def test_a_precision_the_engine_lacks_contradicts_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BIREFNET_ENGINE", "onnxruntime")
    monkeypatch.setenv("BIREFNET_PRECISION", "bf16")
    assert "BIREFNET_PRECISION=bf16 contradicts BIREFNET_ENGINE=onnxruntime" in refusal()


@pytest.mark.parametrize(("given", "meant"), [("localhost", "127.0.0.1"), ("::1", "::1")])
def test_the_host_is_an_address(given: str, meant: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BIREFNET_HOST", given)
    assert read_settings().host == meant


def test_a_host_name_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BIREFNET_HOST", "example.org")
    assert "BIREFNET_HOST: " in refusal()


def test_settings_cannot_be_changed_once_read() -> None:
    with pytest.raises(ValueError, match="frozen"):
        read_settings().port = 1


def test_uvicorn_is_told_to_believe_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORWARDED_ALLOW_IPS", "*")
    distrust_forwarded_headers()
    assert os.environ["FORWARDED_ALLOW_IPS"] == ""


@pytest.mark.parametrize("name", ["BIREFNET_MODEL", "BIREFNET_MODEL_PATH", "BIREFNET_BATCH_SIZE"])
def test_an_empty_variable_is_an_unset_one(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    before = read_settings()
    monkeypatch.setenv(name, "")
    assert read_settings() == before


LINES = "BIREFNET_PORT=1234\nBIREFNET_CORS_ORIGINS=https://bücher.example\n"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
def test_a_file_is_read_whatever_editor_wrote_it(encoding: str, newline: str) -> None:
    Path(".env").write_bytes(LINES.replace("\n", newline).encode(encoding))
    settings = read_settings()
    assert (settings.port, settings.cors_origins) == (1234, ("https://bücher.example",))


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be", "utf-32", "latin-1"])
def test_a_file_in_another_encoding_is_refused_in_one_sentence(encoding: str) -> None:
    Path(".env").write_bytes(LINES.encode(encoding))
    assert ".env is not UTF-8" in refusal()
    assert "save it as UTF-8" in refusal()
    assert len(refusal().splitlines()) == 2


def test_a_misspelt_name_is_found_in_a_file_of_any_encoding() -> None:
    Path(".env").write_bytes("BIREFNET_PROT=1\n".encode("utf-16"))
    assert "BIREFNET_PROT is not a setting; did you mean BIREFNET_PORT?" in refusal()


def test_the_line_that_is_not_utf_8_is_named() -> None:
    Path(".env").write_bytes(b"BIREFNET_PORT=1234\n# gr\xfcn\n")
    assert "in line 2" in refusal()


def test_a_folder_in_the_place_of_the_file_is_refused() -> None:
    Path(".env").mkdir()
    assert ".env is a folder, not a file of settings" in refusal()


def test_a_pipe_in_the_place_of_the_file_is_refused_and_not_waited_for() -> None:
    os.mkfifo(".env")
    assert ".env is a pipe or a device" in refusal()


def test_a_link_that_leads_nowhere_is_refused() -> None:
    Path(".env").symlink_to("moved-away")
    assert ".env cannot be read (No such file or directory)" in refusal()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_of_somebody_else_is_refused() -> None:
    Path(".env").write_text("BIREFNET_PORT=1234\n")
    Path(".env").chmod(0)
    assert ".env cannot be read (Permission denied)" in refusal()


@pytest.mark.parametrize(
    "line", ["BIREFNET_PORT: 1234", "BIREFNET_PORT 1234", "BIREFNET_PORT", "'BIREFNET_PORT=1", "=7"]
)
def test_a_line_that_is_no_assignment_is_not_passed_over(line: str) -> None:
    Path(".env").write_text(f"# mine\nBIREFNET_MAX_QUEUE=7\n{line}\n")
    assert ".env, line 3: not of the form NAME=value" in refusal()


def test_comments_blank_lines_and_export_are_no_faults() -> None:
    Path(".env").write_text("\n  # mine\nexport BIREFNET_PORT=1234\nBIREFNET_MAX_QUEUE = '7' # x\n")
    assert (read_settings().port, read_settings().max_queue) == (1234, 7)


def test_keys_that_are_required_must_be_somewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BIREFNET_REQUIRE_KEY", "true")
    assert "BIREFNET_REQUIRE_KEY=true needs BIREFNET_KEYS_FILE" in refusal()
    monkeypatch.setenv("BIREFNET_KEYS_FILE", "keys.json")
    assert read_settings().require_key


def test_the_password_of_redis_is_never_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BIREFNET_REDIS_URL", "redis://:hidden@10.0.0.1/0")
    settings = read_settings()
    assert "hidden" not in f"{settings!r} {settings} {configure(settings)!r}"
    monkeypatch.setenv("BIREFNET_REDIS_URL", "http://:hidden@10.0.0.1/0")
    assert "hidden" not in refusal()


def test_own_servers_for_pictures_are_addresses_and_need_fetching_to_be_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("BIREFNET_IMAGE_URL_SERVERS", "10.1.2.3:9000, [fd00::1]:80,10.2.0.0/16")
    assert "BIREFNET_IMAGE_URL_SERVERS needs BIREFNET_IMAGE_URL=true" in refusal()
    monkeypatch.setenv("BIREFNET_IMAGE_URL", "true")
    fetching = configure(read_settings()).fetching
    assert fetching is not None
    assert [min(place.ports) for place in fetching.own] == [9000, 80, 80]
    monkeypatch.setenv("BIREFNET_IMAGE_URL_SERVERS", "pictures.internal")
    assert "BIREFNET_IMAGE_URL_SERVERS" in refusal()


def test_tasks_lie_where_it_is_said_and_are_called_alike_after_a_restart(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("BIREFNET_STORAGE_URL", "/a/b")
    tasks = configure(read_settings()).tasks
    assert tasks is not None
    assert (tasks.queue.url, tasks.queue.executor) == ("sqlite:////a/b/tasks.db", "")
    assert (tasks.webhooks, tasks.key) == (None, b"")
    monkeypatch.setenv("BIREFNET_TASKS", "postgresql://u:hidden@h/d")
    settings = read_settings()
    assert "hidden" not in repr(settings)
    tasks = configure(settings).tasks
    assert tasks is not None
    assert tasks.queue.url == "postgresql+psycopg://u:hidden@h/d?client_encoding=utf8"
    assert tasks.queue.executor.endswith(f"{socket.gethostname()}:55433")
    for query, read_as in (
        ("sslmode=require", "sslmode=require&client_encoding=utf8"),
        ("client_encoding=latin1", "client_encoding=latin1"),
    ):
        monkeypatch.setenv("BIREFNET_TASKS", f"postgres://h/d?{query}")
        tasks = configure(read_settings()).tasks
        assert tasks is not None
        assert tasks.queue.url == f"postgresql+psycopg://h/d?{read_as}"
    monkeypatch.setenv("BIREFNET_WEBHOOK_SERVERS", "10.1.2.3:9000")
    assert "BIREFNET_WEBHOOK_SERVERS needs BIREFNET_WEBHOOKS=true" in refusal()
    monkeypatch.setenv("BIREFNET_WEBHOOKS", "true")
    tasks = configure(read_settings()).tasks
    assert tasks is not None
    assert tasks.webhooks is not None
    assert len(tasks.webhooks.own) == 1
    monkeypatch.setenv("BIREFNET_TASKS", "off")
    assert configure(read_settings()).tasks is None
    monkeypatch.setenv("BIREFNET_TASKS", "sqlite")
    monkeypatch.setenv("BIREFNET_STORAGE_URL", "s3://bucket")
    with pytest.raises(CannotStart, match="BIREFNET_TASKS=sqlite needs a folder"):
        configure(read_settings())


def test_fetching_is_bounded_as_uploads_are_and_leaves_time_for_the_removal(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert configure(read_settings()).fetching is None
    monkeypatch.setenv("BIREFNET_IMAGE_URL", "true")
    monkeypatch.setenv("BIREFNET_MAX_IMAGE_SIZE_MB", "3")
    monkeypatch.setenv("BIREFNET_PROCESSING_TIMEOUT_SEC", "8")
    fetching = configure(read_settings()).fetching
    assert fetching is not None
    assert fetching.max_bytes == 3 * 1024**2
    assert fetching.total_s == 4
