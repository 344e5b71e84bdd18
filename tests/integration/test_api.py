"""The specification's behaviours (3, 8.2, appendix A), over the whole HTTP side in process."""

from __future__ import annotations

import asyncio
import base64
import re
import tempfile
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime

import httpx
import numpy as np
import pytest
from fastapi.routing import APIRoute
from PIL import Image

from models.errors import InferenceFailed, OutOfDeviceMemory
from service.access.rate_limit import RateLimitConfig
from service.errors import GpuMemoryExhausted, InferenceUnavailable, ServiceBusy
from service.http.app import EXPOSED_HEADERS
from service.http.bodies import IntakeConfig
from service.http.health import Requested
from service.http.policies import PREFIX
from service.imaging.formats import SUPPORTED_NAMES
from service.removal.bounds import RemoverConfig
from tests.support.api import HEALTH, MAX_FILE_BYTES, REMOVE, Api, ApiParts, open_api
from tests.support.matting import FakeMattingClient
from tests.support.pictures import (
    make_noise,
    make_portrait,
    make_solid,
    open_image,
    pixels_of,
    save,
    with_orientation,
)
from tests.support.problems import assert_problem

pytestmark = pytest.mark.anyio

FILENAME = r'attachment; filename="{}_nobg_\d{{8}}_\d{{6}}\.png"'


class TestSuccess:
    """A picture in, its cutout out."""

    async def test_a_removal_answers_with_a_png_of_the_same_size(
        self, api: Api, portrait_jpeg: bytes
    ) -> None:
        response = await api.remove(portrait_jpeg, "test.jpg", "image/jpeg", smoothing="true")
        assert response.status_code == 200
        assert response.headers["content-type"] == "image/png"
        cutout = open_image(response.content)
        assert (cutout.format, cutout.mode, cutout.size) == ("PNG", "RGBA", (160, 120))

    async def test_the_subject_is_opaque_and_the_ground_transparent(
        self, api: Api, portrait_png: bytes
    ) -> None:
        cutout = pixels_of((await api.remove(portrait_png)).content)
        assert cutout[60, 80, 3] == 255
        assert cutout[0, 0].tolist() == [0, 0, 0, 0]

    async def test_every_promised_header_is_there(self, api: Api, portrait_jpeg: bytes) -> None:
        response = await api.remove(portrait_jpeg, "portrait.jpg", "image/jpeg")
        assert int(response.headers["content-length"]) == len(response.content)
        assert re.fullmatch(FILENAME.format("portrait"), response.headers["content-disposition"])
        assert float(response.headers["x-processing-time-ms"]) > 0
        assert re.fullmatch(r"\d+\.\d", response.headers["x-processing-time-ms"])
        assert response.headers["x-original-size"] == "160x120"
        assert response.headers["x-model-version"] == "fake-net"
        assert response.headers["x-engine"] == "fake f32"

    async def test_the_filename_carries_the_time_in_utc(
        self, api: Api, portrait_png: bytes
    ) -> None:
        response = await api.remove(portrait_png)
        stamp = re.search(r"\d{8}_\d{6}", response.headers["content-disposition"])
        assert stamp is not None
        told = datetime.strptime(stamp[0], "%Y%m%d_%H%M%S").replace(tzinfo=UTC)
        assert abs((datetime.now(UTC) - told).total_seconds()) < 10

    async def test_base64_answers_with_the_same_picture_inside_json(
        self, api: Api, portrait_png: bytes
    ) -> None:
        as_file = await api.remove(portrait_png)
        response = await api.remove(portrait_png, return_base64="true", smoothing="true")
        assert response.status_code == 200
        body = response.json()
        assert body["success"] is True
        head, _, encoded = body["processed_image"].partition(",")
        assert head == "data:image/png;base64"
        assert base64.b64decode(encoded, validate=True) == as_file.content
        info = body["processing_info"]
        assert info["original_size"] == info["output_size"] == "160x120"
        assert info["background_removed"] is True
        assert info["edge_smoothing_applied"] is True
        assert info["model_version"] == "fake-net"
        assert info["tensorrt_enabled"] is False
        assert info["processing_time_ms"] > 0

    async def test_smoothing_off_is_told_and_done(self, api: Api, portrait_png: bytes) -> None:
        smooth = await api.remove(portrait_png, smoothing="true")
        hard = await api.remove(portrait_png, smoothing="false")
        assert smooth.content != hard.content
        told = await api.remove(portrait_png, smoothing="false", return_base64="1")
        assert told.json()["processing_info"]["edge_smoothing_applied"] is False

    @pytest.mark.parametrize("media_type", [None, "application/octet-stream", "image/webp"])
    async def test_the_declared_type_need_not_be_right(
        self, api: Api, portrait_jpeg: bytes, media_type: str | None
    ) -> None:
        assert (await api.remove(portrait_jpeg, "x", media_type)).status_code == 200

    async def test_a_file_part_without_a_content_type_is_taken(
        self, api: Api, portrait_png: bytes
    ) -> None:
        body = (
            b'--B\r\nContent-Disposition: form-data; name="image"; filename="p"\r\n\r\n'
            + portrait_png
            + b"\r\n--B--\r\n"
        )
        headers = {"Content-Type": "multipart/form-data; boundary=B"}
        response = await api.client.post(REMOVE, content=body, headers=headers)
        assert response.status_code == 200

    async def test_a_quoted_boundary_is_taken(self, api: Api, portrait_png: bytes) -> None:
        boundary = "a b:c"
        part = 'Content-Disposition: form-data; name="image"; filename="p"'
        head = f"--{boundary}\r\n{part}\r\n\r\n".encode()
        body = head + portrait_png + f"\r\n--{boundary}--\r\n".encode()
        headers = {"Content-Type": f'multipart/form-data; boundary="{boundary}"'}
        assert (await api.client.post(REMOVE, content=body, headers=headers)).status_code == 200

    async def test_no_metadata_of_the_upload_reaches_the_cutout(self, api: Api) -> None:
        image = Image.fromarray(make_portrait())
        data = save(image, "JPEG", exif=with_orientation(1), comment=b"my comment")
        response = await api.remove(data + b"PK\x03\x04 secret payload")
        for trace in (
            b"Camera of a stranger",
            b"my comment",
            b"secret payload",
            b"eXIf",
            b"PK\x03",
        ):
            assert trace not in response.content
        assert not open_image(response.content).getexif()


