import { expect, test } from "vitest";
import { pauseBefore, RemovalError, readProblem } from "../src/problem.js";

test("an error of the service is read whole", () => {
  const text = '{"detail": "Busy.", "error_code": "SERVICE_BUSY", "request_id": "r1"}';
  const error = readProblem(503, text, "4");
  expect(error).toMatchObject({ code: "SERVICE_BUSY", status: 503, retryAfterS: 4 });
  expect(error).toMatchObject({ message: "Busy.", requestId: "r1" });
});

test.each(["<html>502 Bad Gateway</html>", "", "null", "[1]", '{"error_code": 5}'])(
  "an answer of a proxy, %j, is told apart",
  (text) => {
    const error = readProblem(502, text, null);
    expect(error).toMatchObject({ code: "NOT_OURS", status: 502, retryAfterS: null });
    expect(error.message).toBe("NOT_OURS (HTTP 502)");
  },
);

test("a date or nonsense in Retry-After is no number of seconds", () => {
  expect(readProblem(503, "{}", "Wed, 21 Oct 2026 07:28:00 GMT").retryAfterS).toBeNull();
});

test.each([
  ['{"detail": [{"msg": "Field required"}, {"msg": "no boolean"}]}', "Field required; no boolean"],
  ['{"detail": [{"loc": ["image"]}, null]}', "NOT_OURS (HTTP 422)"],
  ['{"detail": ""}', "NOT_OURS (HTTP 422)"],
  ['{"detail": {"a": 1}}', "NOT_OURS (HTTP 422)"],
])("a detail that is no text, %s, becomes words", (text, words) => {
  expect(readProblem(422, text, null).message).toBe(words);
});

test("what passes by itself is tried again, what is wrong with the picture is not", () => {
  expect(new RemovalError("SERVICE_BUSY", 503).isPassing).toBe(true);
  expect(new RemovalError("RATE_LIMIT_EXCEEDED", 429).isPassing).toBe(true);
  expect(new RemovalError("UPLOAD_TIMEOUT", 408).isPassing).toBe(true);
  expect(new RemovalError("CONNECTION_LOST", 0).isPassing).toBe(true);
  expect(new RemovalError("CANCELLED", 0).isPassing).toBe(false);
  expect(new RemovalError("PROCESSING_TIMEOUT", 504).isPassing).toBe(false);
  expect(new RemovalError("NOT_OURS", 502).isPassing).toBe(true);
  expect(new RemovalError("NOT_OURS", 404).isPassing).toBe(false);
  expect(new RemovalError("CORRUPT_IMAGE", 400).isPassing).toBe(false);
});

test("a wait doubles, and is never shorter than the service says", () => {
  expect([0, 1, 2].map((tries) => pauseBefore(tries, null))).toEqual([1, 2, 4]);
  expect([pauseBefore(2, 7), pauseBefore(2, 1)]).toEqual([7, 4]);
});
