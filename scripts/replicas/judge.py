"""Whether what callers saw is what was promised."""

from __future__ import annotations

from collections.abc import Iterator
from http import HTTPStatus

from scripts.replicas.callers import Try
from scripts.replicas.course import KILLED_PUBLIC, Course

_OWN_OF_PROXY = (HTTPStatus.BAD_GATEWAY, HTTPStatus.SERVICE_UNAVAILABLE)


def faults_of(course: Course) -> list[str]:
    """What was promised and is not so, a sentence each."""
    found = [f"the client gave up: {one}" for one in course.failed]
    found += [f"not the picture of {name}" for name in course.wrong]
    if course.made != course.asked:
        found.append(f"{course.made} of {course.asked} pictures came")
    found += [f"a caller saw: {one.kind}" for one in course.tries if not _may_be(one, course)]
    found += _faults_of_proxy(course)
    found += [
        f"once all was well a caller saw: {one.kind}"
        for one in course.afterwards
        if one.status != HTTPStatus.OK
    ]
    served = {one.server for one in (*course.front, *course.between) if one.status == HTTPStatus.OK}
    served |= set(course.afterwards_by)
    for joined in sorted({"public3", "inference3"} - served):
        found.append(f"{joined} joined and had nothing to do")
    found += [fault for one in course.limits for fault in one.faults()]
    found += [fault for one in course.tasks for fault in one.faults()]
    for name, health in course.health.items():
        if health["status"] == "unhealthy":
            found.append(f"{name} is unhealthy at the end: {health['reasons']}")
    return found


def _may_be(one: Try, course: Course) -> bool:
    """Whether a caller may see this while hosts are killed.

    HAProxy answers 502 for the first request of a caller's connection, and closes the connection
    without a word and without a line in its log for a later one.
    """
    if one.status == 0:
        began_s, ended_s = course.killed_s
        return one.began_s <= ended_s and one.ended_s >= began_s
    if one.is_of_proxy:
        return one.status in _OWN_OF_PROXY
    busy = one.status == HTTPStatus.SERVICE_UNAVAILABLE and one.has_retry_after
    return busy or one.status == HTTPStatus.OK


def _faults_of_proxy(course: Course) -> Iterator[str]:
    """The proxy may answer by itself for requests inside the public that was killed."""
    own = [one for one in course.front if one.was_answered_by_proxy]
    seen = sum(one.is_of_proxy for one in course.tries)
    if len(own) != seen:
        yield f"callers saw {seen} answers of the proxy's own, and it tells of {len(own)}"
    for one in own:
        if one.server != KILLED_PUBLIC:
            yield f"the proxy answered {one.status} ({one.ended}) for {one.server}"