class TestFilenames:
    """A name nobody vouches for becomes a header."""

    @pytest.mark.parametrize(
        ("name", "stem"),
        [
            ("portrait.jpg", "portrait"),
            ("../../etc/passwd.png", "passwd"),
            ("C:\\Users\\me\\photo.jpeg", "photo"),
            ("archive.tar.png", "archive.tar"),
            ("no extension", "no extension"),
            ("..", "image"),
            (".png", "png"),
            ("x" * 300 + ".png", "x" * 100),
        ],
    )
    async def test_only_the_stem_is_kept(
        self, api: Api, portrait_png: bytes, name: str, stem: str
    ) -> None:
        response = await api.remove(portrait_png, name)
        disposition = response.headers["content-disposition"]
        assert re.fullmatch(FILENAME.format(re.escape(stem)), disposition)

    @pytest.mark.parametrize(
        "raw",
        [
            b"a\rSet-Cookie: x=1.png",
            b"a%0d%0aSet-Cookie: x=1.png",
            b'a\\"; filename=evil.exe',
            b"a\x00b.png",
        ],
    )
    async def test_nothing_in_a_name_becomes_a_header_of_its_own(
        self, api: Api, portrait_png: bytes, raw: bytes
    ) -> None:
        head = (
            b'--B\r\nContent-Disposition: form-data; name="image"; filename="' + raw + b'"\r\n\r\n'
        )
        headers = {"Content-Type": "multipart/form-data; boundary=B"}
        body = head + portrait_png + b"\r\n--B--\r\n"
        response = await api.client.post(REMOVE, content=body, headers=headers)
        assert "set-cookie" not in response.headers
        if response.status_code == 200:
            disposition = response.headers["content-disposition"]
            assert not re.search(r"[\r\n\x00]", disposition)
            assert disposition.count('"') == 2
        else:
            assert_problem(response, "INVALID_REQUEST")

    async def test_other_scripts_come_back_encoded_with_a_plain_fallback(
        self, api: Api, portrait_png: bytes
    ) -> None:
        response = await api.remove(portrait_png, "Übung 図.png")
        disposition = response.headers["content-disposition"]
        assert 'filename="_bung __nobg_' in disposition
        assert "filename*=UTF-8''%C3%9Cbung%20%E5%9B%B3_nobg_" in disposition
        assert disposition.isascii()


