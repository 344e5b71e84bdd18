"""A portrait that speaks: the background removed here, the video made by D-ID.

`D_ID_API_KEY=... python examples/did_video.py portrait.jpg "Hello!" [http://localhost:55433]`

D-ID animates a picture it can fetch, and gives an MP4, which has no transparency. So the portrait
is laid on green before, and an editor can key it out of the video; `--background` takes any colour,
or `none` to send the cutout with its transparency. This sends the portrait to D-ID, and costs
credits there.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from pathlib import Path

import requests

POLL_S = 3.0
VIDEO_S = 300.0  # until it gives up on a video


class Refused(Exception):
    """Who did not do what, in their own words."""


def remove_background(portrait: Path, background: str, address: str) -> bytes:
    """The portrait as a PNG: on a colour, or with its transparency for `none`."""
    ground = {} if background == "none" else {"bg_color": background}
    with portrait.open("rb") as picture:
        return checked(
            requests.post(
                f"{address}/api/background-removal/remove",
                files={"image": (portrait.name, picture)},
                data=ground,
                timeout=(5, 130),
            )
        ).content


class DId:
    """D-ID's API, as far as a talk needs it.

    Args:
        key: As their studio shows it; it goes into no message.
        address: Theirs, or another that speaks like it.
    """

    def __init__(self, key: str, address: str) -> None:
        self._session = requests.Session()
        self._session.headers["Authorization"] = f"Basic {key}"
        self._address = address

    def upload(self, name: str, png: bytes) -> str:
        """Lay a picture down with them, for a day or two; its address."""
        file = {"image": (name, png, "image/png")}
        return str(self._ask("POST", "/images", files=file)["url"])

    def start_talk(self, picture_url: str, text: str) -> str:
        """Have a picture say something; the id of the talk."""
        script = {"type": "text", "input": text}
        wanted = {"source_url": picture_url, "script": script}
        return str(self._ask("POST", "/talks", json=wanted)["id"])

    def wait_for_video(self, talk: str) -> str:
        """Ask until the video is there; its address."""
        give_up = time.monotonic() + VIDEO_S
        while time.monotonic() < give_up:
            told = self._ask("GET", f"/talks/{talk}")
            if told["status"] == "done":
                return str(told["result_url"])
            if told["status"] in ("error", "rejected"):
                raise Refused(f"D-ID made no video: {told.get('error', told['status'])}")
            time.sleep(POLL_S)
        raise Refused(f"D-ID made no video within {VIDEO_S:.0f} s; the talk is {talk}")

    def _ask(self, method: str, path: str, **sent: object) -> dict[str, object]:
        answer = self._session.request(method, self._address + path, timeout=60, **sent)
        told: dict[str, object] = checked(answer).json()
        return told


def checked(answer: requests.Response) -> requests.Response:
    """The answer, if it is a success."""
    if not answer.ok:
        words = " ".join(answer.text.split())[:500]
        raise Refused(f"{answer.url} answered {answer.status_code}: {words}")
    return answer


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Make a portrait speak, with D-ID.")
    parser.add_argument("portrait", type=Path, help="a picture of a face")
    parser.add_argument("text", help="what it says")
    parser.add_argument("address", nargs="?", default="http://localhost:55433")
    parser.add_argument("--background", default="#00b140", help="a colour, or none (#00b140)")
    parser.add_argument("--did", default="https://api.d-id.com", help="D-ID's address")
    given = parser.parse_args()
    key = os.environ.get("D_ID_API_KEY")
    if not key:
        sys.exit("set D_ID_API_KEY to the key that D-ID's studio shows you")
    try:
        png = remove_background(given.portrait, given.background, given.address)
        d_id = DId(key, given.did)
        talk = d_id.start_talk(d_id.upload(f"{given.portrait.stem}.png", png), given.text)
        print(d_id.wait_for_video(talk))
    except (Refused, requests.RequestException, OSError) as fault:
        sys.exit(f"{given.portrait}: {fault}")