class TestRefusals:
    """What is wrong with a request is said in one flat body."""

    async def test_another_format_is_400(self, api: Api) -> None:
        response = await api.remove(b"%PDF-1.4\n...", "test.pdf", "application/pdf")
        body = assert_problem(response, "INVALID_FORMAT")
        assert response.status_code == 400
        assert "format" in body["detail"]
        assert "a PDF document" in body["detail"]
        assert body["supported_formats"] == SUPPORTED_NAMES
        assert body["received_format"] == "application/pdf"

    async def test_eleven_megabytes_are_413(self, api: Api) -> None:
        data = b"\xff\xd8\xff" + bytes(11 * 1024**2)
        body = assert_problem(await api.remove(data, "large.jpg", "image/jpeg"), "FILE_TOO_LARGE")
        assert "10MB" in body["detail"]
        assert body["max_size_mb"] == 10
        assert body["file_size_mb"] == pytest.approx(11, abs=0.1)

    async def test_a_file_just_over_the_cap_is_measured_without_its_form(self, api: Api) -> None:
        data = b"\xff\xd8\xff" + bytes(MAX_FILE_BYTES)
        body = assert_problem(await api.remove(data), "FILE_TOO_LARGE")
        assert body["file_size_mb"] == 10.0

    async def test_a_bomb_is_400_with_the_specifications_fields(self, api: Api) -> None:
        body = assert_problem(await api.remove(make_solid("PNG", 7000, 4000)), "IMAGE_BOMB")
        assert {"file_size_bytes", "decompressed_size_bytes", "ratio"} <= set(body)

    async def test_an_empty_file_is_400(self, api: Api) -> None:
        assert_problem(await api.remove(b""), "EMPTY_FILE")

    async def test_a_damaged_file_is_400(self, api: Api, portrait_png: bytes) -> None:
        assert_problem(await api.remove(portrait_png[:-300]), "CORRUPT_IMAGE")

    async def test_a_missing_image_is_422_and_says_which_field(self, api: Api) -> None:
        response = await api.client.post(REMOVE, files={"smoothing": (None, "true")})
        body = assert_problem(response, "INVALID_REQUEST")
        assert body["errors"] == [
            {"loc": ["body", "image"], "msg": "Field required", "type": "value_error"}
        ]

    async def test_two_images_are_422(self, api: Api, portrait_png: bytes) -> None:
        files = [("image", ("a.png", portrait_png)), ("image", ("b.png", portrait_png))]
        body = assert_problem(await api.client.post(REMOVE, files=files), "INVALID_REQUEST")
        assert body["errors"][0]["loc"] == ["body", "image"]

    async def test_three_files_are_422(self, api: Api, portrait_png: bytes) -> None:
        files = [(f"image{i}", ("a.png", portrait_png)) for i in range(3)]
        assert_problem(await api.client.post(REMOVE, files=files), "INVALID_REQUEST")

    async def test_an_image_that_is_a_text_field_is_422(self, api: Api) -> None:
        response = await api.client.post(
            REMOVE, files={"image": (None, "http://example.com/a.png")}
        )
        assert_problem(response, "INVALID_REQUEST")

    @pytest.mark.parametrize("field", ["smoothing", "return_base64"])
    @pytest.mark.parametrize("value", ["maybe", "", "2", "nul\0l"])
    async def test_a_boolean_that_is_none_is_422(
        self, api: Api, portrait_png: bytes, field: str, value: str
    ) -> None:
        body = assert_problem(await api.remove(portrait_png, **{field: value}), "INVALID_REQUEST")
        assert body["errors"][0]["loc"] == ["body", field]
        assert isinstance(body["detail"], str)

    @pytest.mark.parametrize("value", ["TRUE", "on", "Yes", "1", " true "])
    async def test_booleans_are_read_as_people_write_them(
        self, api: Api, portrait_png: bytes, value: str
    ) -> None:
        response = await api.remove(portrait_png, return_base64=value)
        assert response.headers["content-type"] == "application/json"
        assert response.status_code == 200

    async def test_ten_thousand_fields_are_422(self, api: Api, portrait_png: bytes) -> None:
        fields = {f"field{i}": (None, "x") for i in range(10_000)}
        response = await api.client.post(REMOVE, files={**fields, "image": ("a", portrait_png)})
        assert response.status_code in (413, 422)  # by number, or by the weight of so many
        assert response.json()["error_code"] in ("INVALID_REQUEST", "FILE_TOO_LARGE")

    async def test_seventeen_fields_are_422(self, api: Api, portrait_png: bytes) -> None:
        fields = {f"field{i}": "x" for i in range(17)}
        assert_problem(await api.remove(portrait_png, **fields), "INVALID_REQUEST")

    async def test_a_field_of_a_megabyte_is_422(self, api: Api, portrait_png: bytes) -> None:
        response = await api.remove(portrait_png, smoothing="x" * 100_000)
        assert_problem(response, "INVALID_REQUEST")

    @pytest.mark.parametrize(
        ("content_type", "body"),
        [
            ("application/json", b"{}"),
            ("multipart/form-data", b"no boundary"),
            ("multipart/form-data; boundary=B", b"garbage"),
            ("multipart/form-data; boundary=B", b"--B\r\nno colon\r\n\r\nx\r\n--B--"),
            (
                "multipart/form-data; boundary=B",
                b"--B\r\nContent-Disposition: form-data\r\n\r\nx\r\n--B--",
            ),
            (
                "multipart/form-data; boundary=B",
                b'--B\r\nContent-Disposition: form-data; name="image"; fi',
            ),
            ("multipart/form-data; boundary=" + "B" * 5000, b"--B"),
            ("multipart/form-data; boundary=\xff\xfe", b"--B"),
            ("multipart/form-data; boundary=B; charset=bogus", b"--B--"),
            ("application/x-www-form-urlencoded", b"image=abc"),
            ("", b""),
        ],
    )
    async def test_a_body_that_is_no_such_form_is_422(
        self, api: Api, content_type: str, body: bytes
    ) -> None:
        headers = {"Content-Type": content_type.encode("latin-1")}
        response = await api.client.post(REMOVE, content=body, headers=headers)  # type: ignore[arg-type]
        assert_problem(response, "INVALID_REQUEST")

    async def test_an_unknown_address_is_404(self, api: Api) -> None:
        for path in ("/nowhere", f"{PREFIX}/nowhere"):
            assert_problem(await api.client.get(path), "NOT_FOUND")

    async def test_another_method_is_405_and_says_which_are_allowed(self, api: Api) -> None:
        response = await api.client.get(REMOVE)
        assert_problem(response, "METHOD_NOT_ALLOWED")
        assert response.headers["allow"] == "POST"


class TestFaults:
    """What goes wrong on our side is told without a word about our side."""

    @pytest.mark.parametrize(
        ("fault", "code"),
        [
            (InferenceFailed("CUDA error at line 347 of /opt/x.cu"), "INFERENCE_ERROR"),
            (OutOfDeviceMemory("cudaMalloc"), "OUT_OF_DEVICE_MEMORY"),
            (InferenceUnavailable(retry_after=5), "INFERENCE_UNAVAILABLE"),
            (ServiceBusy(retry_after=5), "SERVICE_BUSY"),
            (RuntimeError("password=hunter2 in /etc/x"), "INTERNAL_ERROR"),
        ],
        ids=lambda value: type(value).__name__ if isinstance(value, Exception) else value,
    )
    async def test_a_fault_has_its_code_and_nothing_of_its_text(
        self, portrait_png: bytes, fault: Exception, code: str
    ) -> None:
        async with open_api(ApiParts(matting=FakeMattingClient(faults=(fault,)))) as api:
            response = await api.remove(portrait_png)
            assert_problem(response, code)
            for secret in (
                "CUDA error",
                "line 347",
                "hunter2",
                "/etc",
                "/opt",
                "cudaMalloc",
                "Traceback",
            ):
                assert secret not in response.text

    async def test_a_failed_inference_has_the_specifications_message(
        self, portrait_png: bytes
    ) -> None:
        matting = FakeMattingClient(faults=(InferenceFailed("x"),))
        async with open_api(ApiParts(matting=matting)) as api:
            body = assert_problem(await api.remove(portrait_png), "INFERENCE_ERROR")
            assert body["detail"] == "Model inference failed"
            assert isinstance(body["message"], str)

    async def test_exhausted_gpu_memory_has_every_field_of_appendix_a(
        self, portrait_png: bytes
    ) -> None:
        fault = GpuMemoryExhausted(
            gpu_memory_required_mb=1200,
            gpu_memory_available_mb=847,
            suggested_action="Retry in 30 seconds",
            retry_after=30,
        )
        async with open_api(ApiParts(matting=FakeMattingClient(faults=(fault,)))) as api:
            response = await api.remove(portrait_png)
            body = assert_problem(response, "GPU_MEMORY_EXHAUSTED")
            body.pop("request_id")
            assert body == {
                "detail": "Insufficient GPU memory to process request",
                "error_code": "GPU_MEMORY_EXHAUSTED",
                "gpu_memory_required_mb": 1200,
                "gpu_memory_available_mb": 847,
                "suggested_action": "Retry in 30 seconds",
                "retry_after": 30,
            }
            assert response.headers["retry-after"] == "30"

    async def test_a_missed_deadline_is_504_with_every_field(self, portrait_png: bytes) -> None:
        parts = ApiParts(FakeMattingClient(delay_s=5), remover=RemoverConfig(timeout_s=0.2))
        async with open_api(parts) as api:
            body = assert_problem(await api.remove(portrait_png), "PROCESSING_TIMEOUT")
            assert body["detail"] == "Processing timeout exceeded 0.2 seconds"
            assert body["elapsed_seconds"] == pytest.approx(0.2, abs=0.15)
            assert body["suggested_action"] == "Reduce image size or retry with smaller image"

    async def test_the_next_request_is_served_after_a_fault(self, portrait_png: bytes) -> None:
        matting = FakeMattingClient(faults=(RuntimeError("once"),))
        async with open_api(ApiParts(matting=matting)) as api:
            assert_problem(await api.remove(portrait_png), "INTERNAL_ERROR")
            assert (await api.remove(portrait_png)).status_code == 200

    async def test_an_unhandled_exception_of_a_route_is_flat_json(
        self, portrait_png: bytes
    ) -> None:
        matting = FakeMattingClient(faults=(ZeroDivisionError("secret"),))
        async with open_api(ApiParts(matting)) as api:
            response = await api.remove(portrait_png)
            assert_problem(response, "INTERNAL_ERROR")
            assert "secret" not in response.text

    async def test_an_answer_of_the_framework_itself_is_flat_json(self, api: Api) -> None:
        first = APIRoute("/health", lambda n: n, methods=["GET"])
        api.app.router.routes.insert(0, first)  # in front of ours; it wants a parameter
        assert_problem(await api.client.get(HEALTH), "INVALID_REQUEST")


class TestRequestId:
    """Every answer can be found again."""

    @pytest.mark.parametrize("given", ["abc-123", "a", "A.b_c-9" * 9])
    async def test_a_harmless_identifier_is_kept(self, api: Api, given: str) -> None:
        response = await api.client.get(HEALTH, headers={"X-Request-ID": given})
        assert response.headers["x-request-id"] == given

    @pytest.mark.parametrize("given", ["", "a b", "x" * 65, "<script>", "a;b", 'a"b', "ü"])
    async def test_a_hostile_identifier_is_replaced(self, api: Api, given: str) -> None:
        headers = {"X-Request-ID": given.encode()}
        response = await api.client.get("/nowhere", headers=headers)  # type: ignore[arg-type]
        assert re.fullmatch(r"[0-9a-f]{32}", response.headers["x-request-id"])
        assert_problem(response, "NOT_FOUND")

    async def test_two_requests_have_two_identifiers(self, api: Api) -> None:
        first, second = await api.client.get(HEALTH), await api.client.get(HEALTH)
        assert first.headers["x-request-id"] != second.headers["x-request-id"]


class TestIntake:
    """How a body may arrive."""

    async def test_an_upload_that_stalls_is_given_up(self) -> None:
        async def trickle() -> AsyncIterator[bytes]:
            yield b'--B\r\nContent-Disposition: form-data; name="image"; filename="a"\r\n\r\n'
            await asyncio.sleep(30)
            yield b"never"

        parts = ApiParts(intake=IntakeConfig(stall_s=0.2))
        async with open_api(parts) as api:
            started = time.monotonic()
            headers = {"Content-Type": "multipart/form-data; boundary=B"}
            response = await api.client.post(REMOVE, content=trickle(), headers=headers)
            assert_problem(response, "UPLOAD_TIMEOUT")
            assert time.monotonic() - started < 5

    async def test_an_upload_that_only_trickles_is_given_up(self) -> None:
        async def trickle() -> AsyncIterator[bytes]:
            yield b'--B\r\nContent-Disposition: form-data; name="image"; filename="a"\r\n\r\n'
            for _ in range(200):
                await asyncio.sleep(0.05)
                yield b"-"

        parts = ApiParts(intake=IntakeConfig(stall_s=1, total_s=0.4))
        async with open_api(parts) as api:
            headers = {"Content-Type": "multipart/form-data; boundary=B"}
            response = await api.client.post(REMOVE, content=trickle(), headers=headers)
            assert_problem(response, "UPLOAD_TIMEOUT")

    async def test_a_slow_upload_that_makes_progress_is_served(self, portrait_png: bytes) -> None:
        body = (
            b'--B\r\nContent-Disposition: form-data; name="image"; filename="a"\r\n\r\n'
            + portrait_png
            + b"\r\n--B--\r\n"
        )

        async def slowly() -> AsyncIterator[bytes]:
            for at in range(0, len(body), len(body) // 5):
                await asyncio.sleep(0.1)
                yield body[at : at + len(body) // 5]

        parts = ApiParts(intake=IntakeConfig(stall_s=0.4))
        async with open_api(parts) as api:
            headers = {"Content-Type": "multipart/form-data; boundary=B"}
            response = await api.client.post(REMOVE, content=slowly(), headers=headers)
            assert response.status_code == 200
            # The time of the upload is not ours: it counts from the complete body.
            assert float(response.headers["x-processing-time-ms"]) < 400

    async def test_a_body_without_a_length_is_cut_off_by_counting(self, api: Api) -> None:
        taken = 0

        async def endless() -> AsyncIterator[bytes]:
            nonlocal taken
            yield b'--B\r\nContent-Disposition: form-data; name="image"; filename="a"\r\n\r\n'
            for _ in range(40):
                taken += 1
                yield bytes(1024**2)

        headers = {"Content-Type": "multipart/form-data; boundary=B"}
        response = await api.client.post(REMOVE, content=endless(), headers=headers)
        assert_problem(response, "FILE_TOO_LARGE")
        assert "content-length" not in response.request.headers

    async def test_an_announced_length_over_the_cap_is_refused_before_a_byte_is_read(
        self, api: Api
    ) -> None:
        headers = {
            "Content-Type": "multipart/form-data; boundary=B",
            "Content-Length": str(50 * 1024**2),
            "Expect": "100-continue",
        }

        async def never() -> AsyncIterator[bytes]:
            pytest.fail("the body was read")
            yield b""

        response = await api.client.post(REMOVE, content=never(), headers=headers)
        body = assert_problem(response, "FILE_TOO_LARGE")
        assert body["file_size_mb"] == 50.0
        assert response.headers["connection"] == "close"

    @pytest.mark.parametrize("length", ["²", "-1", "1e9", ""])
    async def test_a_nonsense_length_is_no_fault_of_ours(
        self, api: Api, portrait_png: bytes, length: str
    ) -> None:
        request = api.client.build_request("POST", REMOVE, files={"image": ("a", portrait_png)})
        request.headers = httpx.Headers(
            [
                *((k, v) for k, v in request.headers.raw if k.lower() != b"content-length"),
                (b"content-length", length.encode("latin-1")),
            ]
        )
        assert (await api.client.send(request)).status_code == 200

    async def test_an_absurdly_long_length_is_too_large(self, api: Api) -> None:
        headers = {"Content-Type": "multipart/form-data; boundary=B", "Content-Length": "9" * 5000}
        response = await api.client.post(REMOVE, content=b"", headers=headers)
        assert_problem(response, "FILE_TOO_LARGE")

    async def test_a_stopping_service_takes_no_new_picture(
        self, api: Api, portrait_png: bytes
    ) -> None:
        api.draining.set()
        response = await api.remove(portrait_png)
        assert_problem(response, "SHUTTING_DOWN")
        assert response.headers["retry-after"] == "5"

    async def test_a_stopping_service_gives_up_a_body_that_is_still_arriving(
        self, api: Api
    ) -> None:
        async def slowly() -> AsyncIterator[bytes]:
            yield b"--B\r\n"
            await asyncio.sleep(30)
            yield b""

        headers = {"Content-Type": "multipart/form-data; boundary=B"}
        asking = asyncio.create_task(api.client.post(REMOVE, content=slowly(), headers=headers))
        await asyncio.sleep(0.1)
        api.draining.set()
        assert_problem(await asyncio.wait_for(asking, 5), "SHUTTING_DOWN")

    async def test_a_stopping_service_finishes_a_picture_it_has(self, portrait_png: bytes) -> None:
        async with open_api(ApiParts(FakeMattingClient(delay_s=0.3))) as api:
            asking = asyncio.create_task(api.remove(portrait_png))
            await asyncio.sleep(0.15)
            api.draining.set()
            assert (await asking).status_code == 200

    async def test_an_upload_of_ten_megabytes_never_touches_the_disk(
        self, api: Api, tmp_path: object, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(tempfile, "tempdir", str(tmp_path) + "/not-there")
        noise = make_noise(1500, 1500)
        data = save(Image.fromarray(noise), "PNG")
        assert len(data) > 5 * 1024**2
        assert (await api.remove(data)).status_code == 200


class TestHealth:
    """Three states, with reasons."""

    async def test_what_was_asked_for_and_serves_is_healthy(self, api: Api) -> None:
        response = await api.client.get(HEALTH)
        assert response.status_code == 200
        body = response.json()
        assert body == {
            "status": "healthy",
            "service": "BiRefNet Background Removal",
            "version": "1.0.0",
            "model": "fake-net",
            "architecture": "none",
            "device": "cpu",
            "engine": "fake f32",
            "tensorrt_enabled": False,
            "gpu_memory_free_mb": 0.0,
            "model_files_status": {"checkpoint": True, "config": True, "tensorrt_engine": False},
            "performance_metrics": {
                "avg_latency_ms": 0.0,
                "p95_latency_ms": 0.0,
                "p99_latency_ms": 0.0,
                "requests_last_hour": 0,
            },
            "batch_size": 1,
            "reasons": [],
        }

    @pytest.mark.parametrize(
        ("wanted", "reason"),
        [
            (Requested("cuda", (), "fake-net"), "BIREFNET_DEVICE=cuda"),
            (
                Requested("auto", ("BIREFNET_USE_TENSORRT",), "fake-net"),
                "BIREFNET_USE_TENSORRT=true",
            ),
            (Requested("auto", (), "auto"), "only a light model is registered"),
            (Requested("auto", (), "BiRefNet-product"), "no BiRefNet-product was ever published"),
        ],
        ids=["gpu", "tensorrt", "light", "alias"],
    )
    async def test_less_than_was_asked_for_is_degraded_and_says_why(
        self, wanted: Requested, reason: str
    ) -> None:
        async with open_api(ApiParts(wanted=wanted)) as api:
            response = await api.client.get(HEALTH)
            assert response.status_code == 200
            assert response.json()["status"] == "degraded"
            assert any(reason in told for told in response.json()["reasons"])

    async def test_an_engine_that_fell_back_is_degraded(self) -> None:
        matting = FakeMattingClient()
        matting.status = replace(matting.status, notes=("engine openvino could not be opened",))
        async with open_api(ApiParts(matting)) as api:
            body = (await api.client.get(HEALTH)).json()
            assert (body["status"], body["reasons"]) == ("degraded", [*matting.status.notes])

    async def test_a_named_light_model_on_a_cpu_is_healthy(self) -> None:
        async with open_api(ApiParts(wanted=Requested("auto", (), "fake-net"))) as api:
            assert (await api.client.get(HEALTH)).json()["status"] == "healthy"

    @pytest.mark.parametrize(
        ("parts", "reason"),
        [
            (ApiParts(is_warm=lambda: False), "warming up"),
            (
                ApiParts(FakeMattingClient(describe_fault=InferenceUnavailable())),
                "inference service does not answer",
            ),
            (
                ApiParts(FakeMattingClient(describe_fault=InferenceFailed("500"))),
                "inference service does not answer",
            ),
        ],
        ids=["cold", "gone", "failing"],
    )
    async def test_a_service_that_cannot_serve_is_503_with_all_normal_fields(
        self, parts: ApiParts, reason: str
    ) -> None:
        async with open_api() as healthy:
            normal = set((await healthy.client.get(HEALTH)).json())
        async with open_api(parts) as api:
            response = await api.client.get(HEALTH)
            assert response.status_code == 503
            body = response.json()
            assert body["status"] == "unhealthy"
            assert normal < set(body)
            assert reason in body["error"]
            assert reason in body["detail"]
            assert response.headers["retry-after"] == "5"
            assert body["error_code"] == "UNHEALTHY"
            assert body["request_id"] == response.headers["x-request-id"]

    async def test_three_failures_in_a_row_are_unhealthy_and_two_are_not(self) -> None:
        matting = FakeMattingClient()
        async with open_api(ApiParts(matting)) as api:
            matting.status = replace(matting.status, failures_in_a_row=2)
            assert (await api.client.get(HEALTH)).status_code == 200
            matting.status = replace(matting.status, failures_in_a_row=3)
            assert (await api.client.get(HEALTH)).status_code == 503

    async def test_removals_show_in_the_last_hour(self, api: Api, portrait_png: bytes) -> None:
        for _ in range(3):
            await api.remove(portrait_png)
        await api.remove(b"no picture")
        metrics = (await api.client.get(HEALTH)).json()["performance_metrics"]
        assert metrics["requests_last_hour"] == 3
        assert 0 < metrics["avg_latency_ms"] <= metrics["p99_latency_ms"]

    async def test_health_is_never_rate_limited(self) -> None:
        async with open_api(ApiParts(limits=RateLimitConfig(1, 1, 1, shape=False))) as api:
            for _ in range(5):
                assert (await api.client.get(HEALTH)).status_code == 200


class TestCors:
    """A browser may read what we tell it."""

    async def test_every_header_of_ours_is_exposed(self, portrait_png: bytes) -> None:
        parts = ApiParts(limits=RateLimitConfig(per_minute=2), cors_origins=("https://page.test",))
        async with open_api(parts) as api:
            api.client.headers["Origin"] = "https://page.test"
            answers = [await api.remove(portrait_png) for _ in range(3)]
            answers.append(await api.client.get("/nowhere"))
            sent = {name for answer in answers for name in answer.headers}
            custom = {
                name
                for name in sent
                if name.startswith("x-") or name in ("retry-after", "content-disposition")
            }
            assert len(custom) >= 9
            assert custom <= {name.lower() for name in EXPOSED_HEADERS}
            for answer in answers:
                exposed = answer.headers["access-control-expose-headers"]
                assert set(exposed.lower().split(", ")) == {n.lower() for n in EXPOSED_HEADERS}
                assert answer.headers["access-control-allow-origin"] == "https://page.test"

    async def test_another_origin_is_not_allowed(self, portrait_png: bytes) -> None:
        async with open_api(ApiParts(cors_origins=("https://page.test",))) as api:
            response = await api.client.get(HEALTH, headers={"Origin": "https://evil.test"})
            assert "access-control-allow-origin" not in response.headers

    async def test_no_origin_is_allowed_by_default(self, api: Api) -> None:
        response = await api.client.get(HEALTH, headers={"Origin": "https://page.test"})
        assert "access-control-allow-origin" not in response.headers


class TestMetrics:
    """Prometheus sees routes, never addresses."""

    async def test_strange_addresses_make_no_new_series(
        self, api: Api, portrait_png: bytes
    ) -> None:
        await api.remove(portrait_png)
        await api.client.get(HEALTH)
        for i in range(5):
            await api.client.get(f"/strange/{i}")
        routes = {
            sample.labels["route"]
            for metric in api.registry.collect()
            for sample in metric.samples
            if "route" in sample.labels
        }
        assert routes == {"/remove", "/health", "unmatched"}

    async def test_a_request_is_counted_once_with_its_code(self, api: Api) -> None:
        await api.remove(b"no picture")
        name = "background_removal_requests_total"
        labels = {"route": "/remove", "status": "400", "error_code": "INVALID_FORMAT"}
        assert api.registry.get_sample_value(name, labels) == 1
        assert api.registry.get_sample_value("background_removal_requests_in_progress") == 0

    async def test_every_stage_of_a_removal_is_measured(
        self, api: Api, portrait_png: bytes
    ) -> None:
        await api.remove(portrait_png)
        stages = {
            sample.labels["stage"]
            for metric in api.registry.collect()
            for sample in metric.samples
            if "stage" in sample.labels
        }
        assert {"guard", "decode", "fit", "matte", "inference", "compose", "encode"} <= stages


async def test_many_callers_at_once_get_their_own_pictures(api: Api) -> None:
    def shade(i: int) -> bytes:
        return save(Image.fromarray(np.full((80, 80 + i, 3), 10 * i + 5, np.uint8)), "PNG")

    answers = await asyncio.gather(*(api.remove(shade(i)) for i in range(20)))
    for i, answer in enumerate(answers):
        cutout = pixels_of(answer.content)
        assert cutout.shape == (80, 80 + i, 4)
        assert cutout[40, 40].tolist() == [10 * i + 5] * 4
